//! The one atomic word of a task, and every way it may change. Never touches a future.
//!
//! README.md, in this folder, has the legal states and says who owns the future in each.
//!
//! Two rules make the orderings:
//!
//! - A wake is always a read-modify-write, even where the bit is set already. So the next poll reads from it, and sees what
//!   was written before the wake. Only a task that wakes itself on its own thread needs none: see `current`.
//! - A task that was woken during its poll stays claimed in the queue. Its next poll begins and ends with a load. Only a task
//!   that was idle in between pays for a change.

use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

use super::transition::{
    Cancelled, OnBegin, OnCancel, OnComplete, OnDetach, OnEnd, OnJoin, OnPending, OnTakeBack, OnWake,
};
use crate::sync::AtomicU64;

/// Another poll is owed. Set by a wake or an abort, cleared when that poll begins.
const SCHEDULED: u64 = 1;
/// The stage belongs to the owner of the `Task`. Set at birth and when a woken `Task` is run, cleared when the task becomes
/// idle or completes.
const CLAIMED: u64 = 1 << 1;
/// The stage belongs to a shutdown. Set by a shutdown where `CLAIMED` is clear, cleared when it completes the task.
const ENDING: u64 = 1 << 2;
/// The future is dropped and the result stored. Set once, never cleared.
const COMPLETED: u64 = 1 << 3;
/// `abort` was called. Set by it, never cleared; means nothing once completed.
const ABORTED: u64 = 1 << 4;
/// The executor is shutting down. Set by the shutdown, never cleared; means nothing once completed.
const SHUT_DOWN: u64 = 1 << 5;
/// The join handle lives. Set at birth, cleared by the handle's drop.
const HANDLE: u64 = 1 << 6;
/// The slot holds the join waker. Set and cleared by the handle; once completed, never cleared while the handle lives.
const JOIN_WAKER: u64 = 1 << 7;
/// Polled at least once and pending then, so its future is pinned. Set at the end of that poll, never cleared.
const STARTED: u64 = 1 << 8;
/// An observer is told of each poll. Set at birth or never.
const OBSERVED: u64 = 1 << 9;

/// One reference to the cell. Transitions count one each for the `Task`, the handle, the table, and the shutdown that ends the
/// task. [`State::refer`] counts those of wakers and abort handles.
const REFERENCE: u64 = 1 << 10;
/// The most references that users may make, far below what the bits hold. That leaves room for the transitions' references,
/// and for threads that exceed the limit at the same time.
const MAX_REFERENCES: u64 = 1 << 26;

/// The key of the task in its executor's table begins here; zero: in none. Written once, by the owner of the stage.
const KEY_SHIFT: u32 = 37;
/// The bits that count references.
const REFERENCES: u64 = (1 << KEY_SHIFT) - REFERENCE;
/// The largest key.
#[cfg(feature = "std")]
pub(crate) const MAX_KEY: u32 = (1 << (u64::BITS - KEY_SHIFT)) - 1;

#[derive(Debug)]
pub(crate) struct State(AtomicU64);

impl State {
    /// A new task, with two references: the `Task`, which owns the stage, and the handle.
    pub(crate) fn new(is_observed: bool) -> Self {
        let observed = if is_observed { OBSERVED } else { 0 };
        Self(AtomicU64::new(CLAIMED | HANDLE | observed | (2 * REFERENCE)))
    }

    #[inline(always)]
    pub(crate) fn is_observed(&self) -> bool {
        // Relaxed: it never changes.
        self.0.load(Relaxed) & OBSERVED != 0
    }

    /// Sets [`SCHEDULED`].
    pub(crate) fn wake(&self) -> OnWake {
        self.schedule(SCHEDULED)
    }

    /// Sets [`ABORTED`], and [`SCHEDULED`] so that the executor drops the future.
    pub(crate) fn abort(&self) -> OnWake {
        self.schedule(ABORTED | SCHEDULED)
    }

    /// Sets `flags`, and counts a reference for the `Task` if there is none.
    fn schedule(&self, flags: u64) -> OnWake {
        // Release pairs with the Acquire in `begin`: the poll sees what came before the wake.
        // Acquire pairs with the Release in `end`: `schedule` sees what the executor noted about the task while it ran.
        self.update(|now| match now & (SCHEDULED | CLAIMED | ENDING | COMPLETED) {
            0 => (OnWake::Enqueue, (now | flags) + REFERENCE),
            _ => (OnWake::Nothing, now | flags),
        })
    }

    /// Clears [`SCHEDULED`] and sets [`CLAIMED`]. Only for the owner of the `Task`.
    #[inline]
    pub(crate) fn begin(&self) -> OnBegin {
        // Relaxed: the queue orders the last poll before this one. A wake not seen here is seen at the end of the poll.
        let now = self.0.load(Relaxed);
        if now & (SCHEDULED | CLAIMED | ABORTED | SHUT_DOWN) == CLAIMED {
            return if now & OBSERVED == 0 { OnBegin::Poll } else { OnBegin::PollObserved };
        }
        // Acquire pairs with the Release in `schedule`, and with the one in `end` on the thread that polled last.
        self.update_from(now, |now| {
            if now & (ENDING | COMPLETED) != 0 {
                (OnBegin::Nothing, now)
            } else if now & (ABORTED | SHUT_DOWN) != 0 {
                (OnBegin::Cancel, now & !SCHEDULED | CLAIMED)
            } else if now & OBSERVED != 0 {
                (OnBegin::PollObserved, now & !SCHEDULED | CLAIMED)
            } else {
                (OnBegin::Poll, now & !SCHEDULED | CLAIMED)
            }
        })
    }

