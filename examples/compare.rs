//! Runs the same Counters on every compiled-in executor, side by side.
//!
//!     cargo run --release --example compare --all-features

use std::iter::repeat_n;
use std::process::ExitCode;

use lexopt::{Arg, Parser};
use polyexec::Executor;

use support::cli::{self, Failure, say};
use support::{counters, executors};

mod support {
    pub(crate) mod cli;
    pub(crate) mod counters;
    pub(crate) mod executors;
}

const HELP: &str = "\
Runs the same Counters on every compiled-in executor, and prints a table.

Usage: compare [--tasks N] [--to M]

  --tasks N  how many Counters (default 1000); zero is fine
  --to M     the poll at which each of them is ready (default 100)
  --help     print this

One run each, without warm-up: a first impression, not a benchmark.
Exit code: 0 on success, 1 if a task failed or a sum is wrong, 2 if the options are invalid.";

fn main() -> ExitCode {
    cli::run(program)
}

fn program(parser: &mut Parser) -> Result<(), Failure> {
    let (mut tasks, mut to) = (1_000, 100);
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("tasks") => tasks = cli::number(parser, "--tasks", 0..=counters::MOST_TASKS)?,
            Arg::Long("to") => to = cli::number(parser, "--to", 0..=counters::MOST_POLLS)?,
            Arg::Long("help") | Arg::Short('h') => {
                say(HELP);
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let maxima = repeat_n(to, usize::try_from(tasks).map_err(Failure::usage)?);
    // An error if no executor is compiled in.
    executors::default()?;

    say(format_args!(
        "{:<10} {:>8} {:>12} {:>12} {:>12} {:>12} {:>15}",
        "executor", "threads", "results", "sum", "polls", "seconds", "polls a second"
    ));
    for choice in executors::COMPILED_IN {
        let running = choice.start()?;
        let measured = counters::run(&running.handle, maxima.clone(), Executor::spawn)?;
        say(format_args!(
            "{:<10} {:>8} {:>12} {:>12} {:>12} {:>12.6} {:>15}",
            choice.name,
            running.threads(),
            measured.results.len(),
            measured.sum,
            measured.polls,
            measured.time.as_secs_f64(),
            measured.polls_a_second(),
        ));
    }
    Ok(())
}
