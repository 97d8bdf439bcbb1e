//! Wakes a housekeeping thread when it has work. Knows nothing of the work.
//!
//! The sleeper sets its flag, fences, and looks for work once more. The notifier publishes the work, fences, and wakes the
//! sleeper if the flag is set. One of the two fences comes first, and the other side sees what was written before it.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use crate::sync::{AtomicBool, fence};

/// Wakes a housekeeping thread. Costs a fence and a load while that thread is awake.
///
/// The thread [sets](Alarm::set) the alarm, and sleeps if it finds no work then. A notifier publishes the work and
/// [rings](Alarm::ring).
#[derive(Debug, Default)]
pub struct Alarm {
    /// Set by the sleeper; cleared by it, or by the notifier that wakes it.
    asleep: AtomicBool,
}

impl Alarm {
    /// An alarm that isn't set.
    #[cfg(not(polyexec_loom))]
    pub const fn new() -> Self {
        Self { asleep: AtomicBool::new(false) }
    }

    /// For the sleeper: from now on, a notifier wakes it for work that `look` misses.
    pub fn set<T>(&self, look: impl FnOnce() -> T) -> T {
        self.asleep.store(true, Relaxed);
        // Pairs with the fence in `ring`.
        fence(SeqCst);
        look()
    }

    /// For a sleeper that stays awake.
    pub fn unset(&self) {
        self.asleep.store(false, Relaxed);
    }

    /// For a notifier: calls `wake` if the sleeper sleeps, or is about to.
    #[inline]
    pub fn ring(&self, wake: impl FnOnce()) {
        // Pairs with the fence in `set`.
        fence(SeqCst);
        if self.asleep.load(Relaxed) && self.asleep.swap(false, Relaxed) {
            wake();
        }
    }
}
