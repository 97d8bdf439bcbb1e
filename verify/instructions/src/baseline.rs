//! The counts to compare with, in a text file that is committed. Measures and judges nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::ErrorKind;

use crate::count::Count;
use crate::failure::Failure;
use crate::toolchain::Toolchain;

/// Where the package is, when it was built.
const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/baseline.txt");

/// Begins the line that names the toolchain.
const MADE_WITH: &str = "# Made with: ";

const HEAD: &str = "\
# Instructions that each operation takes, as callgrind counts them. Counts compare only within one toolchain.
# To make it anew: cargo run --release --manifest-path verify/instructions/Cargo.toml -- --bless
";

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Baseline {
    toolchain: Toolchain,
    /// By the operation's name, and so sorted.
    counts: BTreeMap<String, Count>,
}

impl Baseline {
    /// An empty one.
    pub(crate) fn new(toolchain: Toolchain) -> Self {
        Self { toolchain, counts: BTreeMap::new() }
    }

    /// `None` if there is no file.
    pub(crate) fn read() -> Result<Option<Self>, Failure> {
        match fs::read_to_string(PATH) {
            Ok(text) => {
                let baseline = Self::parse(&text);
                baseline.map(Some).map_err(|error| Failure::failed(format_args!("{PATH}, {error}")))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::failed(format_args!("can't read {PATH}: {error}"))),
        }
    }

    pub(crate) fn write(&self) -> Result<(), Failure> {
        fs::write(PATH, self.to_string()).map_err(|error| Failure::failed(format_args!("can't write {PATH}: {error}")))
    }

    pub(crate) fn get(&self, operation: &str) -> Option<Count> {
        self.counts.get(operation).copied()
    }

    pub(crate) fn set(&mut self, operation: &str, count: Count) {
        self.counts.insert(operation.to_owned(), count);
    }

    pub(crate) fn toolchain(&self) -> &Toolchain {
        &self.toolchain
    }

    pub(crate) fn is_of(&self, toolchain: &Toolchain) -> bool {
        self.toolchain == *toolchain
    }

    /// The error says which line is wrong.
    fn parse(text: &str) -> Result<Self, String> {
        let (mut toolchain, mut counts) = (None, BTreeMap::new());
        for (line, number) in text.lines().zip(1..) {
            if let Some(name) = line.strip_prefix(MADE_WITH) {
                toolchain = Some(Toolchain::from(name));
            } else if !line.is_empty() && !line.starts_with('#') {
                let mut words = line.split_whitespace();
                let (Some(operation), Some(count), None) = (words.next(), words.next(), words.next()) else {
                    return Err(format!("line {number}: not an operation and a count, but {line:?}"));
                };
                let Ok(count) = count.parse() else {
                    return Err(format!("line {number}: not a count with one decimal, but {count:?}"));
                };
                if counts.insert(operation.to_owned(), count).is_some() {
                    return Err(format!("line {number}: {operation} for the second time"));
                }
            }
        }
        let toolchain = toolchain.ok_or_else(|| format!("no line of it begins with {MADE_WITH:?}"))?;
        Ok(Self { toolchain, counts })
    }
}

/// The file.
impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEAD}{MADE_WITH}{}", self.toolchain)?;
        self.counts.iter().try_for_each(|(operation, count)| writeln!(f, "{operation} {count}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::OPERATIONS;

    const HEADED: &str = "# A remark\n# Made with: rustc 9, glibc 8\n\n";

    #[test]
    fn what_is_written_is_read() {
        let mut baseline = Baseline::new(Toolchain::from("rustc 9, glibc 8"));
        baseline.set("zebra", "17.0".parse().unwrap());
        baseline.set("ant", "3.5".parse().unwrap());
        let text = baseline.to_string();
        assert!(text.ends_with("# Made with: rustc 9, glibc 8\nant 3.5\nzebra 17.0\n"), "{text}");
        assert_eq!(Baseline::parse(&text).unwrap(), baseline);
    }

    #[test]
    fn spaces_and_remarks_do_not_matter() {
        let baseline = Baseline::parse(&format!("{HEADED}ant    3.5 \n# Not yet: bee\n")).unwrap();
        assert_eq!(baseline.get("ant"), "3.5".parse().ok());
        assert_eq!(baseline.get("bee"), None);
        assert!(baseline.is_of(&Toolchain::from("rustc 9, glibc 8")));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (lines, error) in [
            ("ant\n", "line 4: not an operation and a count, but \"ant\""),
            ("ant 1.0 2.0\n", "line 4: not an operation and a count, but \"ant 1.0 2.0\""),
            ("ant 1.0\nbee many\n", "line 5: not a count with one decimal, but \"many\""),
            ("ant 1.0\nant 1.0\n", "line 5: ant for the second time"),
        ] {
            assert_eq!(Baseline::parse(&format!("{HEADED}{lines}")).unwrap_err(), error);
        }
        assert!(Baseline::parse("ant 1.0\n").unwrap_err().contains("Made with"));
    }

    #[test]
    fn the_one_that_is_committed_has_every_operation_and_no_other() {
        let baseline = Baseline::read().unwrap().expect("a baseline is committed");
        let mut names: Vec<_> = OPERATIONS.iter().map(|operation| operation.name).collect();
        names.sort_unstable();
        assert!(baseline.counts.keys().eq(&names), "bless everything: {:?} are in it", baseline.counts.keys());
        assert_eq!(baseline.to_string(), fs::read_to_string(PATH).unwrap());
    }
}
