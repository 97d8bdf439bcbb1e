//! Where atomics, locks, cells and thread-locals come from: the standard library or, under `--cfg polyexec_loom`, loom, which
//! tries in turn what threads may do (`verify/loom`). Whatever the choice, the code that uses them is the same.
//!
//! What no model looks at stays with the standard library: numbers that are only to differ (`task/id.rs`), and hints.

#[cfg(polyexec_loom)]
pub(crate) use modelled::*;
#[cfg(not(polyexec_loom))]
pub(crate) use plain::*;

#[cfg(polyexec_loom)]
pub mod modelled;

#[cfg(not(polyexec_loom))]
mod plain {
    pub(crate) use core::sync::atomic::{AtomicPtr, AtomicU64};
    #[cfg(feature = "std")]
    pub(crate) use std::{
        sync::atomic::{AtomicBool, AtomicU8, fence},
        sync::{Condvar, Mutex, MutexGuard},
        thread_local,
    };

    /// As `core`'s, with the accesses as closures: loom must know where each begins and ends.
    #[repr(transparent)]
    pub(crate) struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(core::cell::UnsafeCell::new(value))
        }

        /// For the length of `access` there must be no other.
        #[inline(always)]
        pub(crate) fn with_mut<R>(&self, access: impl FnOnce(*mut T) -> R) -> R {
            access(self.0.get())
        }
    }
}
