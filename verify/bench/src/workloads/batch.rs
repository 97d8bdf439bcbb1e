//! Tasks that are known beforehand: a root task spawns them all, then awaits them in order. Yields and Counters are here.

use polyexec_futures::{Counter, count, yield_now};

use super::{LocalWorkload, PoolWorkload, SPREAD, WARM_UP, nanoseconds_each};
use crate::contestants::nexosim::Nexosim;
use crate::contestants::plain::poll_in_turn;
use crate::contestants::{Local, Pool, Spawn};
use crate::row::{Contestant, WORKERS};

/// Which tasks.
pub trait Tasks: Copy + Send + Sync + 'static {
    fn operations(self) -> u64;
    fn futures(self) -> impl Iterator<Item = impl Future<Output = u64> + Send + 'static> + Send + 'static;
    /// The sum of what the futures give.
    fn expected(self) -> u64;
}

/// Runs the tasks, by handles or however the contestant can.
#[derive(Clone, Copy)]
pub struct Batch<T>(pub T);

async fn spawn_and_await<T: Tasks>(executor: &impl Spawn, tasks: T) -> u64 {
    let handles: Vec<_> = tasks.futures().map(|future| executor.spawn(future)).collect();
    let mut sum = 0;
    for handle in handles {
        sum += handle.await;
    }
    sum
}

impl<T: Tasks> Batch<T> {
    /// By any means: `run` runs all futures, and gives their sum.
    fn timed(self, run: impl FnOnce() -> u64) -> f64 {
        let (time, sum) = nanoseconds_each(self.0.operations(), run);
        assert_eq!(sum, self.0.expected());
        time
    }

    pub fn on_nexosim(self) -> Contestant {
        Contestant::named::<Nexosim>(move || {
            let mut executor = Nexosim::start(WORKERS);
            executor.run_all(WARM_UP.0.futures());
            executor.run_all(SPREAD.0.futures());
            self.timed(|| executor.run_all(self.0.futures()))
        })
    }

    /// Without an executor; for futures that need no other to make progress.
    pub fn in_turn(self) -> f64 {
        self.timed(|| poll_in_turn(self.0.futures()))
    }
}

impl<T: Tasks> PoolWorkload for Batch<T> {
    fn measure<P: Pool>(&self, pool: &P) -> f64 {
        let (tasks, inside) = (self.0, pool.inside());
        self.timed(|| pool.run(async move { spawn_and_await(&inside, tasks).await }))
    }
}

impl<T: Tasks> LocalWorkload for Batch<T> {
    fn measure<L: Local>(&self, local: &mut L) -> f64 {
        let (tasks, inside) = (self.0, local.inside());
        self.timed(|| local.run(spawn_and_await(&inside, tasks)))
    }
}

/// Tasks that let the others go first, again and again.
#[derive(Clone, Copy)]
pub struct Yields {
    pub tasks: u64,
    pub yields: u64,
}

impl Tasks for Yields {
    fn operations(self) -> u64 {
        self.tasks * self.yields
    }

    fn futures(self) -> impl Iterator<Item = impl Future<Output = u64> + Send + 'static> + Send + 'static {
        (0..self.tasks).map(move |_| async move {
            for _ in 0..self.yields {
                yield_now().await;
            }
            self.yields
        })
    }

    fn expected(self) -> u64 {
        self.operations()
    }
}

/// The library's own future, which counts its polls.
#[derive(Clone, Copy)]
pub struct Counters {
    pub tasks: u64,
    pub polls: u64,
}

impl Tasks for Counters {
    fn operations(self) -> u64 {
        self.tasks * self.polls
    }

    fn futures(self) -> impl Iterator<Item = impl Future<Output = u64> + Send + 'static> + Send + 'static {
        (0..self.tasks).map(move |_| count(self.polls))
    }

    fn expected(self) -> u64 {
        self.operations()
    }
}

/// One Counter, alone on its executor, spawned and awaited from outside.
#[derive(Clone, Copy)]
pub struct OneCounter {
    pub polls: u64,
}

impl OneCounter {
    /// However it is run.
    pub fn timed(self, run: impl FnOnce(Counter) -> u64) -> f64 {
        let (time, polls) = nanoseconds_each(self.polls, || run(count(self.polls)));
        assert_eq!(polls, self.polls);
        time
    }
}

impl PoolWorkload for OneCounter {
    fn measure<P: Pool>(&self, pool: &P) -> f64 {
        self.timed(|counter| pool.run(counter))
    }
}
