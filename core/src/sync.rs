//! Atomics, locks, cells and thread-locals: the standard library's or, under `--cfg polyexec_loom`, loom's (`verify/loom`).
//! The code that uses them is the same.
//!
//! What no model checks stays with the standard library: unique numbers (`task/id.rs`), and hints.

#[cfg(polyexec_loom)]
pub(crate) use modelled::*;
#[cfg(not(polyexec_loom))]
pub(crate) use plain::*;

#[cfg(polyexec_loom)]
pub mod modelled;

#[cfg(not(polyexec_loom))]
mod plain {
    pub(crate) use core::sync::atomic::AtomicPtr;
    #[cfg(target_has_atomic = "64")]
    pub(crate) use core::sync::atomic::AtomicU64;
    #[cfg(not(target_has_atomic = "64"))]
    pub(crate) use portable_atomic::AtomicU64;
    #[cfg(feature = "std")]
    pub(crate) use std::{
        sync::atomic::{AtomicBool, AtomicU8, fence},
        sync::{Condvar, Mutex, MutexGuard},
        thread_local,
    };

    /// As `core`'s, but each access is a closure, since loom must know where it begins and ends.
    #[repr(transparent)]
    pub(crate) struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(core::cell::UnsafeCell::new(value))
        }

        /// There must be no other access meanwhile.
        #[inline(always)]
        pub(crate) fn with_mut<R>(&self, access: impl FnOnce(*mut T) -> R) -> R {
            access(self.0.get())
        }
    }
}
