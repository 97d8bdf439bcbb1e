//! Where atomics, locks and queues come from: the standard library, parking_lot and crossbeam or, under `--cfg polyexec_loom`,
//! loom, which explores thread interleavings (`verify/loom`). The code that uses them is the same.

#[cfg(polyexec_loom)]
pub(crate) use modelled::*;
#[cfg(not(polyexec_loom))]
pub(crate) use plain::*;

#[cfg(polyexec_loom)]
mod modelled;

#[cfg(not(polyexec_loom))]
mod plain {
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, fence};
    pub(crate) use std::thread_local;

    pub(crate) use crossbeam_deque as deque;
    pub(crate) use parking_lot::Mutex;
}
