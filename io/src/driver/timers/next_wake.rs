//! The time until which a thread waits for events. Tells the setter of a timer whether to interrupt that wait.
//!
//! A waiter stores that it waits, fences, and then reads which timer is first. A setter stores its timer, fences, and then
//! reads until when the waiter waits. One of the two fences comes first. The side whose fence comes second sees the other's
//! store.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use super::{NEVER, Tick};
use crate::driver::sync::{AtomicU64, fence};

#[cfg(all(test, polyexec_loom))]
mod models;

/// When the waiter wakes up by itself. One thread at a time waits.
#[derive(Default)]
pub(super) struct NextWake {
    /// `NOBODY` without a waiter, else a tick. A wait begins with `NEVER`, and only becomes shorter.
    until: AtomicU64,
}

/// No thread waits. Earlier than any tick.
const NOBODY: Tick = 0;

/// What the setter of a timer owes.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OnSet {
    /// The waiter would wake up too late: interrupt it.
    Interrupt,
    /// No thread waits: wake the fallback thread.
    Announce,
    /// Nothing: the waiter wakes up early enough.
    Nothing,
}

// Relaxed, everywhere: the fences order the word.
impl NextWake {
    /// Begins a wait: setters of timers that the waiter doesn't see interrupt it from now on.
    pub(super) fn begin(&self) {
        self.until.store(NEVER, Relaxed);
        // Pairs with the fence in `on_set`.
        fence(SeqCst);
    }

    /// Limits the wait to the tick `first`.
    pub(super) fn lasts_until(&self, first: Tick) {
        // A setter may have shortened the wait already.
        self.until.fetch_min(first, Relaxed);
    }

    /// Ends the wait. A setter may see that late, so the caller rings the driver's alarm afterwards: its sleeper looks which
    /// timers are set.
    pub(super) fn end(&self) {
        self.until.store(NOBODY, Relaxed);
    }

    /// Tells the setter of a timer what it owes.
    pub(super) fn on_set(&self, due: Tick) -> OnSet {
        // Pairs with the fence in `begin`.
        fence(SeqCst);
        match self.until.load(Relaxed) {
            NOBODY => OnSet::Announce,
            until if until <= due => OnSet::Nothing,
            _ => self.shorten(due),
        }
    }

    /// Shortens the wait. If several setters do at once, only one of them interrupts.
    #[cold]
    fn shorten(&self, due: Tick) -> OnSet {
        match self.until.fetch_min(due, Relaxed) {
            NOBODY => OnSet::Announce,
            until if until <= due => OnSet::Nothing,
            _ => OnSet::Interrupt,
        }
    }
}
