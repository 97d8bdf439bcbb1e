//! The one atomic word of a task, and every way it may change. Never touches a future.
//!
//! Whoever sets [`RUNNING`] owns the stage (the future, or its output) until it clears the bit or sets
//! [`COMPLETED`]; after that the stage belongs to the handle if it still lives, else to whoever completed. The slot
//! for the join waker belongs to the handle while [`JOIN_WAKER`] is clear, and to whoever completes while it is set.
//!
//! A wake is always a read-modify-write, even where the bit is set already: so the thread that begins the next poll
//! reads from it, and sees what was written before the wake.

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

/// In exactly one queue, or on its way there. Set by a wake or an abort, cleared when a poll begins.
const SCHEDULED: u32 = 1;
/// One thread owns the stage. Set by that thread when it begins, cleared by it when the poll ends.
const RUNNING: u32 = 1 << 1;
/// The future is dropped and the result stored. Set once, never cleared.
const COMPLETED: u32 = 1 << 2;
/// Somebody called `abort`. Set by the aborter, never cleared; means nothing once completed.
const ABORTED: u32 = 1 << 3;
/// The executor is going away. Set by its shutdown, never cleared; means nothing once completed.
const SHUT_DOWN: u32 = 1 << 4;
/// The join handle lives. Set at birth, cleared by the handle's drop.
const HANDLE: u32 = 1 << 5;
/// The slot holds the waker of whoever joins. Set and cleared by the handle.
const JOIN_WAKER: u32 = 1 << 6;

/// Polled at least once, so its future is pinned. Set when the first poll begins, never cleared.
const STARTED: u32 = 1 << 7;

/// What a thread owes after it made a task ready to run.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OnWake {
    /// Give the task to its executor's queue.
    Enqueue,
    /// Nothing: it is queued already, its running poll will requeue it, or it has completed.
    Nothing,
}

/// What a thread that took a task from a queue may do with it.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OnBegin {
    /// Poll the future; the stage is yours.
    Poll,
    /// Drop the future and complete; the stage is yours.
    Cancel,
    /// Nothing: shutdown was here first.
    Nothing,
}

/// What a thread owes after a poll that was pending.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OnEnd {
    /// Nothing; the stage is no longer yours.
    Wait,
    /// Requeue the task, which was woken during its poll; the stage is no longer yours.
    Again,
    /// Drop the future and complete; the stage is still yours.
    Cancel,
}

/// What a thread owes after it stored the result.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OnComplete {
    /// Take the join waker and wake it; the stage is the handle's.
    Wake,
    /// Nothing; the stage is the handle's.
    Nothing,
    /// Drop the result: the handle is gone.
    Discard,
}

/// What a shutdown owes for a task that it found.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OnShutDown {
    /// Drop the future and complete; the stage is yours.
    Cancel,
    /// Nothing: it has completed, or the thread that runs it will cancel it when its poll ends.
    Nothing,
}

/// What a spawner finds whose task was refused.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OnTakeBack {
    /// Take the future out; the stage is yours for good.
    Take,
    /// Leave it: it was polled or cancelled meanwhile.
    Leave,
}

/// What the handle finds when it changes its side of the word.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OnJoin {
    /// The task goes on.
    Pending,
    /// The task has completed; the stage is the handle's.
    Completed,
}

/// Why a running task is to be cancelled.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Cancelled {
    Aborted,
    ShutDown,
}

#[derive(Debug)]
pub(crate) struct State(AtomicU32);

impl State {
    /// A task that is on its way to its first queue, and whose handle lives.
    pub(crate) const fn new() -> Self {
        Self(AtomicU32::new(SCHEDULED | HANDLE))
    }

    /// Sets [`SCHEDULED`].
    pub(crate) fn wake(&self) -> OnWake {
        Self::scheduled(self.0.fetch_or(SCHEDULED, AcqRel))
    }

    /// Sets [`ABORTED`], and [`SCHEDULED`] so that the executor comes by to drop the future.
    pub(crate) fn abort(&self) -> OnWake {
        Self::scheduled(self.0.fetch_or(ABORTED | SCHEDULED, AcqRel))
    }

    // AcqRel in both callers. Release pairs with the Acquire in `begin`: the poll sees what came before the wake.
    // Acquire pairs with the Release in `end`: `schedule` sees what the executor noted about the task while it ran.
    fn scheduled(before: u32) -> OnWake {
        if before & (SCHEDULED | RUNNING | COMPLETED) == 0 { OnWake::Enqueue } else { OnWake::Nothing }
    }

