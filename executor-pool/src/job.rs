//! What a pool's threads do.

use std::sync::Arc;

use polyexec_core::{Handle, context};
use polyexec_crew::{Jobs, contain};

use crate::system::ThreadId;
use crate::worker::{self, Worker};
use crate::{PoolHandle, Stall};

pub(crate) type OnStall = Arc<dyn Fn(&Stall) + Send + Sync>;

pub(crate) enum Job {
    /// To work as this one, until the thread blocks or the pool shuts down.
    Work(Box<Worker>),
    /// To tell whoever wants to know of it. On a thread of its own: it may block.
    Tell(Stall, OnStall),
}

/// What each thread does: works as one worker after another. It is a spare in between.
pub(crate) fn take(jobs: Jobs<Job>) {
    let (mut resident, mut thread) = (None, None);
    for job in jobs {
        match job {
            Job::Work(worker) => {
                // Once a thread: all its workers are of the same pool.
                let handle = || Handle::new(PoolHandle::new(worker.shared().clone()));
                resident.get_or_insert_with(|| context::reside(handle()));
                worker::work(*worker, thread.get_or_insert_with(ThreadId::here));
            }
            Job::Tell(stall, on_stall) => contain(|| on_stall(&stall)),
        }
    }
}
