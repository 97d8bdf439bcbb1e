//! The executors of this workspace as subjects.

use std::io;

use polyexec_core::Executor;
use polyexec_local::{Local, LocalHandle};
use polyexec_pool::{Pool, PoolHandle};
use polyexec_threaded::{Threaded, ThreadedHandle};

use crate::faults::Fault;
use crate::job::Job;
use crate::run::Entry;
use crate::subject::{Joined, LocalJob, Spawner, Subject, Threads};

/// All of them.
pub fn all() -> Vec<Entry> {
    vec![Entry::of::<Pool>(), Entry::of::<Threaded>(), Entry::of::<Local>()]
}

impl Subject for Pool {
    const NAME: &'static str = "pool";
    const WINDOW: usize = 512;
    const EPOCH: u32 = 20_000;
    const LEFT_OUT: &'static [(Fault, &'static str)] = &[(Fault::LocalFuture, "its tasks go from thread to thread")];
    type Spawner = PoolHandle;

    fn start(threads: Threads) -> io::Result<Self> {
        let Threads { workers, on_start, on_stop } = threads;
        Self::builder()
            .worker_threads(workers)
            .on_thread_start(move || on_start())
            .on_thread_stop(move || on_stop())
            .build()
    }

    fn spawner(&self) -> PoolHandle {
        self.handle()
    }

    /// crossbeam frees old buffers of the workers' queues once it has seen that no thread steals from them.
    fn tidy() {
        // Three turns free what there is; a thread that was ending may have added some in between.
        for _ in 0..100 {
            crossbeam_epoch::pin().flush();
        }
    }
}

impl Spawner for PoolHandle {
    type Handle = Joined;

    fn spawn_job(&self, job: Job<Self>) -> Joined {
        self.spawn(job).into()
    }
}

impl Subject for Threaded {
    const NAME: &'static str = "threaded";
    // About as many threads.
    const WINDOW: usize = 48;
    const EPOCH: u32 = 10_000;
    const LEFT_OUT: &'static [(Fault, &'static str)] = &[(Fault::LocalFuture, "its tasks run on threads of their own")];
    type Spawner = ThreadedHandle;

    fn start(threads: Threads) -> io::Result<Self> {
        let Threads { workers: _, on_start, on_stop } = threads;
        Self::builder().on_thread_start(move || on_start()).on_thread_stop(move || on_stop()).build()
    }

    fn spawner(&self) -> ThreadedHandle {
        self.handle()
    }
}

impl Spawner for ThreadedHandle {
    type Handle = Joined;

    fn spawn_job(&self, job: Job<Self>) -> Joined {
        self.spawn(job).into()
    }
}

impl Subject for Local {
    const NAME: &'static str = "local";
    const WINDOW: usize = 512;
    const EPOCH: u32 = 20_000;
    const IS_LOCAL: bool = true;
    const LEFT_OUT: &'static [(Fault, &'static str)] = &[
        (Fault::BlockedWorker, "its only thread is the one that would release it"),
        (Fault::PanicInStartHook, "it starts no threads"),
        (Fault::PanicInStopHook, "it starts no threads"),
    ];
    type Spawner = LocalHandle;

    fn start(_: Threads) -> io::Result<Self> {
        Ok(Self::new())
    }

    fn spawner(&self) -> LocalHandle {
        self.handle()
    }
}

impl Spawner for LocalHandle {
    type Handle = Joined;

    fn spawn_job(&self, job: Job<Self>) -> Joined {
        self.spawn(job).into()
    }

    fn spawn_local_job(&self, job: LocalJob<Self>) -> Joined {
        self.spawn_local(job).into()
    }
}
