//! A worker, as others see it: what they may take from it, whether it is in a long poll, and who has its seat. Moves tasks,
//! never runs one.
//!
//! # Whose seat it is
//!
//! A worker is [`AWAY`] while it sleeps, or is on its way from one thread to another; else it is [`AT_WORK`], and then a
//! monitor may relieve it for good. Only whoever has the worker changes it from `AWAY`, so that to come takes no more
//! than a store; to leave it has to ask whether it was relieved. Its index, and with it its place among the sleepers, is
//! used only while it is away: so whoever relieves it may give that to another one at once.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use polyexec_core::AbortHandle;
use polyexec_core::executor::Task;

use crate::next::Next;
use crate::sync::deque::{Steal, Stealer, Worker as Queue};
use crate::sync::{AtomicU8, AtomicU32, Mutex};
use crate::system::ThreadId;

#[cfg(all(test, polyexec_loom))]
mod models;

/// Not to be relieved. Set by the worker.
const AWAY: u8 = 0;
/// It runs tasks, or searches for some. Set by the worker, cleared by it or by whoever relieves it.
const AT_WORK: u8 = 1;
/// Another one has its seat. Set by the monitor, cleared by the worker.
const RELIEVED: u8 = 2;
/// It was relieved, knows it, and has given its tasks to others. Set by the worker, never cleared.
const RETIRED: u8 = 3;

pub(crate) struct Desk {
    /// The other end of its queue.
    queue: Stealer<Task>,
    pub(crate) next: Next,
    /// How many tasks it has begun to poll, to be seen: as long as this stays, it is in the same poll.
    polls: AtomicU32,
    /// `AWAY`, `AT_WORK`, `RELIEVED` or `RETIRED`.
    seat: AtomicU8,
    /// The thread that works as it.
    thread: ThreadId,
    /// The task that is polled, if somebody wants to be told of long polls.
    polled: Mutex<Option<AbortHandle>>,
}

impl Desk {
    /// `polls` so far, as far as others can tell.
    pub(crate) fn new(queue: Stealer<Task>, polls: u32) -> Self {
        Self {
            queue,
            next: Next::default(),
            polls: AtomicU32::new(polls),
            seat: AtomicU8::new(AWAY),
            thread: ThreadId::default(),
            polled: Mutex::new(None),
        }
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

    /// Ends all tasks: those of a worker that comes to them no more.
    pub(crate) fn end_tasks(&self) {
        while !self.queue.is_empty() {
            drop(self.queue.steal());
        }
        drop(self.next.steal());
    }

    /// Relaxed, in both: it is compared with itself, and orders nothing.
    pub(crate) fn polls(&self) -> u32 {
        self.polls.load(Relaxed)
    }

    pub(crate) fn begin_poll(&self, polls: u32) {
        self.polls.store(polls, Relaxed);
    }

    /// The worker runs tasks from now on. The caller then tells the monitor.
    pub(crate) fn come(&self) {
        // Release: pairs with the Acquire in `relieve`.
        self.seat.store(AT_WORK, Release);
    }

    /// The worker is about to sleep, or to change threads. `false`: it was relieved, and has no seat.
    #[must_use]
    pub(crate) fn leave(&self) -> bool {
        // Relaxed: nothing is read that whoever relieved it wrote.
        self.seat.compare_exchange(AT_WORK, AWAY, Relaxed, Relaxed) != Err(RELIEVED)
    }

    /// Takes the worker's seat away, unless it has left by itself.
    #[must_use]
    pub(crate) fn relieve(&self) -> bool {
        // Acquire: pairs with the Release in `come`; what the worker did while it was away is done.
        self.seat.compare_exchange(AT_WORK, RELIEVED, Acquire, Relaxed).is_ok()
    }

    pub(crate) fn is_at_work(&self) -> bool {
        // Relaxed: a hint; or it comes after a fence.
        self.seat.load(Relaxed) == AT_WORK
    }

    /// May be late to say so; what the worker puts here meanwhile, the monitor takes.
    pub(crate) fn is_relieved(&self) -> bool {
        self.seat.load(Relaxed) == RELIEVED
    }

    /// The worker that was relieved has no more tasks, and gets none.
    pub(crate) fn retire(&self) {
        // Relaxed: it is gone, and nobody asks what it did.
        self.seat.store(RETIRED, Relaxed);
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.seat.load(Relaxed) == RETIRED
    }

    pub(crate) fn thread(&self) -> &ThreadId {
        &self.thread
    }

    /// Runs `poll`, during which the task that `polled` aborts is the one to be told of.
    pub(crate) fn noting<T>(&self, polled: AbortHandle, poll: impl FnOnce() -> T) -> T {
        let task = polled.id();
        let before = self.polled.lock().replace(polled);
        drop(before);
        let result = poll();
        // The worker may have gone to another thread meanwhile, which has noted another task.
        let noted = self.polled.lock().take_if(|polled| polled.id() == task);
        drop(noted);
        result
    }

    /// Forgets the task that was noted: it has said itself that it blocks.
    pub(crate) fn forget_noted(&self) {
        let noted = self.polled.lock().take();
        drop(noted);
    }

    /// The task that was noted, to be told of once, if the worker is still in the poll of this number.
    pub(crate) fn take_noted(&self, polls: u32) -> Option<AbortHandle> {
        let mut polled = self.polled.lock();
        // Under the lock: what was noted after another poll had begun isn't seen without that.
        polled.take_if(|_| self.polls() == polls)
    }
}

#[cfg(all(test, not(polyexec_loom)))]
mod tests {
    use super::*;

    fn desk() -> Desk {
        Desk::new(Queue::new_fifo().stealer(), 0)
    }

    #[test]
    fn a_worker_that_is_away_keeps_its_seat() {
        let desk = desk();
        assert!(!desk.is_at_work() && !desk.relieve());
        desk.come();
        assert!(desk.is_at_work());
        assert!(desk.leave());
        assert!(!desk.relieve() && !desk.is_relieved());
    }

    #[test]
    fn a_worker_that_was_relieved_has_no_seat_to_leave() {
        let desk = desk();
        desk.come();
        assert!(desk.relieve());
        assert!(desk.is_relieved() && !desk.is_at_work());
        assert!(!desk.relieve() && !desk.leave());
        desk.retire();
        assert!(desk.is_retired() && !desk.relieve());
    }
}
