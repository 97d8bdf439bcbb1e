//! Command lines of the examples: options, failures, output. Knows nothing of executors.

#![allow(dead_code, reason = "each example uses its part of this")]

use std::fmt;
use std::io::{Write, stdout};
use std::ops::RangeInclusive;
use std::process::{ExitCode, exit};

use lexopt::{Arg, Parser};

/// The exit code for bad input.
const USAGE: u8 = 2;
/// The exit code for a failure with good input.
const FAILED: u8 = 1;

/// Why a program fails: one line on stderr, and an exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    line: String,
}

impl Failure {
    /// Bad input: exit code 2.
    pub(crate) fn usage(line: impl fmt::Display) -> Self {
        Self { code: USAGE, line: one_line(line) }
    }

    /// A failure with good input: exit code 1.
    pub(crate) fn failed(line: impl fmt::Display) -> Self {
        Self { code: FAILED, line: one_line(line) }
    }
}

impl From<lexopt::Error> for Failure {
    fn from(error: lexopt::Error) -> Self {
        Self::usage(format_args!("{error} (see --help)"))
    }
}

/// Runs a program's `body`, and reports its failure under the program's name.
pub(crate) fn run(body: impl FnOnce(&mut Parser) -> Result<(), Failure>) -> ExitCode {
    match body(&mut Parser::from_env()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, line }) => {
            report(line);
            ExitCode::from(code)
        }
    }
}

/// Like [`run`], for a program whose only option is `--help`.
pub(crate) fn run_without_options(help: &str, body: impl FnOnce() -> Result<(), Failure>) -> ExitCode {
    run(|parser| match parser.next()? {
        None => body(),
        Some(Arg::Long("help") | Arg::Short('h')) => {
            say(help);
            Ok(())
        }
        Some(other) => Err(other.unexpected().into()),
    })
}

/// Prints a line on stderr, with the program's name. Ignores errors.
pub(crate) fn report(line: impl fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{}: {line}", env!("CARGO_CRATE_NAME"));
}

/// Prints a line on stdout. Ends the program if stdout is closed.
pub(crate) fn say(line: impl fmt::Display) {
    if writeln!(stdout(), "{line}").is_err() {
        exit(FAILED.into());
    }
}

/// Prints a name and a value as a line of a table, on stdout.
pub(crate) fn row(name: &str, value: impl fmt::Display) {
    say(format_args!("{name:<15} {value}"));
}

/// The value of `option`, a number in `range`.
pub(crate) fn number(parser: &mut Parser, option: &str, range: RangeInclusive<u64>) -> Result<u64, Failure> {
    let value = parser.value()?;
    let number = value.to_str().and_then(|value| value.parse().ok());
    number.filter(|number| range.contains(number)).ok_or_else(|| {
        let (least, most) = range.into_inner();
        Failure::usage(format_args!("{option} takes a whole number from {least} to {most}, not {value:?}"))
    })
}

/// Escapes control characters: the line may quote arguments.
fn one_line(line: impl fmt::Display) -> String {
    line.to_string().replace(char::is_control, " ")
}
