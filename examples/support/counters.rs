//! Runs Counters on any executor, checks their results, and measures the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use polyexec::{Executor, Handle, JoinError, JoinHandle};
use polyexec_futures::{Counter, count};

use super::cli::Failure;

/// The most tasks: so few that their polls can be added up.
pub(crate) const MOST_TASKS: u64 = 1_000_000_000;
/// The largest number to count to, for the same reason.
pub(crate) const MOST_POLLS: u64 = u32::MAX as u64;

/// The outcome of a run.
pub(crate) struct Measured {
    /// The results, in the order of the spawns.
    pub(crate) results: Vec<u64>,
    pub(crate) sum: u64,
    /// The number of polls, as counted by the Counters.
    pub(crate) polls: u64,
    pub(crate) time: Duration,
}

impl Measured {
    pub(crate) fn polls_a_second(&self) -> u64 {
        // The time is never zero: at least the clock was read twice.
        (self.polls as f64 / self.time.as_secs_f64().max(1e-9)) as u64
    }
}

/// Spawns a Counter for each of `maxima` with `spawn`, waits for all of them, and checks their results.
///
/// # Errors
///
/// A task failed, or the results or the number of polls are wrong.
pub(crate) fn run(
    executor: &Handle,
    maxima: impl Iterator<Item = u64> + Clone,
    spawn: impl Fn(&Handle, Counter) -> JoinHandle<u64>,
) -> Result<Measured, Failure> {
    let begin = Instant::now();
    let (counters, tasks): (Vec<Arc<AtomicU64>>, Vec<_>) = maxima
        .clone()
        .map(|max| {
            let counter = count(max);
            (counter.counter().clone(), spawn(executor, counter))
        })
        .unzip();
    let results = executor.block_on(all(tasks)).map_err(Failure::failed)?;
    let time = begin.elapsed();

    let sum = results.iter().sum();
    let polls = counters.iter().map(|counter| counter.load(Relaxed)).sum();
    // No future is ready before its first poll.
    let expected = maxima.map(|max| max.max(1)).sum();
    check("the sum of the results", sum, expected)?;
    check("the number of polls", polls, expected)?;
    Ok(Measured { results, sum, polls, time })
}

async fn all(tasks: Vec<JoinHandle<u64>>) -> Result<Vec<u64>, JoinError> {
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        results.push(task.await?);
    }
    Ok(results)
}

fn check(what: &str, is: u64, must_be: u64) -> Result<(), Failure> {
    if is == must_be { Ok(()) } else { Err(Failure::failed(format_args!("{what} is {is}, but must be {must_be}"))) }
}
