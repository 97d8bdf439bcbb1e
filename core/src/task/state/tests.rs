//! Each transition by itself, on one thread. What threads do to each other: `tests/models`.

use super::*;

fn running() -> State {
    let state = State::new(false);
    assert_eq!(state.begin(), OnBegin::Poll);
    state
}

fn idle_task() -> State {
    let state = running();
    assert_eq!(state.end(false, true), OnEnd::Insert);
    state.set_key(7);
    assert_eq!(state.end(false, true), OnEnd::Idle);
    state
}

fn references(state: &State) -> u64 {
    (state.0.load(Relaxed) & REFERENCES) / REFERENCE
}

#[test]
fn a_new_task_is_on_its_way_already() {
    assert_eq!(State::new(false).wake(), OnWake::Nothing);
    assert_eq!(State::new(false).abort(), OnWake::Nothing);
}

#[test]
fn only_the_first_wake_of_an_idle_task_enqueues() {
    let state = idle_task();
    assert_eq!(state.wake(), OnWake::Enqueue);
    assert_eq!(state.wake(), OnWake::Nothing);
    assert_eq!(state.begin(), OnBegin::Poll);
    assert_eq!(state.end(false, true), OnEnd::Idle);
}

#[test]
fn a_wake_during_a_poll_is_owed_at_its_end_once() {
    let state = running();
    assert_eq!(state.wake(), OnWake::Nothing);
    assert_eq!(state.wake(), OnWake::Nothing);
    assert_eq!(state.end(false, false), OnEnd::Again);
    assert_eq!(state.begin(), OnBegin::Poll);
    assert_eq!(state.end(false, false), OnEnd::Idle);
}

#[test]
fn wakes_of_a_claimed_task_in_its_queue_are_owed_once() {
    let state = running();
    assert_eq!(state.end(true, true), OnEnd::Again);
    assert_eq!(state.wake(), OnWake::Nothing);
    assert_eq!(state.begin(), OnBegin::Poll);
    assert_eq!(state.end(true, true), OnEnd::Again);
    assert_eq!(state.begin(), OnBegin::Poll);
    assert_eq!(state.end(false, false), OnEnd::Idle);
}

#[test]
fn a_woken_task_goes_back_to_its_queue_as_it_is() {
    let first = running();
    assert_eq!(first.pending(true), OnPending::End, "its future isn't noted as pinned yet");
    assert_eq!(first.end(true, true), OnEnd::Again);
    assert_eq!(first.pending(true), OnPending::Again);
    assert_eq!(first.pending(false), OnPending::End);
    assert_eq!(first.wake(), OnWake::Nothing);
    assert_eq!(first.pending(false), OnPending::Again);
    assert_eq!(first.abort(), OnWake::Nothing);
    assert_eq!(first.pending(true), OnPending::End);
}

#[test]
fn an_observer_is_told_of_each_poll() {
    let state = State::new(true);
    for _ in 0..3 {
        assert_eq!(state.begin(), OnBegin::PollObserved);
        assert_eq!(state.pending(true), OnPending::Tell);
        assert_eq!(state.end(true, false), OnEnd::Again);
        assert_eq!((state.pending_told(true), state.pending_told(false)), (OnPending::Again, OnPending::End));
    }
    assert_eq!(state.end(false, false), OnEnd::Idle);
    assert_eq!(state.wake(), OnWake::Enqueue);
    assert_eq!(state.begin(), OnBegin::PollObserved);
    assert_eq!(state.abort(), OnWake::Nothing);
    assert_eq!(state.end(false, false), OnEnd::Cancel);
}

#[test]
fn an_abort_is_in_force_at_the_next_step() {
    let queued = State::new(false);
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

    let idle = idle_task();
    assert_eq!(idle.abort(), OnWake::Enqueue);
    assert_eq!(idle.abort(), OnWake::Nothing);
    assert_eq!(idle.begin(), OnBegin::Cancel);
}

