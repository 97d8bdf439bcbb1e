//! Wakes a sleeper when there is something to see to. Knows nothing of what that is.
//!
//! The sleeper says that it sleeps, fence, looks once more. Who has something for it makes that visible, fence, and wakes
//! it if it sleeps. One of the two fences comes first, and the other side sees what was written before that.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use crate::sync::{AtomicBool, fence};

/// Has a thread that looks after something be woken when there is something to look after, for next to nothing while it is
/// awake.
///
/// The sleeper [sets](Alarm::set) it, and sleeps if it sees nothing then; whoever has something for it makes that visible
/// and [rings](Alarm::ring).
#[derive(Debug, Default)]
pub struct Alarm {
    /// Set by the sleeper, cleared by it or by whoever wakes it.
    asleep: AtomicBool,
}

impl Alarm {
    /// An alarm that isn't set.
    #[cfg(not(polyexec_loom))]
    pub const fn new() -> Self {
        Self { asleep: AtomicBool::new(false) }
    }

    /// For the sleeper: from now on it is woken for what `look` doesn't see.
    pub fn set<T>(&self, look: impl FnOnce() -> T) -> T {
        self.asleep.store(true, Relaxed);
        // Pairs with the fence in `ring`.
        fence(SeqCst);
        look()
    }

    /// For the sleeper that stays awake.
    pub fn unset(&self) {
        self.asleep.store(false, Relaxed);
    }

    /// Calls `wake` if the sleeper sleeps, or is about to.
    #[inline]
    pub fn ring(&self, wake: impl FnOnce()) {
        // Pairs with the fence in `set`.
        fence(SeqCst);
        if self.asleep.load(Relaxed) && self.asleep.swap(false, Relaxed) {
            wake();
        }
    }
}
