//! The command line: what the program is asked to do.

use lexopt::{Arg, Parser, ValueExt};

use crate::failure::Failure;
use crate::operations::{OPERATIONS, Operation};

/// The command.
pub(crate) const HOW_TO_BLESS: &str = "cargo run --release --manifest-path verify/instructions/Cargo.toml -- --bless";

const HELP: &str = "\
Counts the instructions of polyexec's single-threaded paths, and compares them with verify/instructions/baseline.txt.

Usage: polyexec-instructions [--only SUBSTRING] [--bless]
       polyexec-instructions OPERATION N

  --only SUBSTRING  only the operations whose names have this in them
  --bless           make the counts the baseline, instead of comparing them with it
  --help            print this
  OPERATION N       do it N times, and count nothing: what is run under valgrind

Exit code: 0 if nothing got dearer, if valgrind isn't installed, or if the baseline is another compiler's; 1 if an
operation got dearer or something failed; 2 if the arguments are bad.

Operations:
";

/// The most often that an operation may be run: a slip of the finger shouldn't take days.
const MOST_TIMES: u64 = 1_000_000_000;

pub(crate) enum Job {
    Help,
    /// Run an operation so many times.
    Run(&'static Operation, u64),
    Compare(Selection),
    Bless(Selection),
}

/// Some of the operations, at least one.
pub(crate) struct Selection {
    only: Option<String>,
}

impl Selection {
    fn new(only: Option<String>) -> Result<Self, Failure> {
        let selection = Self { only };
        match (selection.operations().is_empty(), &selection.only) {
            (true, Some(only)) => {
                Err(Failure::usage(format_args!("no operation has {only:?} in its name; they are {}", names())))
            }
            _ => Ok(selection),
        }
    }

    pub(crate) fn operations(&self) -> Vec<&'static Operation> {
        let is_chosen = |operation: &&Operation| self.only.as_deref().is_none_or(|only| operation.name.contains(only));
        OPERATIONS.iter().filter(is_chosen).collect()
    }

    pub(crate) fn is_everything(&self) -> bool {
        self.only.is_none()
    }
}

pub(crate) fn help() -> String {
    let lines = OPERATIONS.iter().map(|operation| format!("  {:<26} {}\n", operation.name, operation.about));
    format!("{HELP}{}", lines.collect::<String>())
}

pub(crate) fn parse(mut parser: Parser) -> Result<Job, Failure> {
    let (mut only, mut bless, mut values) = (None, false, Vec::new());
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("only") => only = Some(parser.value()?.string()?),
            Arg::Long("bless") => bless = true,
            Arg::Long("help") | Arg::Short('h') => return Ok(Job::Help),
            Arg::Value(value) => values.push(value.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    match values.as_slice() {
        [] if bless => Ok(Job::Bless(Selection::new(only)?)),
        [] => Ok(Job::Compare(Selection::new(only)?)),
        [operation, times] if !bless && only.is_none() => Ok(Job::Run(find(operation)?, number(times)?)),
        [operation] => {
            find(operation)?;
            Err(Failure::usage(format_args!("how often? {operation} N runs it; --only {operation} measures it")))
        }
        _ => Err(Failure::usage("OPERATION and N stand alone (see --help)")),
    }
}

fn find(name: &str) -> Result<&'static Operation, Failure> {
    let operation = OPERATIONS.iter().find(|operation| operation.name == name);
    operation.ok_or_else(|| Failure::usage(format_args!("no operation is called {name:?}; they are {}", names())))
}

fn number(text: &str) -> Result<u64, Failure> {
    let number = text.parse().ok().filter(|times| (1..=MOST_TIMES).contains(times));
    number.ok_or_else(|| Failure::usage(format_args!("N is a whole number from 1 to {MOST_TIMES}, not {text:?}")))
}

fn names() -> String {
    OPERATIONS.iter().map(|operation| operation.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The program's arguments, as one line.
    fn parsed(line: &str) -> Result<Job, Failure> {
        parse(Parser::from_args(line.split_whitespace()))
    }

    #[test]
    fn what_it_takes() {
        assert!(matches!(parsed(""), Ok(Job::Compare(selection)) if selection.is_everything()));
        assert!(matches!(parsed("--bless"), Ok(Job::Bless(selection)) if selection.is_everything()));
        assert!(matches!(parsed("--help"), Ok(Job::Help)));
        assert!(matches!(parsed("block-on-poll 7"), Ok(Job::Run(operation, 7)) if operation.name == "block-on-poll"));
        let Ok(Job::Compare(selection)) = parsed("--only block-on") else { panic!("it is a job") };
        let names: Vec<_> = selection.operations().iter().map(|operation| operation.name).collect();
        assert_eq!(names, ["block-on-poll", "block-on-ready", "block-on-ready-facade"]);
    }

    #[test]
    fn what_it_refuses() {
        for line in [
            "--fast",
            "--only",
            "--only nothing-of-the-kind",
            "nothing-of-the-kind 7",
            "nothing-of-the-kind",
            "block-on-poll",
            "block-on-poll 0",
            "block-on-poll -1",
            "block-on-poll many",
            "block-on-poll 7 8",
            "block-on-poll 7 --bless",
            "--only block block-on-poll 7",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
