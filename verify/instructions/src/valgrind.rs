//! Runs this program under callgrind, and reads its count of instructions.

use std::env;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::Command;

use crate::count::Count;
use crate::failure::Failure;
use crate::operations::Operation;

/// How often an operation is run, and once more twice as often: enough for what happens once in a thousand times to be
/// in the average, and still a fraction of a second.
const TIMES: u64 = 4_000;

/// It is installed.
pub(crate) struct Valgrind {
    /// Ourselves.
    program: PathBuf,
}

impl Valgrind {
    /// `None` if it isn't installed.
    pub(crate) fn find() -> Result<Option<Self>, Failure> {
        match Command::new("valgrind").arg("--version").output() {
            Ok(_) => {
                let program = env::current_exe();
                let program =
                    program.map_err(|error| Failure::failed(format_args!("can't find myself again: {error}")))?;
                Ok(Some(Self { program }))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::failed(format_args!("can't run valgrind: {error}"))),
        }
    }

    /// The instructions of `operation`. What comes before and after all operations is in both runs, and cancels out.
    pub(crate) fn count(&self, operation: &Operation) -> Result<Count, Failure> {
        let [once, twice] = [TIMES, 2 * TIMES].map(|times| self.instructions(operation, times));
        let (once, twice) = (once?, twice?);
        let more = twice.checked_sub(once).ok_or_else(|| {
            let name = operation.name;
            Failure::failed(format_args!(
                "{name} took {twice} instructions when it was run twice as often as in {once}"
            ))
        })?;
        Ok(Count::average(more, TIMES))
    }

    /// The instructions of a whole run of the program.
    fn instructions(&self, operation: &Operation, times: u64) -> Result<u64, Failure> {
        let ran = Command::new("valgrind")
            // No options but these: neither from the environment nor from files.
            .args(["--command-line-only=yes", "--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(&self.program)
            .args([operation.name, &times.to_string()])
            // They change how the allocator works.
            .env_remove("GLIBC_TUNABLES")
            .env_remove("MALLOC_ARENA_MAX")
            .output()
            .map_err(|error| Failure::failed(format_args!("can't run valgrind: {error}")))?;
        let said = String::from_utf8_lossy(&ran.stderr);
        match parse(&said) {
            Some(instructions) if ran.status.success() => Ok(instructions),
            _ => {
                Err(Failure::failed(format_args!("{} failed under valgrind ({}):\n{said}", operation.name, ran.status)))
            }
        }
    }
}

/// The number in the line `==PID== Collected : NUMBER` of what callgrind says.
fn parse(said: &str) -> Option<u64> {
    let line = said.lines().find_map(|line| line.strip_prefix("==")?.split_once("== Collected : "));
    let (_pid, count) = line?;
    count.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "\
==4711== Callgrind, a call-graph generating cache profiler
==4711== Command: polyexec-instructions block-on-poll 4000
==4711== 
==4711== Events    : Ir
==4711== Collected : 608333
==4711== 
==4711== I   refs:      608,333
";

    #[test]
    fn the_count_is_found() {
        assert_eq!(parse(SAID), Some(608_333));
    }

    #[test]
    fn what_the_program_says_is_not_the_count() {
        assert_eq!(parse(&format!("Collected : 1\n{SAID}")), Some(608_333));
    }

    #[test]
    fn no_count_is_none() {
        assert_eq!(parse(""), None);
        assert_eq!(parse("valgrind: failed to start tool"), None);
        assert_eq!(parse("==4711== Collected : many"), None);
    }
}
