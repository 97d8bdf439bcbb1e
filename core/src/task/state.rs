//! The one atomic word of a task, and every way it may change. Never touches a future.
//!
//! The stage (the future, or its output) has one owner at a time. While a thread has the [`Task`](super::Task) and
//! [`CLAIMED`] is set, that is the thread; a `Task` that a wake made isn't claimed before it is run, so that a shutdown
//! may end it wherever it is on its way: it sets [`ENDING`], and owns the stage. After [`COMPLETED`] the stage belongs
//! to the handle if it still lives, else to whoever completed. The slot for the join waker belongs to the handle while
//! [`JOIN_WAKER`] is clear, and to whoever completes while it is set: once completed, that is for good.
//!
//! A task that was woken while it ran stays claimed on its way through the queue: its next poll begins, and ends, with
//! a look at the word instead of a change. Only tasks that rest in between pay for that.
//!
//! A wake is always a read-modify-write, even where the bit is set already: so the thread that begins the next poll
//! reads from it, and sees what was written before the wake. (A task that wakes itself on the thread that polls it
//! needs none: see `polled`.)

use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

use crate::sync::AtomicU64;

/// Another poll is owed. Set by a wake or an abort, cleared when that poll begins.
const SCHEDULED: u64 = 1;
/// The stage belongs to whoever has the `Task`. Set at birth and when a woken `Task` is run, cleared when the task
/// comes to rest or completes.
const CLAIMED: u64 = 1 << 1;
/// The stage belongs to a shutdown. Set by it where nobody has claimed, cleared when it completes the task.
const ENDING: u64 = 1 << 2;
/// The future is dropped and the result stored. Set once, never cleared.
const COMPLETED: u64 = 1 << 3;
/// Somebody called `abort`. Set by the aborter, never cleared; means nothing once completed.
const ABORTED: u64 = 1 << 4;
/// The executor is going away. Set by its shutdown, never cleared; means nothing once completed.
const SHUT_DOWN: u64 = 1 << 5;
/// The join handle lives. Set at birth, cleared by the handle's drop.
const HANDLE: u64 = 1 << 6;
/// The slot holds the waker of whoever joins. Set and cleared by the handle; once completed, never cleared while it lives.
const JOIN_WAKER: u64 = 1 << 7;
/// Polled at least once and pending then, so its future is pinned. Set at the end of that poll, never cleared.
const STARTED: u64 = 1 << 8;

/// One reference to the cell. Of those that transitions count there is one each: the `Task`'s, the handle's, the table's
/// and that of the shutdown which ends the task. Wakers and abort handles have the others, which [`State::refer`] counts.
const REFERENCE: u64 = 1 << 10;
/// The most references that users may make: far below what the bits hold. So there is room for the transitions' references,
/// and for threads that overstep the limit together.
const MAX_REFERENCES: u64 = 1 << 26;

/// The word that belongs to the executor begins here. Written only by whoever has claimed the stage.
const WORD_SHIFT: u32 = 37;
/// The bits of the references.
const REFERENCES: u64 = (1 << WORD_SHIFT) - REFERENCE;
/// The largest word of an executor's.
#[cfg(feature = "std")]
pub(crate) const MAX_WORD: u32 = (1 << (u64::BITS - WORD_SHIFT)) - 1;

/// What a thread owes after it made a task ready to run.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OnWake {
    /// Make a `Task`, whose reference is counted already, and give it to the executor's queue.
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
    /// Nothing: a shutdown was here first, or the spawner took the future back.
    Nothing,
}

/// What a thread owes after a poll that was pending.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OnEnd {
    /// Nothing; neither the stage nor the `Task`'s reference is yours any more.
    Wait,
    /// Requeue the task, which was woken during its poll; the stage goes with the `Task`.
    Again,
    /// Enter the task in the executor's table, since it is about to rest for the first time, and end the poll again.
    Admit,
    /// Drop the future and complete; the stage is still yours.
    Cancel,
    /// Free the cell: it would rest, and there is nobody to wake it. Yours was the last reference.
    Free,
}

/// What a thread owes after it stored the result.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OnComplete {
    /// Take the join waker and wake it; the stage is the handle's. Then give your reference back.
    Wake,
    /// Nothing; the stage is the handle's, and your reference was given back.
    Nothing,
    /// Drop the result, since the handle is gone. Then give your reference back.
    Discard,
}

