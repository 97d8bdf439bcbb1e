//! Every worker in a poll that blocks without saying so: when does a new task run?

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::thread::{sleep, yield_now};
use std::time::{Duration, Instant};

use super::PoolWorkload;
use crate::contestants::Pool;
use crate::row::WORKERS;

/// A task for each worker that blocks for so long, and one more.
#[derive(Clone, Copy)]
pub struct Blocked(pub Duration);

impl PoolWorkload for Blocked {
    /// In milliseconds, from the new task's spawn to its end.
    fn measure<P: Pool>(&self, pool: &P) -> f64 {
        let Self(time) = *self;
        let in_poll = Arc::new(AtomicUsize::new(0));
        let blocked = [(); WORKERS].map(|()| {
            let in_poll = in_poll.clone();
            pool.spawn(async move {
                in_poll.fetch_add(1, Release);
                sleep(time);
            })
        });
        while in_poll.load(Acquire) < WORKERS {
            yield_now();
        }
        let begin = Instant::now();
        pool.block_on(pool.spawn(async {}));
        let waited = begin.elapsed();
        blocked.into_iter().for_each(|task| pool.block_on(task));
        waited.as_secs_f64() * 1_000.0
    }
}
