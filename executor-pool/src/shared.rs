//! What a pool's workers and handles share.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Release};

use crossbeam_utils::CachePadded;
use polyexec_core::executor::{OwnedTasks, Task};
use polyexec_threads::ThreadPool;

use crate::hooks::Hooks;
use crate::injector::Injector;
use crate::job::Job;
use crate::remote::Remote;
use crate::remotes::Remotes;
use crate::sleep::{Queued, Sleep};
use crate::sync::AtomicBool;

pub(crate) struct Shared {
    /// Tasks that have been idle at least once and haven't ended.
    pub(crate) tasks: OwnedTasks,
    /// Tasks from other threads than workers. Padded: those threads write to it all the time, and the workers read the rest.
    pub(crate) injector: CachePadded<Injector>,
    /// The number of workers. A detached one no longer counts.
    pub(crate) workers: usize,
    pub(crate) remotes: Remotes,
    pub(crate) sleep: Sleep,
    pub(crate) threads: ThreadPool<Box<dyn Job>>,
    pub(crate) hooks: Hooks,
    /// Set by the shutdown after it closed `tasks`. Never cleared.
    closed: AtomicBool,
}

impl Shared {
    pub(crate) fn new(
        remotes: Arc<[Arc<CachePadded<Remote>>]>,
        sleep: Sleep,
        threads: ThreadPool<Box<dyn Job>>,
        hooks: Hooks,
    ) -> Self {
        Self {
            tasks: OwnedTasks::new(),
            injector: CachePadded::default(),
            workers: remotes.len(),
            remotes: Remotes::new(remotes),
            sleep,
            threads,
            hooks,
            closed: AtomicBool::new(false),
        }
    }

    /// Queues a task for any worker, or gives it back if the pool has shut down.
    pub(crate) fn inject(&self, task: Task) -> Result<(), Task> {
        self.injector.push(task)?;
        self.sleep.notify(Queued::Injected);
        Ok(())
    }

    /// Ends every worker, and refuses what is injected later.
    pub(crate) fn close_queues(&self) {
        // Release: pairs with the Acquire in `is_closed`. Sleepers are woken below; a worker that is about to sleep looks
        // once more after it has registered.
        self.closed.store(true, Release);
        self.sleep.wake_all();
        let left = self.injector.close();
        drop(left);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Acquire)
    }
}