/// What a thread owes that ends a task without running it: a shutdown that found it, or whoever drops its `Task`.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OnCancel {
    /// Drop the future and complete; the stage is yours. A shutdown has a reference for that, which is counted already.
    Cancel,
    /// Nothing: it has completed, or somebody else will cancel it.
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

/// What the handle owes when it goes.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OnDetach {
    /// Nothing; your reference was given back.
    Nothing,
    /// Take the join waker out, which is the handle's again. Then give your reference back.
    TakeWaker,
    /// Drop the result. Then give your reference back.
    Discard,
    /// Free the cell: yours was the last reference.
    Free,
}

/// Why a running task is to be cancelled.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Cancelled {
    Aborted,
    ShutDown,
}

#[derive(Debug)]
pub(crate) struct State(AtomicU64);

impl State {
    /// A task that nobody has polled, with two references: its `Task`, to which the stage belongs, and its handle.
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(CLAIMED | HANDLE | (2 * REFERENCE)))
    }

    /// Sets [`SCHEDULED`].
    pub(crate) fn wake(&self) -> OnWake {
        self.schedule(SCHEDULED)
    }

    /// Sets [`ABORTED`], and [`SCHEDULED`] so that the executor comes by to drop the future.
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

    /// Clears [`SCHEDULED`] and sets [`CLAIMED`]. Only for whoever has the `Task`.
    pub(crate) fn begin(&self) -> OnBegin {
        // Relaxed: what came before the last poll's end, the queue has brought with the task; a wake that isn't seen
        // here is seen at the end of the poll.
        let now = self.0.load(Relaxed);
        if now & (SCHEDULED | CLAIMED | ABORTED | SHUT_DOWN) == CLAIMED {
            return OnBegin::Poll;
        }
        // Acquire pairs with the Release in `schedule`, and with the one in `end` on the thread that polled last.
        self.update(|now| {
            if now & (ENDING | COMPLETED) != 0 {
                (OnBegin::Nothing, now)
            } else if now & (ABORTED | SHUT_DOWN) != 0 {
                (OnBegin::Cancel, now & !SCHEDULED | CLAIMED)
            } else {
                (OnBegin::Poll, now & !SCHEDULED | CLAIMED)
            }
        })
    }

    /// Claims the stage of a task that won't be run. Only for whoever has the `Task`.
    pub(crate) fn end_unrun(&self) -> OnCancel {
        // Acquire pairs with the Release in `end` on the thread that polled last.
        self.update(|now| match now & (ENDING | COMPLETED) {
            0 => (OnCancel::Cancel, now | CLAIMED),
            _ => (OnCancel::Nothing, now),
        })
    }

    /// Clears [`CLAIMED`] after a pending poll and gives a reference back, unless the task was woken or is to be
    /// cancelled. `must_be_known`: it may not rest before it was entered in a table.
    pub(crate) fn end(&self, woke_itself: bool, must_be_known: bool) -> OnEnd {
        // Relaxed: what is seen here is acted upon by the next `begin`, or by ourselves.
        let now = self.0.load(Relaxed);
        let again = woke_itself || now & SCHEDULED != 0;
        if again && now & (STARTED | ABORTED | SHUT_DOWN) == STARTED {
            return OnEnd::Again;
        }
        // Release pairs with the Acquire in `begin`: the next poll sees what this one wrote.
        self.update(|now| {
            if now & (ABORTED | SHUT_DOWN) != 0 {
                (OnEnd::Cancel, now)
            } else if woke_itself || now & SCHEDULED != 0 {
                (OnEnd::Again, now | STARTED)
            } else if must_be_known && word(now) == 0 {
                (OnEnd::Admit, now | STARTED)
            } else if now & REFERENCES == REFERENCE {
                (OnEnd::Free, now)
            } else {
                (OnEnd::Wait, (now & !CLAIMED | STARTED) - REFERENCE)
            }
        })
    }

    /// Notes the executor's word, which was zero, and counts a reference for its table. Only for whoever has claimed
    /// the stage.
    #[cfg(feature = "std")]
    pub(crate) fn admit(&self, word: u32) {
        debug_assert!(0 < word && word <= MAX_WORD);
        // Relaxed: the table's lock orders it for those who look there, and the `end` that follows for all others.
        self.0.fetch_add((u64::from(word) << WORD_SHIFT) + REFERENCE, Relaxed);
    }

    /// The executor's word.
    pub(crate) fn word(&self) -> u32 {
        // Relaxed: ordered by what moves the task; `run` and `schedule` come after what was set before them.
        word(self.0.load(Relaxed))
    }

    /// Sets [`COMPLETED`], and clears what said whose the stage was. Only for its owner, after the result was stored.
    pub(crate) fn complete(&self) -> OnComplete {
        // Release pairs with the Acquire wherever the handle learns of COMPLETED: it sees the result.
        // Acquire pairs with the Release in `offer_waker` and `detach`: we see the waker, and a handle that has left
        // the slot alone.
        self.update(|now| {
            debug_assert!(now & COMPLETED == 0 && now & (CLAIMED | ENDING) != 0);
            let next = now & !(CLAIMED | ENDING) | COMPLETED;
            if now & HANDLE == 0 {
                (OnComplete::Discard, next)
            } else if now & JOIN_WAKER != 0 {
                (OnComplete::Wake, next)
            } else {
                // The handle has another one.
                (OnComplete::Nothing, next - REFERENCE)
            }
        })
    }

    /// Claims a task that rests or that a wake has queued, and counts a reference for its end; marks a task that somebody
    /// else has claimed.
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

    /// Completes a task that nobody has polled, for the spawner that has its handle, and its `Task` back.
    pub(crate) fn take_back(&self) -> OnTakeBack {
        self.update(|now| match now & (STARTED | ENDING | COMPLETED) {
            0 => (OnTakeBack::Take, now & !CLAIMED | COMPLETED),
            _ => (OnTakeBack::Leave, now),
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
        self.update(|now| match now & COMPLETED {
            0 => (OnJoin::Pending, now | JOIN_WAKER),
            _ => (OnJoin::Completed, now),
        })
    }

    /// Clears [`JOIN_WAKER`]: the slot comes back to the handle. `Completed` says that it came too late, and leaves the
    /// bit, and with it the slot, to whoever completes.
    pub(crate) fn reclaim_waker(&self) -> OnJoin {
        self.update(|now| match now & COMPLETED {
            0 => (OnJoin::Pending, now & !JOIN_WAKER),
            _ => (OnJoin::Completed, now),
        })
    }

    /// Clears [`HANDLE`] and [`JOIN_WAKER`], and gives a reference back, unless something is left to do first.
    pub(crate) fn detach(&self) -> OnDetach {
        // Acquire pairs with the Release of whoever gave the reference before the last back, and of `complete`.
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

    /// Whether the slot for the join waker is offered. Only the handle changes that, so only the handle may ask.
    pub(crate) fn is_waker_offered(&self) -> bool {
        // Relaxed: the handle reads its own write.
        self.0.load(Relaxed) & JOIN_WAKER != 0
    }

    /// Counts another reference, of which users may make and forget any number.
    ///
    /// # Panics
    ///
    /// If there are 2²⁶ already.
    pub(crate) fn refer(&self) {
        assert!(self.try_refer(), "a task has more than {MAX_REFERENCES} wakers and handles");
    }

    /// As [`refer`](State::refer). Says whether there was room.
    #[must_use]
    pub(crate) fn try_refer(&self) -> bool {
        // Relaxed: whoever calls this has a reference, so the cell stays.
        let before = self.0.fetch_add(REFERENCE, Relaxed);
        let has_room = before & REFERENCES < MAX_REFERENCES * REFERENCE;
        if !has_room {
            // Relaxed: as above; this isn't the last one.
            self.0.fetch_sub(REFERENCE, Relaxed);
        }
        has_room
    }

    /// Gives a reference back. Whether it was the last: then free the cell.
    #[must_use]
    pub(crate) fn unrefer(&self) -> bool {
        // Acquire, in both: pairs with the Release of those who gave theirs back before.
        self.0.load(Acquire) & REFERENCES == REFERENCE || self.0.fetch_sub(REFERENCE, AcqRel) & REFERENCES == REFERENCE
    }

    /// Tries `transition` until no other thread came between.
    fn update<T>(&self, mut transition: impl FnMut(u64) -> (T, u64)) -> T {
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

fn word(state: u64) -> u32 {
    (state >> WORD_SHIFT) as u32
}

/// The cell is freed by whoever gave the last reference back, and all that others did happened before.
#[cfg(polyexec_loom)]
impl Drop for State {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.0.with_mut(|_| ());
        }
    }
}

#[cfg(all(test, feature = "std", not(polyexec_loom)))]
mod tests {
    use super::*;

    fn running() -> State {
        let state = State::new();
        assert_eq!(state.begin(), OnBegin::Poll);
        state
    }

    fn resting() -> State {
        let state = running();
        assert_eq!(state.end(false, true), OnEnd::Admit);
        state.admit(7);
        assert_eq!(state.end(false, true), OnEnd::Wait);
        state
    }

    fn references(state: &State) -> u64 {
        (state.0.load(Relaxed) & REFERENCES) / REFERENCE
    }

    #[test]
    fn a_new_task_is_on_its_way_already() {
        assert_eq!(State::new().wake(), OnWake::Nothing);
        assert_eq!(State::new().abort(), OnWake::Nothing);
    }

    #[test]
    fn only_the_first_wake_of_a_resting_task_enqueues() {
        let state = resting();
        assert_eq!(state.wake(), OnWake::Enqueue);
        assert_eq!(state.wake(), OnWake::Nothing);
        assert_eq!(state.begin(), OnBegin::Poll);
        assert_eq!(state.end(false, true), OnEnd::Wait);
    }

    #[test]
    fn a_wake_during_a_poll_is_owed_at_its_end_once() {
        let state = running();
        assert_eq!(state.wake(), OnWake::Nothing);
        assert_eq!(state.wake(), OnWake::Nothing);
        assert_eq!(state.end(false, false), OnEnd::Again);
        assert_eq!(state.begin(), OnBegin::Poll);
        assert_eq!(state.end(false, false), OnEnd::Wait);
    }

    #[test]
    fn wakes_of_a_claimed_task_in_its_queue_are_owed_once() {
        let state = running();
        assert_eq!(state.end(true, true), OnEnd::Again);
        assert_eq!(state.wake(), OnWake::Nothing);
        assert_eq!(state.begin(), OnBegin::Poll);
        assert_eq!(state.end(true, true), OnEnd::Again);
        assert_eq!(state.begin(), OnBegin::Poll);
        assert_eq!(state.end(false, false), OnEnd::Wait);
    }

    #[test]
    fn an_abort_is_in_force_at_the_next_step() {
        let queued = State::new();
        assert_eq!(queued.abort(), OnWake::Nothing);
        assert_eq!(queued.begin(), OnBegin::Cancel);

        let polled = running();
        assert_eq!(polled.abort(), OnWake::Nothing);
        assert_eq!(polled.end(false, true), OnEnd::Cancel);
        assert_eq!(polled.cancelled(), Cancelled::Aborted);

        let again = running();
        assert_eq!(again.end(true, true), OnEnd::Again);
        assert_eq!(again.abort(), OnWake::Nothing);
        assert_eq!(again.begin(), OnBegin::Cancel);

        let idle = resting();
        assert_eq!(idle.abort(), OnWake::Enqueue);
        assert_eq!(idle.abort(), OnWake::Nothing);
        assert_eq!(idle.begin(), OnBegin::Cancel);
    }

    #[test]
    fn a_shutdown_claims_what_rests_and_marks_what_is_claimed() {
        let idle = resting();
        let before = references(&idle);
        assert_eq!(idle.shut_down(), OnCancel::Cancel);
        assert_eq!(references(&idle), before + 1, "the shutdown has one");
        assert_eq!(idle.begin(), OnBegin::Nothing);
        assert_eq!(idle.end_unrun(), OnCancel::Nothing);
        assert_eq!(idle.complete(), OnComplete::Nothing);

        let on_its_way = resting();
        assert_eq!(on_its_way.wake(), OnWake::Enqueue);
        assert_eq!(on_its_way.shut_down(), OnCancel::Cancel);
        assert_eq!(on_its_way.begin(), OnBegin::Nothing);

        let polled = running();
        assert_eq!(polled.shut_down(), OnCancel::Nothing);
        assert_eq!(polled.end(true, true), OnEnd::Cancel);
        assert_eq!(polled.cancelled(), Cancelled::ShutDown);
        assert_eq!(polled.complete(), OnComplete::Nothing);
        assert_eq!(polled.shut_down(), OnCancel::Nothing);

        let queued = State::new();
        assert_eq!(queued.shut_down(), OnCancel::Nothing);
        assert_eq!(queued.begin(), OnBegin::Cancel);
    }

    #[test]
    fn a_task_that_is_dropped_is_claimed_once() {
        let queued = State::new();
        assert_eq!(queued.end_unrun(), OnCancel::Cancel);
        assert_eq!(queued.complete(), OnComplete::Nothing);

        let woken = resting();
        assert_eq!(woken.wake(), OnWake::Enqueue);
        assert_eq!(woken.end_unrun(), OnCancel::Cancel);
        assert_eq!(woken.shut_down(), OnCancel::Nothing);
    }

    #[test]
    fn nothing_moves_a_completed_task() {
        let state = running();
        assert_eq!(state.complete(), OnComplete::Nothing);
        assert_eq!(state.wake(), OnWake::Nothing);
        assert_eq!(state.abort(), OnWake::Nothing);
        assert_eq!(state.begin(), OnBegin::Nothing);
        assert_eq!(state.end_unrun(), OnCancel::Nothing);
        assert!(state.is_completed());
    }

    #[test]
    fn only_an_unpolled_task_can_be_taken_back() {
        let refused = State::new();
        assert_eq!(refused.take_back(), OnTakeBack::Take);
        assert_eq!(refused.begin(), OnBegin::Nothing);
        let again = running();
        assert_eq!(again.end(true, true), OnEnd::Again);
        assert_eq!(again.take_back(), OnTakeBack::Leave);
        assert_eq!(resting().take_back(), OnTakeBack::Leave);
        let unknown = running();
        assert_eq!(unknown.end(false, false), OnEnd::Wait);
        assert_eq!(unknown.wake(), OnWake::Enqueue);
        assert_eq!(unknown.take_back(), OnTakeBack::Leave);
    }

    #[test]
    fn the_result_goes_to_a_living_handle_only() {
        let waited = running();
        assert_eq!(waited.offer_waker(), OnJoin::Pending);
        assert_eq!(waited.complete(), OnComplete::Wake);
        assert_eq!(waited.reclaim_waker(), OnJoin::Completed);
        assert!(waited.is_waker_offered(), "the slot is not the handle's any more");
        assert_eq!(waited.detach(), OnDetach::Discard);

        let detached = running();
        assert_eq!(detached.offer_waker(), OnJoin::Pending);
        assert_eq!(detached.detach(), OnDetach::TakeWaker);
        assert_eq!(detached.complete(), OnComplete::Discard);
    }

    #[test]
    fn references_are_counted_with_each_transition() {
        let state = running();
        assert_eq!(references(&state), 2);
        state.refer();
        assert_eq!(state.end(false, false), OnEnd::Wait);
        assert_eq!(references(&state), 2, "the `Task` is gone");
        assert_eq!(state.wake(), OnWake::Enqueue);
        assert_eq!(references(&state), 3, "and there is another one");
        assert_eq!(state.begin(), OnBegin::Poll);
        assert!(!state.unrefer());
        assert_eq!(state.complete(), OnComplete::Nothing);
        assert_eq!(references(&state), 1);
        assert_eq!(state.detach(), OnDetach::Free);

        let admitted = resting();
        assert_eq!((references(&admitted), admitted.word()), (2, 7));
        assert_eq!(admitted.detach(), OnDetach::Nothing);
        assert!(admitted.unrefer());
    }

    #[test]
    fn a_task_that_nobody_can_wake_is_freed() {
        let state = running();
        assert_eq!(state.detach(), OnDetach::Nothing);
        assert_eq!(state.end(false, false), OnEnd::Free);
    }

    #[test]
    fn too_many_references_are_refused() {
        let state = State(AtomicU64::new(CLAIMED | HANDLE | (MAX_REFERENCES * REFERENCE)));
        let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| state.refer()));
        assert!(refused.is_err());
        assert!(!state.try_refer());
        assert_eq!(references(&state), MAX_REFERENCES);

        // What the task needs for its own course finds room.
        assert_eq!(state.end(false, true), OnEnd::Admit);
        state.admit(MAX_WORD);
        assert_eq!(state.end(false, true), OnEnd::Wait);
        assert_eq!(state.wake(), OnWake::Enqueue);
        assert_eq!(state.shut_down(), OnCancel::Cancel);
        assert_eq!((references(&state), state.word()), (MAX_REFERENCES + 2, MAX_WORD));
        assert!(!state.try_refer());
    }
}
