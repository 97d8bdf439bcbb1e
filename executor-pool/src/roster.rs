//! Who works for a pool: the desk of each seat. Changes when a worker that blocks is relieved, which is rare, and is looked
//! at all the time: so each worker has a copy, and a number tells whether it is still true.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Release};

use crossbeam_utils::CachePadded;

use crate::desk::Desk;
use crate::sync::{AtomicU64, Mutex};

pub(crate) type Desks = Arc<[Arc<CachePadded<Desk>>]>;

pub(crate) struct Roster {
    desks: Mutex<Desks>,
    /// How often it has changed. Written under the lock.
    changes: CachePadded<AtomicU64>,
}

/// A copy of a roster.
pub(crate) struct Copy {
    desks: Desks,
    changes: u64,
}

impl Roster {
    pub(crate) fn new(desks: Desks) -> Self {
        Self { desks: Mutex::new(desks), changes: CachePadded::default() }
    }

    pub(crate) fn copy(&self) -> Copy {
        let desks = self.desks.lock();
        Copy { desks: desks.clone(), changes: self.changes.load(Acquire) }
    }

    /// Gives `seat` to another worker.
    pub(crate) fn change(&self, seat: usize, desk: Arc<CachePadded<Desk>>) {
        let before = {
            let mut desks = self.desks.lock();
            let mut next = desks.to_vec();
            next[seat] = desk;
            // Release: pairs with the Acquire in `renew`.
            self.changes.fetch_add(1, Release);
            std::mem::replace(&mut *desks, next.into())
        };
        drop(before);
    }
}

impl Copy {
    /// Makes it true again. Whoever must not miss a task that a new worker has queued has a fence before this, and the
    /// worker, which came after the change, one after it has queued the task.
    pub(crate) fn renew(&mut self, roster: &Roster) {
        if roster.changes.load(Acquire) != self.changes {
            *self = roster.copy();
        }
    }
}

impl Deref for Copy {
    type Target = [Arc<CachePadded<Desk>>];

    fn deref(&self) -> &Self::Target {
        &self.desks
    }
}
