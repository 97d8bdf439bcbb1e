//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::prelude::*;
use polyexec_verify_support::args::number;

pub const DEFAULT_ROUNDS: usize = 15;

pub const HELP: &str = "\
Runs polyexec beside its peers, and prints how they compare.

Usage: cargo run --release --manifest-path verify/bench/Cargo.toml [-- OPTIONS]

Options:
  --rounds N         Measure each contestant N times, in turn with the others [default: 15]
  --only SUBSTRING   Only the rows with SUBSTRING in their names; may be given again
  --on SUBSTRING     Only the contestants with SUBSTRING in their names, to look at one by itself; may be given again
  --list             Print the rows' names, and what each one does
  --out DIR          Write report.md and report.svg to DIR, whatever was run
  -h, --help         Print this

A whole run of at least 15 rounds writes the report next to the program's sources. With --only or --on, with fewer
rounds, or after Ctrl-C, nothing is written unless --out says where.";

/// What to do.
#[derive(Debug, PartialEq)]
pub enum Command {
    Help,
    List,
    Run(Options),
    /// For the program itself: one measurement in a process of its own.
    Resident {
        pool: String,
        tasks: u64,
    },
}

#[derive(Debug, PartialEq)]
pub struct Options {
    pub rounds: usize,
    /// Empty: all rows.
    pub only: Vec<String>,
    /// Empty: all contestants.
    pub on: Vec<String>,
    pub out: Option<PathBuf>,
}

/// The arguments after the program's name as a command, or the error in them.
pub fn parse(args: impl IntoIterator<Item = impl Into<OsString>>) -> Result<Command, lexopt::Error> {
    let mut parser = lexopt::Parser::from_args(args);
    let mut options = Options { rounds: DEFAULT_ROUNDS, only: Vec::new(), on: Vec::new(), out: None };
    let mut list = false;
    while let Some(arg) = parser.next()? {
        match arg {
            Long("rounds") => options.rounds = number(&mut parser, "--rounds", 1..=100_000)? as usize,
            Long("only") => options.only.push(parser.value()?.string()?),
            Long("on") => options.on.push(parser.value()?.string()?),
            Long("out") => options.out = Some(parser.value()?.into()),
            Long("list") => list = true,
            Long("help") | Short('h') => return Ok(Command::Help),
            Long("resident") => {
                return Ok(Command::Resident { pool: parser.value()?.string()?, tasks: parser.value()?.parse()? });
            }
            other => return Err(other.unexpected()),
        }
    }
    Ok(if list { Command::List } else { Command::Run(options) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(args: &[&str]) -> Options {
        match parse(args) {
            Ok(Command::Run(options)) => options,
            other => panic!("{args:?} should run, not {other:?}"),
        }
    }

    #[test]
    fn nothing_given_is_a_whole_run() {
        assert_eq!(options(&[]), Options { rounds: 15, only: vec![], on: vec![], out: None });
    }

    #[test]
    fn everything_given() {
        let given = options(&["--rounds=3", "--only", "local", "--only", "fib", "--on", "tokio", "--out", "here"]);
        let only = vec!["local".into(), "fib".into()];
        assert_eq!(given, Options { rounds: 3, only, on: vec!["tokio".into()], out: Some("here".into()) });
    }

    #[test]
    fn help_and_list() {
        assert_eq!(parse(["--help"]).unwrap(), Command::Help);
        assert_eq!(parse(["-h"]).unwrap(), Command::Help);
        assert_eq!(parse(["--list"]).unwrap(), Command::List);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let wrong = |args: &[&str]| parse(args).unwrap_err().to_string();
        assert!(wrong(&["--rounds", "0"]).contains("from 1 to"));
        assert!(wrong(&["--rounds", "many"]).contains("many"));
        assert!(wrong(&["--rounds"]).contains("rounds"));
        assert!(wrong(&["--fast"]).contains("--fast"));
        assert!(wrong(&["spawn"]).contains("spawn"));
    }
}
