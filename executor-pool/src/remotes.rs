//! The remote of each slot. Replaced when a worker is handed off, which is rare, and read all the time: so each worker has a
//! snapshot, and a counter tells whether it is still current.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Release};

use crossbeam_utils::CachePadded;

use crate::remote::Remote;
use crate::sync::{AtomicU64, Mutex};

type All = Arc<[Arc<CachePadded<Remote>>]>;

pub(crate) struct Remotes {
    all: Mutex<All>,
    /// Replacements so far. Written under the lock.
    version: CachePadded<AtomicU64>,
}

pub(crate) struct Snapshot {
    all: All,
    version: u64,
}

impl Remotes {
    pub(crate) fn new(all: All) -> Self {
        Self { all: Mutex::new(all), version: CachePadded::default() }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let all = self.all.lock();
        Snapshot { all: all.clone(), version: self.version.load(Acquire) }
    }

    /// Gives the slot to another worker.
    pub(crate) fn replace(&self, slot: usize, remote: Arc<CachePadded<Remote>>) {
        let before = {
            let mut all = self.all.lock();
            let mut next = all.to_vec();
            next[slot] = remote;
            // Release: pairs with the Acquire in `renew`.
            self.version.fetch_add(1, Release);
            std::mem::replace(&mut *all, next.into())
        };
        drop(before);
    }
}

impl Snapshot {
    /// Updates the snapshot. A worker that is about to sleep fences before this. A new worker fences after it queues a task. So
    /// one of them sees the other.
    pub(crate) fn renew(&mut self, remotes: &Remotes) {
        if remotes.version.load(Acquire) != self.version {
            *self = remotes.snapshot();
        }
    }
}

impl Deref for Snapshot {
    type Target = [Arc<CachePadded<Remote>>];

    fn deref(&self) -> &Self::Target {
        &self.all
    }
}
