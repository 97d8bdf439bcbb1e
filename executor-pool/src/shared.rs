//! What the workers and the handles of a pool share.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Release};

use crossbeam_deque::Stealer;
use polyexec_core::{LiveTasks, Task, block_in_place};
use polyexec_crew::Crew;

use crate::injector::Injector;
use crate::sleep::Sleep;
use crate::worker::Worker;

pub(crate) struct Shared {
    /// The tasks that rest.
    pub(crate) live: LiveTasks,
    /// Tasks from threads that are no workers.
    pub(crate) injector: Injector,
    /// The other end of each worker's queue.
    pub(crate) stealers: Box<[Stealer<Task>]>,
    pub(crate) sleep: Sleep,
    /// The threads. A job is to be a worker, for as long as the thread doesn't block.
    pub(crate) crew: Crew<Worker>,
    /// Set by the shutdown, after `live` was closed. Never cleared.
    closed: AtomicBool,
}

impl Shared {
    pub(crate) fn new(stealers: Box<[Stealer<Task>]>, sleep: Sleep, crew: Crew<Worker>) -> Self {
        Self {
            live: LiveTasks::new(),
            injector: Injector::default(),
            sleep,
            stealers,
            crew,
            closed: AtomicBool::new(false),
        }
    }

    /// Queues a task that comes from elsewhere than a worker, or gives it back if the pool has shut down.
    pub(crate) fn inject(&self, task: Task) -> Result<(), Task> {
        self.injector.push(task)?;
        self.sleep.notify();
        Ok(())
    }

    /// Ends everything: the tasks that rest, those that are injected, and the workers, each with the tasks in its queue.
    pub(crate) fn shut_down(&self) {
        self.live.close();
        // Release: pairs with the Acquire in `is_closed`. Workers that sleep are woken below; those that are about to
        // look once more after they have said so.
        self.closed.store(true, Release);
        self.sleep.wake_all();
        let left = self.injector.close();
        drop(left);
        self.crew.close();
        // This may be a task of another executor, and tasks that are still polled here may wait for it.
        block_in_place(|| self.crew.join());
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Acquire)
    }

    /// Whether there is a task in any queue, at this moment.
    pub(crate) fn has_tasks(&self) -> bool {
        !self.injector.is_empty() || self.stealers.iter().any(|stealer| !stealer.is_empty())
    }
}
