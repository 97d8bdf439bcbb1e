//! Any number of tasks that wait for one event. Says nothing of what it is.

use std::mem::{replace, take};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use slab::Slab;

/// The wakers of those that wait.
#[derive(Default)]
pub(crate) struct Waiters(Mutex<List>);

#[derive(Default)]
struct List {
    wakers: Slab<Waker>,
    /// How often the wakers were taken. A key of an earlier round is stale.
    round: u64,
}

/// The most wakers whose memory an empty list keeps.
const KEPT: usize = 16;

/// One that waits.
#[derive(Default)]
pub(crate) struct Waiter(Option<Listed>);

struct Listed {
    key: usize,
    round: u64,
    /// A clone of the waker in the list.
    waker: Waker,
}

impl Waiter {
    /// Whether the waker in the list is as good as this one, or was until the event happened.
    pub(crate) fn will_wake(&self, waker: &Waker) -> bool {
        self.0.as_ref().is_some_and(|listed| listed.waker.will_wake(waker))
    }
}

impl Waiters {
    /// Ready if the event has happened, now or since `waiter` is in the list; else it will wake this waker.
    ///
    /// `has_happened` is asked under the lock, so that it sees what preceded a [`take`](Waiters::take).
    pub(crate) fn poll(&self, waiter: &mut Waiter, cx: &Context<'_>, has_happened: impl Fn() -> bool) -> Poll<()> {
        // A waker's clone and drop are foreign code, so they stay outside of the lock.
        let (waker, in_list) = (cx.waker().clone(), cx.waker().clone());
        let mut list = self.lock();
        let round = list.round;
        if waiter.0.as_ref().is_some_and(|listed| listed.round != round) || has_happened() {
            drop(list);
            return Poll::Ready(());
        }
        let (key, before) = match &waiter.0 {
            Some(listed) => (listed.key, Some(replace(&mut list.wakers[listed.key], in_list))),
            None => (list.wakers.insert(in_list), None),
        };
        drop(list);
        drop((waiter.0.replace(Listed { key, round, waker }), before));
        Poll::Pending
    }

    /// Removes `waiter`, which no longer waits.
    pub(crate) fn remove(&self, waiter: &mut Waiter) {
        let Some(Listed { key, round, .. }) = waiter.0.take() else { return };
        let mut list = self.lock();
        if list.round != round {
            return;
        }
        let removed = list.wakers.remove(key);
        if list.wakers.is_empty() && list.wakers.capacity() > KEPT {
            list.wakers = Slab::new();
        }
        drop(list);
        drop(removed);
    }

    /// Takes all wakers, after the event has happened.
    #[must_use = "they are to be woken, while nothing is locked"]
    pub(crate) fn take(&self) -> impl Iterator<Item = Waker> + use<> {
        let mut list = self.lock();
        list.round += 1;
        take(&mut list.wakers).into_iter().map(|(_, waker)| waker)
    }

    fn lock(&self) -> MutexGuard<'_, List> {
        // No foreign code runs under the lock, so the list is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes all of `wakers`.
///
/// # Panics
///
/// If a waker does. The others are woken first.
pub(crate) fn wake_all(wakers: impl Iterator<Item = Waker>) {
    let mut panic = None;
    for waker in wakers {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
            panic.get_or_insert(payload);
        }
    }
    if let Some(payload) = panic {
        resume_unwind(payload);
    }
}
