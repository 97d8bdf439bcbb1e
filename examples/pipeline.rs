//! A pipeline with a limit: reads numbers, factors some at a time, adds up what comes out. The first error cancels the rest.
//!
//!     cargo run --release --example pipeline -- FILE
//!     cargo run --release --example pipeline --all-features -- --executor threaded --in-flight 4 FILE

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use lexopt::{Arg, Parser};
use polyexec::{Executor, JoinSet, yield_now};

use support::cli::{self, Failure, row, say};
use support::executors;
use support::watching::Watching;

mod support {
    pub(crate) mod cli;
    pub(crate) mod executors;
    pub(crate) mod watching;
}

const HELP: &str = "\
Factors the numbers in a file, one a line: each in a task of its own, and so many at a time.

Usage: pipeline [--executor NAME] [--in-flight N] [--text] FILE

  --executor NAME  pool, threaded or local, if compiled in; the default is the first of them
  --in-flight N    how many tasks at a time; no more lines are read meanwhile (default 64)
  --text           print what each thread did, in the end (with `--features observe`)
  --help           print this

A number is at least 2, and less than 2^64. The first line that is none cancels all tasks, whatever they are at.

Exit code: 0 if all lines were numbers, 1 if not, 2 if the options or the file are invalid.";

/// Divisions between yields, where a task can be cancelled. About a fifth of a millisecond.
const DIVISIONS: u64 = 1 << 16;

struct Options {
    executor: Option<String>,
    in_flight: usize,
    file: PathBuf,
    watching: Watching,
}

#[derive(Default)]
struct Totals {
    numbers: u64,
    primes: u64,
    factors: u64,
}

fn main() -> ExitCode {
    cli::run(program)
}

fn program(parser: &mut Parser) -> Result<(), Failure> {
    let Some(options) = parse(parser)? else {
        say(HELP);
        return Ok(());
    };
    let choice = executors::choose(options.executor.as_deref())?;
    let lines = open(&options.file)?.lines();
    let running = choice.start_observed(options.watching.observer())?;

    let totals = running.handle.block_on(async {
        let mut tasks = JoinSet::with_limit(options.in_flight);
        let result = run(lines, &mut tasks).await;
        // After an error, nothing runs any more by the time that it is reported.
        tasks.shutdown().await;
        result
    })?;

    row("executor", choice.name);
    row("numbers", totals.numbers);
    row("primes", totals.primes);
    row("prime factors", totals.factors);
    drop(running);
    options.watching.report();
    Ok(())
}

/// `None` if the user asks for help.
fn parse(parser: &mut Parser) -> Result<Option<Options>, Failure> {
    let (mut executor, mut in_flight, mut file) = (None, 64, None);
    let mut watching = Watching::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("executor") => executor = Some(parser.value()?.to_string_lossy().into_owned()),
            Arg::Long("in-flight") => in_flight = cli::number(parser, "--in-flight", 1..=u32::MAX.into())? as usize,
            Arg::Long("text") => watching.text()?,
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            Arg::Value(path) if file.is_none() => file = Some(PathBuf::from(path)),
            other => return Err(other.unexpected().into()),
        }
    }
    let file = file.ok_or_else(|| Failure::usage("which file? (see --help)"))?;
    Ok(Some(Options { executor, in_flight, file, watching }))
}

fn open(path: &Path) -> Result<BufReader<File>, Failure> {
    File::open(path).map(BufReader::new).map_err(|error| Failure::usage(format_args!("{}: {error}", path.display())))
}

/// Reads a line when there is room for its task, and takes what the tasks have come to meanwhile.
async fn run(
    lines: impl Iterator<Item = io::Result<String>>,
    tasks: &mut JoinSet<Result<u64, Failure>>,
) -> Result<Totals, Failure> {
    let mut totals = Totals::default();
    for (line, number) in (1..).zip(lines) {
        let text = number.map_err(|error| Failure::failed(format_args!("line {line}: {error}")))?;
        tasks.room().await;
        tasks.spawn(async move {
            let number = text.trim().parse().ok().filter(|number| *number >= 2);
            let number =
                number.ok_or_else(|| Failure::failed(format_args!("line {line}: {text:?} is no such number")))?;
            Ok(factors(number).await)
        });
        while let Some(factors) = tasks.try_join_next() {
            totals.add(factors.map_err(Failure::failed)??);
        }
    }
    while let Some(factors) = tasks.join_next().await {
        totals.add(factors.map_err(Failure::failed)??);
    }
    Ok(totals)
}

impl Totals {
    fn add(&mut self, factors: u64) {
        self.numbers += 1;
        self.primes += u64::from(factors == 1);
        self.factors += factors;
    }
}

/// How many prime factors a number has, by trial division.
async fn factors(mut number: u64) -> u64 {
    let (mut factors, mut divisor) = (0, 2);
    while divisor <= number / divisor {
        if number.is_multiple_of(divisor) {
            number /= divisor;
            factors += 1;
        } else {
            divisor += 1;
            if divisor % DIVISIONS == 0 {
                yield_now().await;
            }
        }
    }
    factors + 1
}
