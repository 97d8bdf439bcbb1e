//! What a pool's threads do.

use std::sync::Arc;

use polyexec_core::Handle;
use polyexec_core::executor::context;
use polyexec_threads::{Jobs, contain};

use crate::shared::Shared;
use crate::system::ThreadId;
use crate::worker::{self, Worker};
use crate::{PoolHandle, Stall};

pub(crate) type OnStall = Arc<dyn Fn(&Stall) + Send + Sync>;
pub(crate) type Hook = Arc<dyn Fn() + Send + Sync>;

/// What the user wants called where a worker sleeps. The crew calls the hooks of its threads.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    pub(crate) on_stall: Option<OnStall>,
    pub(crate) on_park: Option<Hook>,
    pub(crate) on_unpark: Option<Hook>,
}

pub(crate) enum Job {
    /// To work as this one, until the thread blocks or the pool shuts down.
    Work(Box<Worker>),
    /// To tell whoever wants to know of it. On a thread of its own: it may block.
    Tell(Stall, Arc<Shared>),
}

impl Job {
    fn shared(&self) -> &Arc<Shared> {
        match self {
            Self::Work(worker) => worker.shared(),
            Self::Tell(_, shared) => shared,
        }
    }
}

/// What each thread does: works as one worker after another. It is a spare in between.
pub(crate) fn take(jobs: Jobs<Job>) {
    let (mut resident, mut thread) = (None, None);
    for job in jobs {
        // Once a thread: all its jobs are of the same pool.
        resident.get_or_insert_with(|| context::reside(Handle::new(PoolHandle::new(job.shared().clone()))));
        match job {
            Job::Work(worker) => worker::work(*worker, thread.get_or_insert_with(ThreadId::here)),
            Job::Tell(stall, shared) => shared.hooks.on_stall.iter().for_each(|on_stall| contain(|| on_stall(&stall))),
        }
    }
}
