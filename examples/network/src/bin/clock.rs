//! Shows what happens to missed ticks, by policy, and timeouts. On the executor of your choice.
//!
//!     cargo run --release -p polyexec-network-examples --bin clock

use std::process::ExitCode;
use std::time::{Duration, Instant};

use lexopt::{Arg, Parser};
use polyexec::{
    Executor, Handle,
    time::{MissedTick, interval, sleep, timeout},
};

use support::cli::{self, Failure, say};
use support::{executors, seconds, text};

#[path = "../support.rs"]
mod support;

const HELP: &str = "\
Shows intervals that miss ticks for a while, and timeouts.

Usage: clock [--period SECONDS] [--ticks N] [--executor NAME]

  --executor NAME  pool, threaded or local, if compiled in; the default is the first of them
  --period SECONDS the time between two ticks (default 0.1)
  --ticks N        how many ticks each interval has (default 8)
  --help           print this

Three tasks each have an interval, and all tick at the same time. After its second tick, each task is busy for three and
a half periods. Then one makes up for the missed ticks (burst), one goes on a period later (delay), and one drops the
missed ticks and goes on in step (skip).

Exit code: 0, or 2 if the options are invalid.";

/// How long each task is busy, in periods.
const BUSY: f64 = 3.5;

const POLICIES: [(&str, MissedTick); 3] =
    [("burst", MissedTick::Burst), ("delay", MissedTick::Delay), ("skip", MissedTick::Skip)];

fn main() -> ExitCode {
    cli::run(program)
}

fn program(parser: &mut Parser) -> Result<(), Failure> {
    let (mut executor, mut period, mut ticks) = (None, Duration::from_millis(100), 8);
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("help") | Arg::Short('h') => {
                say(HELP);
                return Ok(());
            }
            Arg::Long("executor") => executor = Some(text(parser)?),
            Arg::Long("period") => period = seconds(parser, "--period")?,
            Arg::Long("ticks") => ticks = cli::number(parser, "--ticks", 1..=1_000_000)?,
            other => return Err(other.unexpected().into()),
        }
    }
    if period.is_zero() {
        return Err(Failure::usage("--period takes more than nothing"));
    }
    let running = executors::choose(executor.as_deref())?.start()?;
    running.handle.block_on(clock(&running.handle, period, ticks))
}

async fn clock(executor: &Handle, period: Duration, ticks: u64) -> Result<(), Failure> {
    let begin = Instant::now();
    let intervals = POLICIES.map(|(name, policy)| executor.spawn(tick(name, policy, begin, period, ticks)));
    for interval in intervals {
        interval.await.map_err(Failure::failed)?;
    }
    match timeout(period, sleep(20 * period)).await {
        Ok(()) => say("timeout: a long sleep was over in time"),
        Err(elapsed) => say(format_args!("timeout: {elapsed}, the long sleep was given up")),
    }
    match timeout(20 * period, sleep(period)).await {
        Ok(()) => say("timeout: the short sleep was over in time"),
        Err(elapsed) => say(format_args!("timeout: {elapsed}, the short sleep was given up")),
    }
    Ok(())
}

async fn tick(name: &str, policy: MissedTick, begin: Instant, period: Duration, ticks: u64) {
    let mut interval = interval(period);
    interval.set_missed_tick_policy(policy);
    for n in 1..=ticks {
        interval.tick().await;
        let since = begin.elapsed();
        say(format_args!("{name} tick {n} after {:.2} periods", since.as_secs_f64() / period.as_secs_f64()));
        if n == 2 {
            // Waits, as for a slow answer. The ticks go on.
            sleep(period.mul_f64(BUSY)).await;
        }
    }
}
