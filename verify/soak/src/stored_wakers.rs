//! Wakers that outlive their tasks and their executors: they are stored for the whole run.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// The number of wakers kept. A short run keeps fewer, those of one task in fifty, and has enough by its first half.
pub(crate) const KEPT: usize = 10_000;

/// The wakers.
#[derive(Debug)]
pub(crate) struct StoredWakers {
    wakers: Mutex<Vec<Waker>>,
    room: usize,
    is_full: AtomicBool,
}

impl StoredWakers {
    /// For a run of this number of lifecycles.
    pub(crate) fn new(lifecycles: u64) -> Self {
        let room = KEPT.min((lifecycles / 50) as usize);
        Self { wakers: Mutex::new(Vec::with_capacity(room)), room, is_full: AtomicBool::new(room == 0) }
    }

    /// Keeps a waker if there is room.
    pub(crate) fn store(&self, waker: &Waker) -> bool {
        if self.is_full() {
            return false;
        }
        let waker = waker.clone();
        let mut wakers = self.lock();
        if wakers.len() == self.room {
            drop(wakers);
            return false;
        }
        wakers.push(waker);
        self.is_full.store(wakers.len() == self.room, Relaxed);
        true
    }

    /// Whether there is no room left.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full.load(Relaxed)
    }

    /// Wakes one of them.
    pub(crate) fn wake(&self, choice: usize) {
        let waker = {
            let wakers = self.lock();
            match wakers.len() {
                0 => return,
                len => wakers[choice % len].clone(),
            }
        };
        waker.wake();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