    /// Clears [`SCHEDULED`] and sets [`RUNNING`].
    pub(crate) fn begin(&self) -> OnBegin {
        // Acquire pairs with the Release in `wake`, and with the one in `end` on the thread that polled last.
        self.update(|now| {
            if now & (RUNNING | COMPLETED) != 0 {
                (OnBegin::Nothing, now)
            } else if now & (ABORTED | SHUT_DOWN) != 0 {
                (OnBegin::Cancel, now & !SCHEDULED | RUNNING)
            } else {
                (OnBegin::Poll, now & !SCHEDULED | RUNNING | STARTED)
            }
        })
    }

    /// Clears [`RUNNING`] after a pending poll, unless the task is to be cancelled.
    pub(crate) fn end(&self) -> OnEnd {
        // Release pairs with the Acquire in `begin`: the next poll sees what this one wrote.
        self.update(|now| {
            if now & (ABORTED | SHUT_DOWN) != 0 {
                (OnEnd::Cancel, now)
            } else if now & SCHEDULED != 0 {
                (OnEnd::Again, now & !RUNNING)
            } else {
                (OnEnd::Wait, now & !RUNNING)
            }
        })
    }

    /// Clears [`RUNNING`] and sets [`COMPLETED`]. Only for the thread that set `RUNNING`, after it stored the result.
    pub(crate) fn complete(&self) -> OnComplete {
        // Release pairs with the Acquire wherever the handle learns of COMPLETED: it sees the result.
        // Acquire pairs with the Release in `offer_waker` and `drop_handle`: we see the waker, and a handle that has
        // left the slot alone.
        let before = self.0.fetch_xor(RUNNING | COMPLETED, AcqRel);
        debug_assert_eq!(before & (RUNNING | COMPLETED), RUNNING);
        if before & HANDLE == 0 {
            OnComplete::Discard
        } else if before & JOIN_WAKER != 0 {
            OnComplete::Wake
        } else {
            OnComplete::Nothing
        }
    }

    /// Claims a task that rests or is queued; marks one that runs.
    pub(crate) fn shut_down(&self) -> OnShutDown {
        self.update(|now| {
            if now & COMPLETED != 0 {
                (OnShutDown::Nothing, now)
            } else if now & RUNNING != 0 {
                (OnShutDown::Nothing, now | SHUT_DOWN)
            } else {
                (OnShutDown::Cancel, now | SHUT_DOWN | RUNNING)
            }
        })
    }

    /// Completes a task that nobody has polled, for the spawner that still holds its handle.
    pub(crate) fn take_back(&self) -> OnTakeBack {
        self.update(|now| {
            if now & (STARTED | RUNNING | COMPLETED) != 0 {
                (OnTakeBack::Leave, now)
            } else {
                (OnTakeBack::Take, now | COMPLETED)
            }
        })
    }

    /// Why a task that `begin` or `end` said to cancel is cancelled. Shutdown outranks abort.
    pub(crate) fn cancelled(&self) -> Cancelled {
        // Relaxed: the RMW that said `Cancel` has read these bits already, and nobody clears them.
        if self.0.load(Relaxed) & SHUT_DOWN != 0 { Cancelled::ShutDown } else { Cancelled::Aborted }
    }

    /// Sets [`JOIN_WAKER`]: the slot, filled, goes to whoever completes. `Completed` leaves it with the handle.
    pub(crate) fn offer_waker(&self) -> OnJoin {
        // Release pairs with the Acquire in `complete`: it sees the waker.
        Self::joined(self.0.fetch_or(JOIN_WAKER, AcqRel))
    }

    /// Clears [`JOIN_WAKER`]: the slot comes back to the handle. `Completed` says that it came too late.
    pub(crate) fn reclaim_waker(&self) -> OnJoin {
        Self::joined(self.0.fetch_and(!JOIN_WAKER, AcqRel))
    }

    /// Clears [`HANDLE`] and [`JOIN_WAKER`]. `Pending` leaves the slot with the handle, `Completed` the stage.
    pub(crate) fn drop_handle(&self) -> OnJoin {
        Self::joined(self.0.fetch_and(!(HANDLE | JOIN_WAKER), AcqRel))
    }

    pub(crate) fn is_completed(&self) -> bool {
        // Acquire pairs with the Release in `complete`: the result is visible.
        self.0.load(Acquire) & COMPLETED != 0
    }

    /// Whether the slot for the join waker is offered. Only the handle changes that, so only the handle may ask.
    pub(crate) fn is_waker_offered(&self) -> bool {
        // Relaxed: the handle reads its own write.
        self.0.load(Relaxed) & JOIN_WAKER != 0
    }

