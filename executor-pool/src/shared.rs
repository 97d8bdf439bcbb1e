//! What the workers and the handles of a pool share.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU32};

use crossbeam_deque::{Steal, Stealer, Worker as Queue};
use crossbeam_utils::CachePadded;
use polyexec_core::{LiveTasks, Task, block_in_place};
use polyexec_crew::Crew;

use crate::injector::Injector;
use crate::next::Next;
use crate::sleep::{Queued, Sleep};
use crate::worker::Worker;

pub(crate) struct Shared {
    /// The tasks that rest.
    pub(crate) live: LiveTasks,
    /// Tasks from threads that are no workers.
    pub(crate) injector: Injector,
    /// What others see of each worker.
    pub(crate) desks: Box<[Arc<CachePadded<Desk>>]>,
    pub(crate) sleep: Sleep,
    /// The threads. A job is to be a worker, for as long as the thread doesn't block.
    pub(crate) crew: Crew<Worker>,
    /// Set by the shutdown, after `live` was closed. Never cleared.
    closed: AtomicBool,
}

/// A worker, as others see it.
pub(crate) struct Desk {
    /// The other end of its queue.
    pub(crate) queue: Stealer<Task>,
    pub(crate) next: Next,
    /// How many tasks it has begun to poll, to be seen: as long as this stays, it is in the same poll.
    pub(crate) polls: AtomicU32,
}

impl Desk {
    pub(crate) fn new(queue: Stealer<Task>) -> Self {
        Self { queue, next: Next::default(), polls: AtomicU32::new(0) }
    }

    /// Whether there is a task at all. A task that woke itself is queued without a notification, before the worker takes
    /// the one that is next: so whoever sees that one gone sees the other.
    pub(crate) fn has_tasks(&self) -> bool {
        self.next.is_filled() || !self.queue.is_empty()
    }

    /// Whether more tasks wait than the one that the worker is about to run itself.
    pub(crate) fn has_plenty(&self) -> bool {
        match self.queue.len() {
            0 => false,
            1 => self.next.is_filled(),
            _ => true,
        }
    }

    /// Takes half of the tasks in its queue, or else the one that is next: the first is returned, the others go to
    /// `local`.
    pub(crate) fn steal(&self, local: &Queue<Task>) -> Option<Task> {
        loop {
            match self.queue.steal_batch_and_pop(local) {
                Steal::Success(task) => return Some(task),
                Steal::Empty => return self.next.steal(),
                Steal::Retry => std::hint::spin_loop(),
            }
        }
    }

    /// Relaxed: it is compared with itself, and orders nothing.
    pub(crate) fn polls(&self) -> u32 {
        self.polls.load(Relaxed)
    }
}

impl Shared {
    pub(crate) fn new(desks: Box<[Arc<CachePadded<Desk>>]>, sleep: Sleep, crew: Crew<Worker>) -> Self {
        Self {
            live: LiveTasks::new(),
            injector: Injector::default(),
            sleep,
            desks,
            crew,
            closed: AtomicBool::new(false),
        }
    }

    /// Queues a task that comes from elsewhere than a worker, or gives it back if the pool has shut down.
    pub(crate) fn inject(&self, task: Task) -> Result<(), Task> {
        self.injector.push(task)?;
        self.sleep.notify(Queued::Injected);
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
        // Workers whose tasks blocked, and for whom there was no thread yet: those tasks may wait for others in their queues.
        let workers = self.crew.close();
        drop(workers);
        // This may be a task of another executor, and tasks that are still polled here may wait for it.
        block_in_place(|| self.crew.join());
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Acquire)
    }

    /// Whether a worker that is about to sleep must look once more; not at what workers have queued, if somebody else sees
    /// to that.
    pub(crate) fn must_look(&self, is_seen_to: bool) -> bool {
        self.is_closed() || if is_seen_to { !self.injector.is_empty() } else { self.has_tasks() }
    }

    /// Whether there is a task in any queue, at this moment.
    pub(crate) fn has_tasks(&self) -> bool {
        !self.injector.is_empty() || self.desks.iter().any(|desk| desk.has_tasks())
    }
}