    /// Claims the stage of a task that won't be run. Only for the owner of the `Task`.
    pub(crate) fn cancel(&self) -> OnCancel {
        // Acquire pairs with the Release in `end` on the thread that polled last.
        self.update(|now| match now & (ENDING | COMPLETED) {
            0 => (OnCancel::Cancel, now | CLAIMED),
            _ => (OnCancel::Nothing, now),
        })
    }

    /// What follows a pending poll. Changes nothing.
    #[inline(always)]
    pub(crate) fn pending(&self, woke_itself: bool) -> OnPending {
        // Relaxed: what is seen here is acted upon by the next `begin`.
        let now = self.0.load(Relaxed);
        if (woke_itself || now & SCHEDULED != 0) && now & (STARTED | ABORTED | SHUT_DOWN | OBSERVED) == STARTED {
            return OnPending::Again;
        }
        if now & OBSERVED != 0 { OnPending::Tell } else { OnPending::End }
    }

    /// As [`pending`](State::pending), once the observer was told.
    pub(crate) fn pending_told(&self, woke_itself: bool) -> OnPending {
        // Relaxed: as there.
        let now = self.0.load(Relaxed);
        let is_again = woke_itself || now & SCHEDULED != 0;
        let is_same = now & (STARTED | ABORTED | SHUT_DOWN) == STARTED;
        if is_again && is_same { OnPending::Again } else { OnPending::End }
    }

    /// Clears [`CLAIMED`] after a pending poll and gives a reference back, unless the task was woken or cancelled.
    /// `needs_table`: it may be idle only once a table knows it.
    pub(crate) fn end(&self, woke_itself: bool, needs_table: bool) -> OnEnd {
        // Release pairs with the Acquire in `begin`: the next poll sees what this one wrote.
        self.update(|now| {
            if now & (ABORTED | SHUT_DOWN) != 0 {
                (OnEnd::Cancel, now)
            } else if woke_itself || now & SCHEDULED != 0 {
                (OnEnd::Again, now | STARTED)
            } else if needs_table && key(now) == 0 {
                (OnEnd::Insert, now | STARTED)
            } else if now & REFERENCES == REFERENCE {
                (OnEnd::Free, now)
            } else {
                (OnEnd::Idle, (now & !CLAIMED | STARTED) - REFERENCE)
            }
        })
    }

    /// Notes the task's key, which was zero, and counts a reference for the table. Only for the owner of the stage.
    #[cfg(feature = "std")]
    pub(crate) fn set_key(&self, key: u32) {
        debug_assert!(0 < key && key <= MAX_KEY);
        // Relaxed: the table's lock orders it for the table's users, and the `end` that follows for all others.
        self.0.fetch_add((u64::from(key) << KEY_SHIFT) + REFERENCE, Relaxed);
    }

    /// The task's key in its executor's table; zero: it is in none.
    pub(crate) fn key(&self) -> u32 {
        // Relaxed: the queue that moves the `Task` orders it.
        key(self.0.load(Relaxed))
    }

    /// Sets [`COMPLETED`], and clears the bits of the owner. Only for the owner of the stage, after it stored the result.
    pub(crate) fn complete(&self) -> OnComplete {
        // Release pairs with the Acquire wherever the handle learns of COMPLETED: it sees the result.
        // Acquire pairs with the Release in `offer_waker` and `detach`: we see the waker, and what the handle did with the slot.
        self.update(|now| {
            debug_assert!(now & COMPLETED == 0 && now & (CLAIMED | ENDING) != 0);
            let next = now & !(CLAIMED | ENDING) | COMPLETED;
            if now & HANDLE == 0 {
                (OnComplete::Discard, next)
            } else if now & JOIN_WAKER != 0 {
                (OnComplete::Wake, next)
            } else {
                // The handle has a reference of its own, so this isn't the last.
                (OnComplete::Nothing, next - REFERENCE)
            }
        })
    }

    /// Takes the stage of an idle or woken task, and counts a reference for its end. Marks a task that another thread owns.
    #[cfg(feature = "std")]
    pub(crate) fn shut_down(&self) -> OnCancel {
        self.update(|now| {
            if now & (ENDING | COMPLETED) != 0 {
                (OnCancel::Nothing, now)
            } else if now & CLAIMED != 0 {
                (OnCancel::Nothing, now | SHUT_DOWN)
            } else {
                (OnCancel::Cancel, (now | SHUT_DOWN | ENDING) + REFERENCE)
            }
        })
    }