    fn joined(before: u32) -> OnJoin {
        if before & COMPLETED == 0 { OnJoin::Pending } else { OnJoin::Completed }
    }

    /// Tries `transition` until no other thread came between.
    fn update<T>(&self, mut transition: impl FnMut(u32) -> (T, u32)) -> T {
        // Relaxed: a stale value only costs another round.
        let mut now = self.0.load(Relaxed);
        loop {
            let (owed, next) = transition(now);
            // AcqRel: each transition names its partners. An unchanged word is written all the same, so that the
            // caller has read from the latest write.
            match self.0.compare_exchange_weak(now, next, AcqRel, Acquire) {
                Ok(_) => return owed,
                Err(current) => now = current,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running() -> State {
        let state = State::new();
        assert_eq!(state.begin(), OnBegin::Poll);
        state
    }

    fn resting() -> State {
        let state = running();
        assert_eq!(state.end(), OnEnd::Wait);
        state
    }

    #[test]
    fn a_new_task_is_scheduled_already() {
        assert_eq!(State::new().wake(), OnWake::Nothing);
        assert_eq!(State::new().abort(), OnWake::Nothing);
    }

    #[test]
    fn only_the_first_wake_of_a_resting_task_enqueues() {
        let state = resting();
        assert_eq!(state.wake(), OnWake::Enqueue);
        assert_eq!(state.wake(), OnWake::Nothing);
        assert_eq!(state.begin(), OnBegin::Poll);
    }

    #[test]
    fn a_wake_during_a_poll_is_owed_at_its_end_once() {
        let state = running();
        assert_eq!(state.wake(), OnWake::Nothing);
        assert_eq!(state.wake(), OnWake::Nothing);
        assert_eq!(state.end(), OnEnd::Again);
        assert_eq!(state.begin(), OnBegin::Poll);
        assert_eq!(state.end(), OnEnd::Wait);
    }

    #[test]
    fn an_abort_is_in_force_at_the_next_step() {
        let queued = State::new();
        assert_eq!(queued.abort(), OnWake::Nothing);
        assert_eq!(queued.begin(), OnBegin::Cancel);

        let polled = running();
        assert_eq!(polled.abort(), OnWake::Nothing);
        assert_eq!(polled.end(), OnEnd::Cancel);
        assert_eq!(polled.cancelled(), Cancelled::Aborted);

        let idle = resting();
        assert_eq!(idle.abort(), OnWake::Enqueue);
        assert_eq!(idle.abort(), OnWake::Nothing);
        assert_eq!(idle.begin(), OnBegin::Cancel);
    }

    #[test]
    fn a_shutdown_claims_what_rests_and_marks_what_runs() {
        let idle = resting();
        assert_eq!(idle.shut_down(), OnShutDown::Cancel);
        assert_eq!(idle.begin(), OnBegin::Nothing);
        assert_eq!(idle.complete(), OnComplete::Nothing);

        let polled = running();
        assert_eq!(polled.shut_down(), OnShutDown::Nothing);
        assert_eq!(polled.end(), OnEnd::Cancel);
        assert_eq!(polled.cancelled(), Cancelled::ShutDown);
        assert_eq!(polled.complete(), OnComplete::Nothing);
        assert_eq!(polled.shut_down(), OnShutDown::Nothing);
    }

    #[test]
    fn nothing_moves_a_completed_task() {
        let state = running();
        assert_eq!(state.complete(), OnComplete::Nothing);
        assert_eq!(state.wake(), OnWake::Nothing);
        assert_eq!(state.abort(), OnWake::Nothing);
        assert_eq!(state.begin(), OnBegin::Nothing);
        assert!(state.is_completed());
    }

    #[test]
    fn only_an_unpolled_task_can_be_taken_back() {
        let refused = State::new();
        assert_eq!(refused.take_back(), OnTakeBack::Take);
        assert_eq!(refused.begin(), OnBegin::Nothing);
        assert_eq!(running().take_back(), OnTakeBack::Leave);
        assert_eq!(resting().take_back(), OnTakeBack::Leave);
    }

    #[test]
    fn the_result_goes_to_a_living_handle_only() {
        let waited = running();
        assert_eq!(waited.offer_waker(), OnJoin::Pending);
        assert_eq!(waited.complete(), OnComplete::Wake);
        assert_eq!(waited.reclaim_waker(), OnJoin::Completed);
        assert_eq!(waited.drop_handle(), OnJoin::Completed);

        let detached = running();
        assert_eq!(detached.offer_waker(), OnJoin::Pending);
        assert_eq!(detached.drop_handle(), OnJoin::Pending);
        assert_eq!(detached.complete(), OnComplete::Discard);
    }
}
