//! Records what happens to one task and its handle. `judge` judges it once the epoch is at rest.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32};

/// How a handle resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Resolved {
    /// It hasn't.
    Not,
    /// With the output.
    Ready,
    /// As cancelled.
    Cancelled,
    /// With the panic that was planned.
    Panicked,
    /// As shut down, when the owner was being dropped or gone.
    ShutDown,
    /// With an unexpected result.
    Oddly,
}

/// How a future came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Ended {
    /// It hasn't, or was dropped instead.
    Not,
    /// It was ready.
    Ready,
    /// Its poll panicked.
    Panicked,
}

/// Whether a task's handle must resolve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Custody {
    /// None: the handle was dropped.
    Detached,
    /// A waiter: the handle must resolve.
    Joined,
}

/// One task's life. The counters are bytes: only a multiple of 256 faults of one kind would look like none.
#[derive(Debug, Default)]
pub struct Record {
    pub(crate) polls: AtomicU16,
    pub(crate) spawned: AtomicU8,
    /// Set while a poll runs.
    pub(crate) polling: AtomicU8,
    /// Polls that were not allowed.
    pub(crate) bad_polls: AtomicU8,
    pub(crate) polls_after_abort: AtomicU8,
    pub(crate) ended: AtomicU8,
    pub(crate) future_drops: AtomicU8,
    /// Set by a drop that panicked.
    pub(crate) drop_panicked: AtomicU8,
    pub(crate) outputs: AtomicU8,
    pub(crate) output_drops: AtomicU8,
    pub(crate) deliveries: AtomicU8,
    pub(crate) resolved: AtomicU8,
    pub(crate) resolutions: AtomicU8,
    pub(crate) custody: AtomicU8,
    /// A poll is due. Set before a spawn or a wake, cleared by the poll that follows.
    pub(crate) owed: AtomicU8,
    /// How often a foreign thread has signalled.
    pub(crate) signals: AtomicU8,
    /// Set before an abort.
    pub(crate) abort_asked: AtomicU8,
    /// Set after it.
    pub(crate) aborted: AtomicU8,
    pub(crate) wrong_thread: AtomicU8,
    /// One more than the number of the task that waits for this one. Zero: no task does.
    pub(crate) joiner: AtomicU32,
}

impl Record {
    /// The task is about to be spawned.
    pub fn spawn(&self) {
        self.owed.store(1, Relaxed);
        self.spawned.store(1, Release);
    }

    /// The task is about to be woken. What it waits for was changed before.
    pub fn owe(&self) {
        self.owed.store(1, Release);
    }

    /// A poll begins: whether it may. If so, [`end_poll`](Record::end_poll) ends it.
    #[must_use]
    pub fn begin_poll(&self) -> bool {
        if self.polling.swap(1, AcqRel) != 0 {
            self.bad_polls.fetch_add(1, Relaxed);
            return false;
        }
        if self.ended.load(Relaxed) != 0 || self.future_drops.load(Relaxed) != 0 {
            self.bad_polls.fetch_add(1, Relaxed);
            self.end_poll();
            return false;
        }
        if self.aborted.load(Acquire) != 0 {
            self.polls_after_abort.fetch_add(1, Relaxed);
        }
        self.polls.fetch_add(1, Relaxed);
        // Acquire: pairs with the Release in `owe`; this poll sees what came before it.
        self.owed.swap(0, Acquire);
        true
    }

    /// A poll ends.
    pub fn end_poll(&self) {
        self.polling.store(0, Release);
    }

    /// The future came to its end.
    pub fn end(&self, how: Ended) {
        self.ended.store(how as u8, Release);
    }

    /// Calls `abort`, and notes that.
    pub fn abort(&self, abort: impl FnOnce()) {
        self.abort_asked.store(1, Release);
        abort();
        self.aborted.store(1, Release);
    }

    /// Whether the handle must resolve.
    pub fn set_custody(&self, custody: Custody) {
        self.custody.store(custody as u8, Release);
    }

    /// The task that waits for this one, if a task does.
    pub fn set_joiner(&self, task: Option<u32>) {
        self.joiner.store(task.map_or(0, |task| task + 1), Relaxed);
    }

    /// The handle resolved.
    pub fn resolve(&self, how: Resolved) {
        self.resolved.store(how as u8, Relaxed);
        self.resolutions.fetch_add(1, Release);
    }

    /// Whether it was spawned.
    pub fn is_spawned(&self) -> bool {
        self.spawned.load(Acquire) != 0
    }

    /// Whether the future is gone.
    pub fn is_over(&self) -> bool {
        self.future_drops.load(Acquire) != 0
    }

    /// Changes with everything that happens.
    pub fn progress(&self) -> u64 {
        u64::from(self.polls.load(Relaxed))
            + u64::from(self.spawned.load(Relaxed))
            + u64::from(self.future_drops.load(Relaxed))
            + u64::from(self.resolutions.load(Relaxed))
            + u64::from(self.output_drops.load(Relaxed))
            + u64::from(self.aborted.load(Relaxed))
    }
}
