//! Sleeping tasks: what many sleeps at once cost, and how late they end.

use std::time::{Duration, Instant};

use super::IoWorkload;
use crate::contestants::Spawn;
use crate::contestants::io::Io;
use crate::stats::percentile;
use crate::workloads::nanoseconds_each;

/// As many tasks that each sleep for the same time.
#[derive(Clone, Copy)]
pub struct Sleeps {
    pub number: u64,
    pub time: Duration,
}

impl IoWorkload for Sleeps {
    /// In nanoseconds. The warm-up is a hundredth of the sleeps.
    fn measure<P: Io>(&self, pool: &P) -> f64 {
        let Self { number, time } = *self;
        pool.run(sleep_all::<P>(pool.inside(), number / 100, time));
        let (each, ended) = nanoseconds_each(number, || pool.run(sleep_all::<P>(pool.inside(), number, time)));
        assert_eq!(ended, number);
        assert!(each * number as f64 >= time.as_nanos() as f64, "no sleep is shorter than {time:?}");
        each
    }
}

async fn sleep_all<P: Io>(executor: P::Inside, number: u64, time: Duration) -> u64 {
    let sleeper = |_| {
        executor.spawn(async move {
            P::sleep(time).await;
            1
        })
    };
    let tasks: Vec<_> = (0..number).map(sleeper).collect();
    let mut ended = 0;
    for task in tasks {
        ended += task.await;
    }
    ended
}

/// As many tasks that each sleep a step longer than the one before: how late is the hundredth that is latest?
#[derive(Clone, Copy)]
pub struct Late {
    pub number: u32,
    pub shortest: Duration,
    pub step: Duration,
}

impl IoWorkload for Late {
    /// In microseconds.
    fn measure<P: Io>(&self, pool: &P) -> f64 {
        let Self { number, shortest, step } = *self;
        let executor = pool.inside();
        let mut late = pool.run(async move {
            let sleeper = |time: Duration| {
                executor.spawn(async move {
                    let begin = Instant::now();
                    P::sleep(time).await;
                    begin.elapsed().checked_sub(time).expect("no sleep is shorter than asked for")
                })
            };
            let tasks: Vec<_> = (0..number).map(|i| sleeper(shortest + i * step)).collect();
            let mut late = Vec::with_capacity(tasks.len());
            for task in tasks {
                late.push(task.await);
            }
            late
        });
        percentile(&mut late, 99).as_secs_f64() * 1_000_000.0
    }
}
