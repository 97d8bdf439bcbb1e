//! nexosim's multi-threaded executor: takes tasks, and runs until none is ready. It has neither handles nor `block_on`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use nexosim::dev_hooks::Executor;

use super::named;

pub struct Nexosim(Executor);

named!(Nexosim: "nexosim", "nexosim");

impl Nexosim {
    pub fn start(workers: usize) -> Self {
        Self(Executor::new(workers))
    }

    /// Runs them all; the sum of what they gave.
    pub fn run_all<F>(&mut self, futures: impl Iterator<Item = F>) -> u64
    where
        F: Future<Output = u64> + Send + 'static,
    {
        let sum = Arc::new(AtomicU64::new(0));
        for future in futures {
            let sum = sum.clone();
            self.0.spawn_and_forget(async move {
                sum.fetch_add(future.await, Relaxed);
            });
        }
        self.0.run();
        sum.load(Relaxed)
    }
}
