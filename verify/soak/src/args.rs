//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::prelude::*;
use polyexec_verify_support::args::number;

use crate::watchdog::PATIENCE;

/// What to do.
#[derive(Debug, PartialEq)]
pub enum Command {
    /// Print the help.
    Help,
    /// Run.
    Run(Options),
}

/// What to run.
#[derive(Debug, PartialEq)]
pub struct Options {
    /// Names, in the order in which they run.
    pub executors: Vec<String>,
    /// On each of them.
    pub lifecycles: u64,
    /// Decides everything that the program decides.
    pub seed: u64,
    /// Workers of an executor that has a number of them.
    pub workers: usize,
    /// Foreign threads.
    pub foreign: usize,
    /// Lifecycles of an executor.
    pub epoch: Option<u32>,
    /// Seconds without anything that goes on: a hang.
    pub patience: u64,
    /// Where to write the report.
    pub report: Option<PathBuf>,
}

const LIFECYCLES: u64 = 1_000_000;
const FOREIGN: usize = 4;

/// The help, for a program of these executors that is called by `command`.
pub fn help(command: &str, executors: &[&str]) -> String {
    format!(
        "\
Runs task lifecycles with faults on every executor, and counts what must not happen.

Usage: {command} [OPTIONS]

Options:
  --executor NAME    One of {}, or all; may be given again, or with commas [default: all]
  --lifecycles N     Tasks on each executor, as 1000000 or 1e6 [default: 1e6]
  --seed N           Decides what each task does, and when each owner is dropped [default: from the clock]
  --workers N        Worker threads of an executor that has a number of them [default: processors, at least 2]
  --foreign N        Threads that wake, abort and spawn from outside, up to 64 [default: {FOREIGN}]
                     With 0, a run on local repeats itself exactly
  --epoch N          Tasks on the average between the start of an executor and its drop [default: its own number]
  --patience N       Seconds without any progress that are a hang [default: {}]
  --report PATH      Write the tables to PATH, too
  -h, --help         Print this

Exit code 0: all figures are zero. 1: some aren't, or it hangs. 2: bad input.",
        executors.join(", "),
        PATIENCE.as_secs()
    )
}

/// The arguments after the program's name as a command, or the error in them.
///
/// # Errors
///
/// The error, in a line.
pub fn parse(
    args: impl IntoIterator<Item = impl Into<OsString>>,
    executors: &[&str],
) -> Result<Command, lexopt::Error> {
    let mut parser = lexopt::Parser::from_args(args);
    let mut chosen = Vec::new();
    let mut options = Options {
        executors: Vec::new(),
        lifecycles: LIFECYCLES,
        seed: seed_from_the_clock(),
        workers: std::thread::available_parallelism().map_or(2, |workers| workers.get().max(2)),
        foreign: FOREIGN,
        epoch: None,
        patience: PATIENCE.as_secs(),
        report: None,
    };
    while let Some(arg) = parser.next()? {
        match arg {
            Long("executor") => {
                for name in parser.value()?.string()?.split(',') {
                    choose(&mut chosen, name, executors)?;
                }
            }
            Long("lifecycles") => options.lifecycles = number(&mut parser, "--lifecycles", 1..=1_000_000_000_000)?,
            Long("seed") => options.seed = number(&mut parser, "--seed", 0..=u64::MAX)?,
            Long("workers") => options.workers = number(&mut parser, "--workers", 1..=1024)? as usize,
            Long("foreign") => options.foreign = number(&mut parser, "--foreign", 0..=64)? as usize,
            Long("epoch") => options.epoch = Some(number(&mut parser, "--epoch", 1..=10_000_000)? as u32),
            Long("patience") => options.patience = number(&mut parser, "--patience", 1..=3600)?,
            Long("report") => options.report = Some(parser.value()?.into()),
            Long("help") | Short('h') => return Ok(Command::Help),
            other => return Err(other.unexpected()),
        }
    }
    options.executors = if chosen.is_empty() { executors.iter().map(ToString::to_string).collect() } else { chosen };
    Ok(Command::Run(options))
}

fn choose(chosen: &mut Vec<String>, name: &str, executors: &[&str]) -> Result<(), lexopt::Error> {
    let named = executors.iter().filter(|executor| name == "all" || name == **executor);
    let before = chosen.len();
    for executor in named.clone() {
        if !chosen.iter().any(|chosen| chosen == executor) {
            chosen.push(executor.to_string());
        }
    }
    if chosen.len() == before && named.count() == 0 {
        return Err(format!("--executor takes {} or all, not {name:?}", executors.join(", ")).into());
    }
    Ok(())
}

fn seed_from_the_clock() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    // Short enough to be typed.
    since.map_or(1, |time| u64::from(time.subsec_nanos()) ^ (time.as_secs() & 0xffff))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[&str] = &["pool", "threaded", "local"];

    fn options(args: &[&str]) -> Options {
        match parse(args, NAMES) {
            Ok(Command::Run(options)) => options,
            other => panic!("{args:?} should run, not {other:?}"),
        }
    }

    #[test]
    fn nothing_given_is_a_million_on_all() {
        let options = options(&[]);
        assert_eq!(
            (options.executors, options.lifecycles, options.foreign),
            (NAMES.iter().map(ToString::to_string).collect(), 1_000_000, 4)
        );
    }

    #[test]
    fn everything_given() {
        let given = options(&[
            "--executor=local,pool",
            "--lifecycles",
            "1e7",
            "--seed",
            "12",
            "--workers",
            "3",
            "--foreign",
            "0",
            "--epoch",
            "1_000",
            "--patience",
            "5",
            "--report",
            "here",
        ]);
        let expected = Options {
            executors: vec!["local".into(), "pool".into()],
            lifecycles: 10_000_000,
            seed: 12,
            workers: 3,
            foreign: 0,
            epoch: Some(1000),
            patience: 5,
            report: Some("here".into()),
        };
        assert_eq!(given, expected);
    }

    #[test]
    fn each_executor_once() {
        assert_eq!(options(&["--executor", "local", "--executor", "all"]).executors, ["local", "pool", "threaded"]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let wrong = |args: &[&str]| parse(args, NAMES).unwrap_err().to_string();
        assert!(wrong(&["--executor", "tokio"]).contains("pool, threaded, local or all, not \"tokio\""));
        assert!(wrong(&["--lifecycles", "1e99"]).contains("from 1 to"));
        assert!(wrong(&["--workers", "0"]).contains("from 1 to 1024"));
        assert!(wrong(&["--foreign", "65"]).contains("from 0 to 64"));
        assert!(wrong(&["--seed"]).contains("seed"));
        assert!(wrong(&["--fast"]).contains("--fast"));
        assert!(wrong(&["pool"]).contains("pool"));
    }
}
