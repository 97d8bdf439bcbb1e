//! The single-threaded queue.

use std::io;

use polyexec_core::JoinHandle;
use polyexec_local::{Local, LocalHandle};

use super::Owner;
use super::ours::Of;
use crate::faults::Fault;
use crate::outcome::Output;
use crate::subject::{LocalJob, Threads};

impl Owner for Local {
    const NAME: &'static str = "local";
    const WINDOW: usize = 512;
    const EPOCH: u32 = 20_000;
    const HOME: bool = true;
    const LEFT_OUT: &'static [(Fault, &'static str)] = &[
        (Fault::BlockedWorker, "its only thread is the one that would release it"),
        (Fault::PanicInStartHook, "it starts no threads"),
        (Fault::PanicInStopHook, "it starts no threads"),
    ];
    type Handle = LocalHandle;

    fn start(_: Threads) -> io::Result<Self> {
        Ok(Self::new())
    }

    fn handle(&self) -> LocalHandle {
        self.handle()
    }

    fn spawn_local(handle: &LocalHandle, job: LocalJob<Of<Self>>) -> JoinHandle<Output> {
        handle.spawn_local(job)
    }
}
