//! Where the atomics and locks of `readiness` and of `timers` come from: the standard library and parking_lot or, under
//! `--cfg polyexec_loom`, loom, which tries in turn what threads may do (`verify/loom`). The rest of the driver isn't modelled.

#[cfg(not(polyexec_loom))]
pub(crate) use parking_lot::Mutex;
#[cfg(not(polyexec_loom))]
pub(crate) use std::sync::atomic::{AtomicU64, fence};

#[cfg(polyexec_loom)]
pub(crate) use loom::sync::atomic::fence;
#[cfg(polyexec_loom)]
pub(crate) use polyexec_core::modelled::AtomicU64;

/// As parking_lot's: not poisoned.
#[cfg(polyexec_loom)]
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

#[cfg(polyexec_loom)]
impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    #[track_caller]
    pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
