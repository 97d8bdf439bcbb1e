//! What the workers and the handles of a pool share.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;

use crossbeam_deque::{Injector, Steal, Stealer};
use polyexec_core::{LiveTasks, Task, block_in_place};
use polyexec_crew::Crew;

use crate::sleep::Sleep;
use crate::worker::Worker;

pub(crate) struct Shared {
    /// Every task that isn't over.
    pub(crate) live: LiveTasks,
    /// Tasks from threads that are no workers.
    pub(crate) injector: Injector<Task>,
    /// The other end of each worker's queue.
    pub(crate) stealers: Box<[Stealer<Task>]>,
    pub(crate) sleep: Sleep,
    /// The threads. A job is to be a worker, for as long as the thread doesn't block.
    pub(crate) crew: Crew<Worker>,
    /// Set by the shutdown, after every task was ended. Never cleared.
    closed: AtomicBool,
}

impl Shared {
    pub(crate) fn new(stealers: Box<[Stealer<Task>]>, crew: Crew<Worker>) -> Self {
        Self {
            live: LiveTasks::new(),
            injector: Injector::new(),
            sleep: Sleep::new(stealers.len()),
            stealers,
            crew,
            closed: AtomicBool::new(false),
        }
    }

    /// Queues a task that comes from elsewhere than a worker.
    pub(crate) fn inject(&self, task: Task) {
        self.injector.push(task);
        self.sleep.notify();
        // SeqCst: either the shutdown, which sets `closed` and then empties the injector, finds the task, or we find
        // the pool closed.
        if self.is_closed() {
            self.drop_injected();
        }
    }

    /// Ends everything: the tasks, then the workers.
    pub(crate) fn shut_down(&self) {
        self.live.close();
        self.closed.store(true, SeqCst);
        self.sleep.wake_all();
        self.crew.close();
        // This may be a task of another executor, and tasks that are still polled here may wait for it.
        block_in_place(|| self.crew.join());
        self.drop_injected();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(SeqCst)
    }

    /// Whether there is a task in any queue, at this moment.
    pub(crate) fn has_tasks(&self) -> bool {
        !self.injector.is_empty() || self.stealers.iter().any(|stealer| !stealer.is_empty())
    }

    /// The tasks have ended; what is left is their memory, and that holds on to the pool.
    fn drop_injected(&self) {
        while let Some(task) = persist(|| self.injector.steal()) {
            drop(task);
        }
    }
}

/// Tries until the queue has given a task or was seen empty.
pub(crate) fn persist(mut steal: impl FnMut() -> Steal<Task>) -> Option<Task> {
    loop {
        match steal() {
            Steal::Success(task) => return Some(task),
            Steal::Empty => return None,
            Steal::Retry => std::hint::spin_loop(),
        }
    }
}
