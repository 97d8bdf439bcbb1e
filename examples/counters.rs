//! Runs the article's two Counters, or many of them, on the executor of your choice.
//!
//!     cargo run --release --example counters
//!     cargo run --release --example counters --all-features -- --executor local --tasks 100000 --to 10
//!     cargo run --release --example counters --features observe -- --tasks 0 --text

use std::iter::repeat_n;
use std::process::ExitCode;

use lexopt::{Arg, Parser};
use polyexec::Executor;

use support::cli::{self, Failure, row, say};
use support::narrate::{narrate, narrate_value};
use support::watching::Watching;
use support::{counters, executors};

mod support {
    pub(crate) mod cli;
    pub(crate) mod counters;
    pub(crate) mod executors;
    pub(crate) mod narrate;
    pub(crate) mod watching;
}

const HELP: &str = "\
Runs a Counter to 10, a Counter to 23, and many more on one executor.

Usage: counters [--executor NAME] [--tasks N] [--to M] [--verbose] [--text]

  --executor NAME  pool, threaded or local, if compiled in; the default is the first of them
  --tasks N        how many more Counters (default 1000); zero is fine
  --to M           the poll at which each of those is ready (default 100)
  --verbose        print each poll of each Counter
  --text           print what each thread did, in the end (with `--features observe`)
  --help           print this

Exit code: 0 on success, 1 if a task failed or the sum is wrong, 2 if the options are invalid.";

/// The article's two tasks, and the number that each counts to.
const ARTICLE: [(&str, u64); 2] = [("async_fn", 10), ("async_fn2", 23)];

fn main() -> ExitCode {
    cli::run(program)
}

fn program(parser: &mut Parser) -> Result<(), Failure> {
    let (mut executor, mut tasks, mut to, mut verbose) = (None, 1_000, 100, false);
    let mut watching = Watching::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("executor") => executor = Some(parser.value()?),
            Arg::Long("tasks") => tasks = cli::number(parser, "--tasks", 0..=counters::MOST_TASKS)?,
            Arg::Long("to") => to = cli::number(parser, "--to", 0..=counters::MOST_POLLS)?,
            Arg::Long("text") => watching.text()?,
            Arg::Long("verbose") | Arg::Short('v') => verbose = true,
            Arg::Long("help") | Arg::Short('h') => {
                say(HELP);
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let choice = executors::choose(executor.map(|name| name.to_string_lossy().into_owned()).as_deref())?;
    let running = choice.start_observed(watching.observer())?;

    let article = ARTICLE.iter().map(|(_, max)| *max);
    let more = repeat_n(to, usize::try_from(tasks).map_err(Failure::usage)?);
    let measured = counters::run(&running.handle, article.chain(more), |executor, counter| match verbose {
        true => executor.spawn(narrate(counter.inspect(narrate_value))),
        false => executor.spawn(counter),
    })?;

    row("executor", choice.name);
    row("threads", running.threads());
    for ((name, _), result) in ARTICLE.iter().zip(&measured.results) {
        row(name, result);
    }
    row("results", measured.results.len());
    row("sum of results", format_args!("{}, as it must be", measured.sum));
    row("polls", measured.polls);
    row("seconds", format_args!("{:.6}", measured.time.as_secs_f64()));
    row("polls a second", measured.polls_a_second());
    drop(running);
    watching.report();
    Ok(())
}
