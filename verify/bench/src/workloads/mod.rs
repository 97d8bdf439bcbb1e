//! The workloads, each written once for all executors; this file says what one is, and how it is timed.

mod batch;
mod baton;
mod block_on;
mod blocked;
mod busy;
mod fork_join;
mod io;
mod memory;
mod messages;
mod rows;
mod sets;
mod spawning;
mod spread;
mod threads;

use std::hint::spin_loop;
use std::time::{Duration, Instant};

pub use io::{IoWorkload, LocalIoWorkload};
pub use memory::resident;
pub use rows::{growth, rows};

use crate::contestants::{Local, Pool};
use batch::{Batch, Counters};
use spread::Spread;

/// What a pool can be measured with.
pub trait PoolWorkload: Copy + 'static {
    /// Runs on a warm pool, checks the result, and gives the value in the row's unit.
    fn measure<P: Pool>(&self, pool: &P) -> f64;
}

/// What a local executor can be measured with.
pub trait LocalWorkload: Copy + 'static {
    /// As [`PoolWorkload::measure`].
    fn measure<L: Local>(&self, local: &mut L) -> f64;
}

/// Wakes every worker, fills the allocator's caches, and brings the code into memory.
const WARM_UP: Batch<Counters> = Batch(Counters { tasks: 1_000, polls: 10 });

/// Has the system give each worker a processor.
const SPREAD: Batch<Spread> = Batch(Spread);

pub fn warm_up<P: Pool>(pool: &P) {
    PoolWorkload::measure(&WARM_UP, pool);
    PoolWorkload::measure(&SPREAD, pool);
}

pub fn warm_up_local<L: Local>(local: &mut L) {
    LocalWorkload::measure(&WARM_UP, local);
}

/// Long enough for any executor's workers to fall asleep, so that all begin at rest. This thread stays awake meanwhile,
/// and the system with it.
const REST: Duration = Duration::from_micros(200);

/// Nanoseconds for each of `operations`, of which `work` does them all. What `work` returns is dropped after the clock
/// has stopped.
fn nanoseconds_each<T>(operations: u64, work: impl FnOnce() -> T) -> (f64, T) {
    let before = Instant::now();
    while before.elapsed() < REST {
        spin_loop();
    }
    let begin = Instant::now();
    let result = work();
    let time = begin.elapsed();
    (time.as_nanos() as f64 / operations as f64, result)
}

/// 0 + 1 + … + (n − 1).
fn sum_below(n: u64) -> u64 {
    n * (n - 1) / 2
}
