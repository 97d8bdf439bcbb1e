//! A thread a task.

use std::io;

use polyexec_threaded::{Threaded, ThreadedHandle};

use super::Owner;
use crate::faults::Fault;
use crate::subject::Threads;

impl Owner for Threaded {
    const NAME: &'static str = "threaded";
    // So many threads, more or less.
    const WINDOW: usize = 48;
    const EPOCH: u32 = 10_000;
    const HOME: bool = false;
    const LEFT_OUT: &'static [(Fault, &'static str)] = &[(Fault::LocalFuture, "its tasks run on threads of their own")];
    type Handle = ThreadedHandle;

    fn start(threads: Threads) -> io::Result<Self> {
        let Threads { workers: _, on_start, on_stop } = threads;
        Self::builder().on_thread_start(move || on_start()).on_thread_stop(move || on_stop()).build()
    }

    fn handle(&self) -> ThreadedHandle {
        self.handle()
    }
}
