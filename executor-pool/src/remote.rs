//! What other threads see of a worker: the tasks they may steal, its polls, and whether it may be detached. Moves tasks, never
//! runs one.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use polyexec_core::AbortHandle;
use polyexec_core::executor::Task;

use crate::lifo_slot::LifoSlot;
use crate::sync::deque::{Steal, Stealer, Worker as Queue};
use crate::sync::{AtomicU8, AtomicU32, Mutex};
use crate::system::ThreadId;

#[cfg(all(test, polyexec_loom))]
mod models;

// The states. The README beside this file has the transitions.

/// It runs no tasks: it sleeps, searches, or changes threads. The monitor can't detach it. Set by the worker.
const NOT_RUNNING: u8 = 0;
/// It runs tasks. Set by the worker, cleared by it or by the monitor.
const RUNNING: u8 = 1;
/// Another worker has its slot. Set by the monitor, cleared by the worker.
const DETACHED: u8 = 2;
/// It was detached, knows it, and has given its tasks to others. Set by the worker, never cleared.
const DONE: u8 = 3;

pub(crate) struct Remote {
    /// The other end of its queue.
    queue: Stealer<Task>,
    pub(crate) lifo: LifoSlot,
    /// Polls begun. While this stays, the worker is in the same poll.
    polls: AtomicU32,
    /// `NOT_RUNNING`, `RUNNING`, `DETACHED` or `DONE`.
    state: AtomicU8,
    /// The thread that runs it.
    thread: ThreadId,
    /// The task in its poll, where long polls are reported.
    reported: Mutex<Option<AbortHandle>>,
}

impl Remote {
    /// A stopped worker that has begun `polls` polls.
    pub(crate) fn new(queue: Stealer<Task>, polls: u32) -> Self {
        Self {
            queue,
            lifo: LifoSlot::default(),
            polls: AtomicU32::new(polls),
            state: AtomicU8::new(NOT_RUNNING),
            thread: ThreadId::default(),
            reported: Mutex::new(None),
        }
    }

    /// Whether there is a task at all.
    ///
    /// The LIFO slot first: a task that woke itself is queued without a notification, before the worker empties the slot. A
    /// thread that sees the slot empty therefore sees that task.
    pub(crate) fn has_tasks(&self) -> bool {
        self.lifo.is_filled() || !self.queue.is_empty()
    }

    /// Whether more tasks wait than the one that the worker is about to run itself.
    pub(crate) fn has_plenty(&self) -> bool {
        match self.queue.len() {
            0 => false,
            1 => self.lifo.is_filled(),
            _ => true,
        }
    }

    /// Takes half of the queue, or else the task of the LIFO slot. Returns the first, and puts the others in `local`.
    pub(crate) fn steal(&self, local: &Queue<Task>) -> Option<Task> {
        loop {
            match self.queue.steal_batch_and_pop(local) {
                Steal::Success(task) => return Some(task),
                Steal::Empty => return self.lifo.steal(),
                Steal::Retry => std::hint::spin_loop(),
            }
        }
    }

    /// Ends all tasks, if their worker will not.
    pub(crate) fn end_tasks(&self) {
        while !self.queue.is_empty() {
            drop(self.queue.steal());
        }
        drop(self.lifo.steal());
    }

    /// The number of polls begun.
    pub(crate) fn polls(&self) -> u32 {
        // Relaxed, here and below: it is compared with itself, and orders nothing.
        self.polls.load(Relaxed)
    }

    pub(crate) fn begin_poll(&self, polls: u32) {
        self.polls.store(polls, Relaxed);
    }

    /// The worker runs tasks from now on. The caller then notifies the monitor.
    pub(crate) fn start(&self) {
        // A store is enough: the monitor changes no stopped worker. Release: pairs with the Acquire in `detach`.
        self.state.store(RUNNING, Release);
    }

    /// The worker is about to search or to change threads. `false` if it was detached, and has no slot any more.
    #[must_use]
    pub(crate) fn leave_running(&self) -> bool {
        // Relaxed: the worker reads nothing that the monitor wrote.
        self.state.compare_exchange(RUNNING, NOT_RUNNING, Relaxed, Relaxed) != Err(DETACHED)
    }

    /// Takes the worker's slot away, unless it has stopped.
    #[must_use]
    pub(crate) fn detach(&self) -> bool {
        // Acquire: pairs with the Release in `start`. What the stopped worker did with its slot is visible to the next one.
        self.state.compare_exchange(RUNNING, DETACHED, Acquire, Relaxed).is_ok()
    }

    pub(crate) fn is_running(&self) -> bool {
        // Relaxed: a hint, or it comes after a fence.
        self.state.load(Relaxed) == RUNNING
    }

    /// Whether another worker has its slot. May be late; the monitor takes what the worker queues until it knows.
    pub(crate) fn is_detached(&self) -> bool {
        self.state.load(Relaxed) == DETACHED
    }

    /// The detached worker has no more tasks, and gets none.
    pub(crate) fn mark_done(&self) {
        // Relaxed: nothing is read of a worker that is gone.
        self.state.store(DONE, Relaxed);
    }

    pub(crate) fn is_done(&self) -> bool {
        self.state.load(Relaxed) == DONE
    }

    pub(crate) fn thread(&self) -> &ThreadId {
        &self.thread
    }

    /// Runs `poll`, and reports its task as stalled if that takes long.
    pub(crate) fn reporting<T>(&self, task: AbortHandle, poll: impl FnOnce() -> T) -> T {
        let id = task.id();
        let before = self.reported.lock().replace(task);
        drop(before);
        let result = poll();
        // The worker may have been handed over, and be in the poll of another task by now.
        let reported = self.reported.lock().take_if(|task| task.id() == id);
        drop(reported);
        result
    }

    /// Doesn't report the current task: it has announced that it blocks.
    pub(crate) fn forget_reported(&self) {
        let reported = self.reported.lock().take();
        drop(reported);
    }

    /// The task to report, once, if the worker is still in the poll of this number.
    pub(crate) fn take_reported(&self, polls: u32) -> Option<AbortHandle> {
        let mut reported = self.reported.lock();
        // Under the lock: a task that was set after a later poll began is seen together with that.
        reported.take_if(|_| self.polls() == polls)
    }
}

#[cfg(all(test, not(polyexec_loom)))]
mod tests {
    use super::*;

    fn remote() -> Remote {
        Remote::new(Queue::new_fifo().stealer(), 0)
    }

    #[test]
    fn a_stopped_worker_keeps_its_slot() {
        let remote = remote();
        assert!(!remote.is_running() && !remote.detach());
        remote.start();
        assert!(remote.is_running());
        assert!(remote.leave_running());
        assert!(!remote.detach() && !remote.is_detached());
    }

    #[test]
    fn a_detached_worker_has_no_slot() {
        let remote = remote();
        remote.start();
        assert!(remote.detach());
        assert!(remote.is_detached() && !remote.is_running());
        assert!(!remote.detach() && !remote.leave_running());
        remote.mark_done();
        assert!(remote.is_done() && !remote.detach());
    }
}
