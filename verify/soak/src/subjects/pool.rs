//! The work-stealing pool.

use std::io;

use polyexec_pool::{Pool, PoolHandle};

use super::Owner;
use crate::faults::Fault;
use crate::subject::Threads;

impl Owner for Pool {
    const NAME: &'static str = "pool";
    const WINDOW: usize = 512;
    const EPOCH: u32 = 20_000;
    const HOME: bool = false;
    const LEFT_OUT: &'static [(Fault, &'static str)] = &[(Fault::LocalFuture, "its tasks go from thread to thread")];
    type Handle = PoolHandle;

    fn start(threads: Threads) -> io::Result<Self> {
        let Threads { workers, on_start, on_stop } = threads;
        Self::builder()
            .worker_threads(workers)
            .on_thread_start(move || on_start())
            .on_thread_stop(move || on_stop())
            .build()
    }

    fn handle(&self) -> PoolHandle {
        self.handle()
    }

    /// Old buffers of the workers' queues wait until crossbeam has seen that nobody steals from them any more.
    fn tidy() {
        // Three turns free what there is; a thread that was about to end may have brought some in between.
        for _ in 0..100 {
            crossbeam_epoch::pin().flush();
        }
    }
}
