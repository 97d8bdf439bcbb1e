//! Until when a thread waits, and who has to tell it that it waits for too long.
//!
//! Who waits says that it waits, fence, and then looks which timer is the first. Whoever sets a timer makes that visible, fence,
//! and then looks until when somebody waits. One of the two fences comes first, and the other side sees what was written before
//! that.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use super::{NEVER, Tick};
use crate::driver::sync::{AtomicU64, fence};

#[cfg(all(test, polyexec_loom))]
mod models;

/// When the thread that waits will look by itself: one at a time waits.
#[derive(Default)]
pub(super) struct NextWake {
    /// `NOBODY`, or a tick: `NEVER` at first. Until it ends, it only becomes earlier.
    until: AtomicU64,
}

/// Nobody waits. Earlier than any tick.
const NOBODY: Tick = 0;

/// What whoever has set a timer owes.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OnSet {
    /// The thread that waits would wait for too long: interrupt it.
    Interrupt,
    /// Nobody waits: see that somebody will.
    Announce,
    /// Nothing: the thread that waits does so for less.
    Nothing,
}

// Relaxed, everywhere: the fences order it.
impl NextWake {
    /// For who is about to wait: from now on it is told of timers that it doesn't see.
    pub(super) fn begin(&self) {
        self.until.store(NEVER, Relaxed);
        // Pairs with the fence in `on_set`.
        fence(SeqCst);
    }

    /// For who waits: it will not do so for longer.
    pub(super) fn lasts_until(&self, first: Tick) {
        // If it was told meanwhile, it is to wait for less.
        self.until.fetch_min(first, Relaxed);
    }

    /// For who waits no longer. Who sets a timer may see that late; so the driver's alarm is to be rung afterwards, whose
    /// sleeper looks which timers there are.
    pub(super) fn end(&self) {
        self.until.store(NOBODY, Relaxed);
    }

    /// For who has set a timer.
    pub(super) fn on_set(&self, due: Tick) -> OnSet {
        // Pairs with the fence in `begin`.
        fence(SeqCst);
        match self.until.load(Relaxed) {
            NOBODY => OnSet::Announce,
            until if until <= due => OnSet::Nothing,
            _ => self.shorten(due),
        }
    }

    /// Of those who find at once that the next_wake is too long, one is enough to say so.
    #[cold]
    fn shorten(&self, due: Tick) -> OnSet {
        match self.until.fetch_min(due, Relaxed) {
            NOBODY => OnSet::Announce,
            until if until <= due => OnSet::Nothing,
            _ => OnSet::Interrupt,
        }
    }
}