    /// Completes an unpolled task, for a spawner that got its `Task` back and still has its handle.
    pub(crate) fn take_back(&self) -> OnTakeBack {
        self.update(|now| match now & (STARTED | ENDING | COMPLETED) {
            0 => (OnTakeBack::Take, now & !CLAIMED | COMPLETED),
            _ => (OnTakeBack::Leave, now),
        })
    }

    /// Why a task that `begin` or `end` said to cancel is cancelled. Shutdown outranks abort.
    pub(crate) fn cancelled(&self) -> Cancelled {
        // Relaxed: the RMW that said `Cancel` has read these bits already, and they are never cleared.
        if self.0.load(Relaxed) & SHUT_DOWN != 0 { Cancelled::ShutDown } else { Cancelled::Aborted }
    }

    /// Sets [`JOIN_WAKER`]: the filled slot goes to the completing thread. `Completed` leaves it with the handle.
    pub(crate) fn offer_waker(&self) -> OnJoin {
        // Release pairs with the Acquire in `complete`: it sees the waker.
        self.update(|now| match now & COMPLETED {
            0 => (OnJoin::Pending, now | JOIN_WAKER),
            _ => (OnJoin::Completed, now),
        })
    }

    /// Clears [`JOIN_WAKER`]: the slot comes back to the handle. `Completed` is too late: bit and slot stay with the completing
    /// thread.
    pub(crate) fn reclaim_waker(&self) -> OnJoin {
        self.update(|now| match now & COMPLETED {
            0 => (OnJoin::Pending, now & !JOIN_WAKER),
            _ => (OnJoin::Completed, now),
        })
    }

    /// Clears [`HANDLE`] and [`JOIN_WAKER`], and gives a reference back unless the handle owes something first.
    pub(crate) fn detach(&self) -> OnDetach {
        // Acquire pairs with the Release in `complete`, and with that of the thread that gave the last but one reference back.
        if self.0.load(Acquire) & (COMPLETED | REFERENCES) == COMPLETED | REFERENCE {
            return OnDetach::Free;
        }
        self.update(|now| {
            let next = now & !(HANDLE | JOIN_WAKER);
            if now & COMPLETED != 0 {
                (OnDetach::Discard, next)
            } else if now & JOIN_WAKER != 0 {
                (OnDetach::TakeWaker, next)
            } else if now & REFERENCES == REFERENCE {
                (OnDetach::Free, next)
            } else {
                (OnDetach::Nothing, next - REFERENCE)
            }
        })
    }

    pub(crate) fn is_completed(&self) -> bool {
        // Acquire pairs with the Release in `complete`: the result is visible.
        self.0.load(Acquire) & COMPLETED != 0
    }

    /// Whether the slot of the join waker is offered. Only for the handle, since only the handle changes that.
    pub(crate) fn is_waker_offered(&self) -> bool {
        // Relaxed: the handle reads its own write.
        self.0.load(Relaxed) & JOIN_WAKER != 0
    }

    /// Counts another reference, of a waker or an abort handle.
    ///
    /// # Panics
    ///
    /// If there are 2²⁶ already: a program may forget any number of them.
    pub(crate) fn refer(&self) {
        assert!(self.try_refer(), "a task has more than {MAX_REFERENCES} wakers and handles");
    }

    /// As [`refer`](State::refer), but says whether there was room.
    #[must_use]
    pub(crate) fn try_refer(&self) -> bool {
        // Relaxed: the caller has a reference, so the cell stays.
        let before = self.0.fetch_add(REFERENCE, Relaxed);
        let has_room = before & REFERENCES < MAX_REFERENCES * REFERENCE;
        if !has_room {
            // Relaxed: as above; this isn't the last one.
            self.0.fetch_sub(REFERENCE, Relaxed);
        }
        has_room
    }

    /// Gives a reference back. `true`: it was the last one, so free the cell.
    #[must_use]
    pub(crate) fn unrefer(&self) -> bool {
        // Acquire, in both: pairs with the Release of those given back before.
        self.0.load(Acquire) & REFERENCES == REFERENCE || self.0.fetch_sub(REFERENCE, AcqRel) & REFERENCES == REFERENCE
    }

    /// The one retry loop: tries `transition` until no other thread interferes.
    fn update<T>(&self, transition: impl FnMut(u64) -> (T, u64)) -> T {
        // Relaxed: a stale value only costs another round.
        self.update_from(self.0.load(Relaxed), transition)
    }

    /// As [`update`](State::update), from a value that was read just now.
    fn update_from<T>(&self, mut now: u64, mut transition: impl FnMut(u64) -> (T, u64)) -> T {
        loop {
            let (owed, next) = transition(now);
            // AcqRel: each transition names its partners. An unchanged word is written too, so that the caller has read
            // from the latest write.
            match self.0.compare_exchange_weak(now, next, AcqRel, Acquire) {
                Ok(_) => return owed,
                Err(current) => now = current,
            }
        }
    }
}

fn key(state: u64) -> u32 {
    (state >> KEY_SHIFT) as u32
}

/// For loom: the last reference frees the cell, so every other access must have happened before.
#[cfg(polyexec_loom)]
impl Drop for State {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.0.with_mut(|_| ());
        }
    }
}

#[cfg(all(test, feature = "std", not(polyexec_loom)))]
mod tests;
