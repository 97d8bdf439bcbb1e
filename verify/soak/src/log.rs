//! What is known of an epoch whatever its executor's type: the record of each task, how often each fault was injected,
//! and how far the epoch has come. Judges nothing.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32};
use std::sync::{Mutex, PoisonError};
use std::task::Waker;

use polyexec_core::AbortHandle;

use crate::faults::Counts;
use crate::outcome::{Outcome, Planned, contain};
use crate::record::{Record, Resolved};

/// How far an epoch has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Phase {
    Starting,
    Working,
    Draining,
    DroppingTheOwner,
    ClosingTheForeignThreads,
    Settling,
    Over,
}

impl Phase {
    const ALL: [Self; 7] = [
        Self::Starting,
        Self::Working,
        Self::Draining,
        Self::DroppingTheOwner,
        Self::ClosingTheForeignThreads,
        Self::Settling,
        Self::Over,
    ];
}

/// An epoch's log.
#[derive(Debug)]
pub struct Log {
    /// The executor's name.
    pub subject: &'static str,
    /// Which epoch it is.
    pub epoch: u64,
    /// Whether tasks run on the driver's thread only.
    pub is_local: bool,
    /// One for each task there may be.
    pub records: Box<[Record]>,
    /// What was injected.
    pub faults: Counts,
    /// Join wakers that panic, made and not yet dropped.
    pub bad_wakers: AtomicU32,
    /// Panics of tasks that reached other code.
    pub escaped_panics: AtomicU32,
    phase: AtomicU8,
    closing: AtomicBool,
    stalled: AtomicBool,
    /// Wakes the spawning future when nothing makes progress any more.
    root: Mutex<Option<Waker>>,
}

impl Log {
    /// For an epoch with at most this number of tasks.
    pub fn new(subject: &'static str, epoch: u64, is_local: bool, tasks: u32) -> Self {
        Self {
            subject,
            epoch,
            is_local,
            records: (0..tasks).map(|_| Record::default()).collect(),
            faults: Counts::new(),
            bad_wakers: AtomicU32::new(0),
            escaped_panics: AtomicU32::new(0),
            phase: AtomicU8::new(Phase::Starting as u8),
            closing: AtomicBool::new(false),
            stalled: AtomicBool::new(false),
            root: Mutex::new(None),
        }
    }

    /// A task's record.
    pub fn record(&self, index: u32) -> &Record {
        &self.records[index as usize]
    }

    /// The epoch has come so far.
    pub fn enter(&self, phase: Phase) {
        if phase == Phase::DroppingTheOwner {
            self.closing.store(true, Release);
        }
        self.phase.store(phase as u8, Release);
    }

    /// How far it has come.
    pub fn phase(&self) -> Phase {
        Phase::ALL[usize::from(self.phase.load(Acquire))]
    }

    /// Whether the owner is being dropped, or gone.
    pub fn is_closing(&self) -> bool {
        self.closing.load(Acquire)
    }

    /// Makes the spawning future give up, since nothing makes progress any more.
    pub fn stall(&self) {
        self.stalled.store(true, Release);
        let root = self.root.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(root) = root {
            root.wake();
        }
    }

    /// Whether nothing makes progress any more.
    pub fn is_stalled(&self) -> bool {
        self.stalled.load(Acquire)
    }

    /// Has [`stall`](Log::stall) wake `root`.
    pub fn watch(&self, root: &Waker) {
        let mut slot = self.root.lock().unwrap_or_else(PoisonError::into_inner);
        if !slot.as_ref().is_some_and(|waker| waker.will_wake(root)) {
            *slot = Some(root.clone());
        }
    }

    /// Drops the waker.
    pub fn unwatch(&self) {
        self.root.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Changes while anything makes progress.
    pub fn progress(&self) -> u64 {
        self.records.iter().map(Record::progress).sum::<u64>() + u64::from(self.phase.load(Relaxed))
    }

    /// Calls into the executor, where no task's panic may come from: `None` if one does.
    pub fn guard<T>(&self, call: impl FnOnce() -> T) -> Option<T> {
        let returned = contain(call);
        if returned.is_none() {
            self.escaped_panics.fetch_add(1, Relaxed);
        }
        returned
    }

    /// Aborts the task `index`.
    pub fn abort(&self, index: u32, aborter: &AbortHandle) {
        self.record(index).abort(|| {
            self.guard(|| aborter.abort());
        });
    }

    /// A handle resolved.
    pub fn resolve(&self, index: u32, outcome: Outcome) {
        let how = match outcome {
            Outcome::Ready(output) => {
                let is_its_own = output.deliver(index);
                contain(|| drop(output));
                if is_its_own { Resolved::Ready } else { Resolved::Oddly }
            }
            Outcome::Cancelled => Resolved::Cancelled,
            Outcome::ShutDown if self.is_closing() => Resolved::ShutDown,
            Outcome::Panicked(payload) if Planned::is(&*payload, index) => Resolved::Panicked,
            Outcome::ShutDown | Outcome::Panicked(_) | Outcome::Other => Resolved::Oddly,
        };
        self.record(index).resolve(how);
    }
}
