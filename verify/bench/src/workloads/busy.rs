//! Tasks that compute, for a time that dwarfs what the executor costs: is every worker busy until the end?

use std::hint::black_box;
use std::sync::atomic::AtomicUsize;
use std::sync::{Barrier, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use super::spread::stay_busy;
use super::{PoolWorkload, nanoseconds_each};
use crate::contestants::{Pool, Spawn};
use crate::row::WORKERS;

/// Tasks that each hash for a while.
#[derive(Clone, Copy)]
pub struct Busy {
    tasks: u64,
    /// Steps of the hash in a task: found once, the same for all contestants.
    steps: u64,
}

/// A hash of `seed`. Each of its steps needs the step before.
#[inline(never)] // the same code for all contestants
fn hash(seed: u64, steps: u64) -> u64 {
    (0..steps).fold(seed, |hash, step| (hash ^ step).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29))
}

/// The sum of the hashes of these seeds.
fn hashes(seeds: impl Iterator<Item = u64>, steps: u64) -> u64 {
    seeds.fold(0, |sum, seed| sum.wrapping_add(hash(black_box(seed), steps)))
}

impl Busy {
    /// `tasks` of about `time` each, on this machine as it is now.
    pub fn calibrated(tasks: u64, time: Duration) -> Self {
        const STEPS: u64 = 200_000;
        const TRIALS: u64 = 20;
        let trial = |seed| {
            let begin = Instant::now();
            black_box(hash(black_box(seed), STEPS));
            begin.elapsed()
        };
        // The fastest one was disturbed the least.
        let fastest = (0..TRIALS).map(trial).min().expect("there are trials");
        let steps = STEPS as f64 * time.as_secs_f64() / fastest.as_secs_f64();
        Self { tasks, steps: steps as u64 }
    }

    fn check(self, sum: u64) {
        // There is one row of this kind, so one result to know.
        static EXPECTED: OnceLock<u64> = OnceLock::new();
        assert_eq!(sum, *EXPECTED.get_or_init(|| hashes(0..self.tasks, self.steps)));
    }

    /// The limit: a plain thread for each worker, with an equal part of the work. Their start isn't measured.
    pub fn on_threads(self) -> f64 {
        let begun = AtomicUsize::new(0);
        let [ready, start] = [(); 2].map(|()| Barrier::new(WORKERS + 1));
        let (time, sum) = thread::scope(|scope| {
            let threads: Vec<_> = (0..WORKERS)
                .map(|first| {
                    let (begun, ready, start) = (&begun, &ready, &start);
                    scope.spawn(move || {
                        stay_busy(begun);
                        ready.wait();
                        start.wait();
                        hashes((0..self.tasks).skip(first).step_by(WORKERS), self.steps)
                    })
                })
                .collect();
            ready.wait();
            nanoseconds_each(self.tasks, || {
                // Inside, since the threads may run before this one again.
                start.wait();
                threads.into_iter().map(|thread| thread.join().expect("no thread panics")).fold(0, u64::wrapping_add)
            })
        });
        self.check(sum);
        time / 1_000.0
    }
}

impl PoolWorkload for Busy {
    /// In microseconds.
    fn measure<P: Pool>(&self, pool: &P) -> f64 {
        let (Self { tasks, steps }, inside) = (*self, pool.inside());
        let (time, sum) = nanoseconds_each(tasks, || {
            pool.run(async move {
                let spawn = |seed| inside.spawn(async move { hash(black_box(seed), steps) });
                let handles: Vec<_> = (0..tasks).map(spawn).collect();
                let mut sum = 0_u64;
                for handle in handles {
                    sum = sum.wrapping_add(handle.await);
                }
                sum
            })
        });
        self.check(sum);
        time / 1_000.0
    }
}