#[test]
fn a_shutdown_takes_what_is_idle_and_marks_what_is_claimed() {
    let idle = idle_task();
    let before = references(&idle);
    assert_eq!(idle.shut_down(), OnCancel::Cancel);
    assert_eq!(references(&idle), before + 1, "the shutdown has one");
    assert_eq!(idle.begin(), OnBegin::Nothing);
    assert_eq!(idle.cancel(), OnCancel::Nothing);
    assert_eq!(idle.complete(), OnComplete::Nothing);

    let on_its_way = idle_task();
    assert_eq!(on_its_way.wake(), OnWake::Enqueue);
    assert_eq!(on_its_way.shut_down(), OnCancel::Cancel);
    assert_eq!(on_its_way.begin(), OnBegin::Nothing);

    let polled = running();
    assert_eq!(polled.shut_down(), OnCancel::Nothing);
    assert_eq!(polled.end(true, true), OnEnd::Cancel);
    assert_eq!(polled.cancelled(), Cancelled::ShutDown);
    assert_eq!(polled.complete(), OnComplete::Nothing);
    assert_eq!(polled.shut_down(), OnCancel::Nothing);

    let queued = State::new(false);
    assert_eq!(queued.shut_down(), OnCancel::Nothing);
    assert_eq!(queued.begin(), OnBegin::Cancel);
}

#[test]
fn a_task_that_is_dropped_is_claimed_once() {
    let queued = State::new(false);
    assert_eq!(queued.cancel(), OnCancel::Cancel);
    assert_eq!(queued.complete(), OnComplete::Nothing);

    let woken = idle_task();
    assert_eq!(woken.wake(), OnWake::Enqueue);
    assert_eq!(woken.cancel(), OnCancel::Cancel);
    assert_eq!(woken.shut_down(), OnCancel::Nothing);
}

#[test]
fn nothing_moves_a_completed_task() {
    let state = running();
    assert_eq!(state.complete(), OnComplete::Nothing);
    assert_eq!(state.wake(), OnWake::Nothing);
    assert_eq!(state.abort(), OnWake::Nothing);
    assert_eq!(state.begin(), OnBegin::Nothing);
    assert_eq!(state.cancel(), OnCancel::Nothing);
    assert!(state.is_completed());
}

#[test]
fn only_an_unpolled_task_can_be_taken_back() {
    let refused = State::new(false);
    assert_eq!(refused.take_back(), OnTakeBack::Take);
    assert_eq!(refused.begin(), OnBegin::Nothing);
    let again = running();
    assert_eq!(again.end(true, true), OnEnd::Again);
    assert_eq!(again.take_back(), OnTakeBack::Leave);
    assert_eq!(idle_task().take_back(), OnTakeBack::Leave);
    let unknown = running();
    assert_eq!(unknown.end(false, false), OnEnd::Idle);
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
    assert_eq!(state.end(false, false), OnEnd::Idle);
    assert_eq!(references(&state), 2, "the `Task` is gone");
    assert_eq!(state.wake(), OnWake::Enqueue);
    assert_eq!(references(&state), 3, "and there is another one");
    assert_eq!(state.begin(), OnBegin::Poll);
    assert!(!state.unrefer());
    assert_eq!(state.complete(), OnComplete::Nothing);
    assert_eq!(references(&state), 1);
    assert_eq!(state.detach(), OnDetach::Free);

    let entered = idle_task();
    assert_eq!((references(&entered), entered.key()), (2, 7));
    assert_eq!(entered.detach(), OnDetach::Nothing);
    assert!(entered.unrefer());
}

#[test]
fn a_task_that_nothing_can_wake_is_freed() {
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

    // The transitions' own references find room beyond the limit.
    assert_eq!(state.end(false, true), OnEnd::Insert);
    state.set_key(MAX_KEY);
    assert_eq!(state.end(false, true), OnEnd::Idle);
    assert_eq!(state.wake(), OnWake::Enqueue);
    assert_eq!(state.shut_down(), OnCancel::Cancel);
    assert_eq!((references(&state), state.key()), (MAX_REFERENCES + 2, MAX_KEY));
    assert!(!state.try_refer());
}
