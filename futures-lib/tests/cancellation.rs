//! Tokens and trackers, by hand: who is woken, what is left behind, and that nothing is locked while wakers are called.

use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use std::thread;

use polyexec_conformance::probe::{Gate, Meeting, OnDrop, Planned, Rng, Tally, Trace, carrying, poll_with, waker};
use polyexec_conformance::watched;
use polyexec_core::block_on;
use polyexec_futures::{CancellationToken, TaskTracker, count};
use polyexec_local::Local;

/// A waker that counts its calls.
fn counting() -> (Waker, Tally) {
    let wakes = Tally::new();
    let counted = wakes.clone();
    (waker(move || counted.add()), wakes)
}

#[test]
fn a_cancelled_token_wakes_each_waiter_once_with_its_newest_waker() {
    let token = CancellationToken::new();
    let (before, stale) = counting();
    let (newest, wakes) = counting();
    let (mut one, mut other) = (token.cancelled(), token.cancelled());
    for waker in [&before, &newest, &newest] {
        assert!(poll_with(&mut one, waker).is_pending());
    }
    assert!(poll_with(&mut other, &newest).is_pending());
    token.cancel();
    token.cancel();
    assert_eq!((stale.get(), wakes.get()), (0, 2));
    for _ in 0..2 {
        assert!(poll_with(&mut one, Waker::noop()).is_ready() && poll_with(&mut other, Waker::noop()).is_ready());
    }
    assert!(poll_with(&mut token.cancelled(), &newest).is_ready());
    assert_eq!(wakes.get(), 2);
}

#[test]
fn a_waiter_that_gives_up_is_forgotten() {
    let token = CancellationToken::new();
    let (waker, wakes) = counting();
    let dropped = Tally::new();
    let mut kept = token.cancelled();
    {
        let on_drop = Mutex::new(dropped.on_drop());
        let given_up = polyexec_conformance::probe::waker(move || {
            let _dropped_with_the_waker = &on_drop;
            panic!("woken though it gave up");
        });
        let mut waiters: Vec<_> = (0..100).map(|_| token.cancelled()).collect();
        for waiter in &mut waiters {
            assert!(poll_with(waiter, &given_up).is_pending());
        }
        assert!(poll_with(&mut kept, &waker).is_pending());
    }
    assert_eq!(dropped.get(), 1, "the token keeps a waker of nobody");
    token.cancel();
    assert_eq!(wakes.get(), 1);
}

#[test]
fn children_are_cancelled_with_their_parent_and_alone() {
    let root = CancellationToken::new();
    let [child, sibling] = [root.child_token(), root.child_token()];
    let grandchild = child.child_token();
    let (waker, wakes) = counting();
    let mut waits = [child.cancelled(), grandchild.cancelled(), sibling.cancelled(), root.cancelled()];
    for wait in &mut waits {
        assert!(poll_with(wait, &waker).is_pending());
    }
    child.cancel();
    assert_eq!(wakes.get(), 2);
    assert!(grandchild.is_cancelled() && !sibling.is_cancelled() && !root.is_cancelled());
    root.cancel();
    assert_eq!(wakes.get(), 4);
    assert!(sibling.is_cancelled() && root.child_token().is_cancelled() && child.child_token().is_cancelled());
}

#[test]
fn a_grandchild_is_cancelled_though_its_parent_was_dropped() {
    let root = CancellationToken::new();
    let grandchild = root.child_token().child_token();
    let (waker, wakes) = counting();
    let mut waits = grandchild.cancelled();
    assert!(poll_with(&mut waits, &waker).is_pending());
    root.cancel();
    assert!(grandchild.is_cancelled());
    assert_eq!(wakes.get(), 1);
}

#[test]
fn a_chain_of_any_depth_is_cancelled_and_dropped() {
    watched!();
    for first_to_last in [true, false] {
        let mut chain = vec![CancellationToken::new()];
        for depth in 0..100_000 {
            chain.push(chain[depth].child_token());
        }
        if first_to_last {
            chain[1].cancel();
            assert!(chain.last().unwrap().is_cancelled() && !chain[0].is_cancelled());
        } else {
            chain.reverse();
        }
        chain.into_iter().for_each(drop);
    }
}

#[test]
fn a_waker_may_call_back_panic_and_drop_tokens() {
    watched!();
    let root = CancellationToken::new();
    let child = root.child_token();
    let (other, wakes) = counting();
    let calls_back = {
        let tokens = Mutex::new(Some((root.clone(), child.clone())));
        waker(move || {
            let (root, child) = tokens.lock().unwrap().take().unwrap();
            assert!(root.is_cancelled() && child.is_cancelled());
            root.cancel();
            assert!(poll_with(&mut child.cancelled(), Waker::noop()).is_ready());
            assert!(root.child_token().is_cancelled());
        })
    };
    let panics = waker(|| std::panic::resume_unwind(Box::new(Planned)));
    let [mut first, mut second, mut third] = [&root, &root, &child].map(|token| token.cancelled());
    let mut last = root.cancelled();
    assert!(poll_with(&mut first, &panics).is_pending() && poll_with(&mut second, &calls_back).is_pending());
    assert!(poll_with(&mut third, &panics).is_pending() && poll_with(&mut last, &other).is_pending());
    let panic = catch_unwind(AssertUnwindSafe(|| root.cancel())).unwrap_err();
    assert!(panic.is::<Planned>());
    assert_eq!(wakes.get(), 1, "all are woken");
}

/// The waker before the newest is dropped by a poll. It may use the token, so nothing may be locked.
#[test]
fn a_waker_may_call_back_in_its_drop() {
    watched!();
    let token = CancellationToken::new();
    let on_drop = {
        let token = token.clone();
        Mutex::new(OnDrop::new(move || assert!(poll_with(&mut token.cancelled(), &waker(|| ())).is_pending())))
    };
    let replaced = waker(move || {
        let _dropped_with_the_waker = &on_drop;
    });
    let mut waits = token.cancelled();
    assert!(poll_with(&mut waits, &replaced).is_pending());
    drop(replaced);
    assert!(poll_with(&mut waits, &waker(|| ())).is_pending());
}

#[test]
fn a_waker_that_blocks_leaves_the_token_usable() {
    watched!();
    let token = CancellationToken::new();
    let (blocked, go) = (Gate::new(), Gate::new());
    let blocks = {
        let (blocked, go) = (blocked.clone(), go.clone());
        waker(move || {
            blocked.open();
            go.wait();
        })
    };
    let mut waits = token.cancelled();
    assert!(poll_with(&mut waits, &blocks).is_pending());
    thread::scope(|threads| {
        threads.spawn(|| token.cancel());
        blocked.wait();
        token.cancel();
        assert!(token.is_cancelled() && token.child_token().is_cancelled());
        block_on(token.cancelled());
        go.open();
    });
}

#[test]
fn a_future_runs_until_it_is_ready_or_cancelled() {
    let trace = Trace::new();
    let token = CancellationToken::new();
    assert_eq!(block_on(token.run_until_cancelled(count(3))), Some(3));
    let own = CancellationToken::new();
    let cancels_and_ends = async {
        own.cancel();
        42
    };
    assert_eq!(block_on(own.run_until_cancelled(cancels_and_ends)), Some(42), "no output is lost");
    {
        let mut run = pin!(token.run_until_cancelled(carrying(trace.on_drop("dropped"), pending::<()>())));
        let (waker, wakes) = counting();
        let mut cx = Context::from_waker(&waker);
        assert!(run.as_mut().poll(&mut cx).is_pending());
        token.cancel();
        assert_eq!(wakes.get(), 1);
        assert_eq!(run.as_mut().poll(&mut cx), Poll::Ready(None));
        assert_eq!(trace, ["dropped"], "before the end is told");
    }
    let unpolled = async { panic!("polled after its token was cancelled") };
    assert_eq!(block_on(token.run_until_cancelled(unpolled)), None::<()>);
}

#[test]
fn a_guard_cancels_unless_it_is_disarmed() {
    let token = CancellationToken::new();
    let guard = token.clone().drop_guard();
    assert!(!guard.disarm().is_cancelled() && !token.is_cancelled());
    let guard = token.clone().drop_guard();
    let panic = catch_unwind(AssertUnwindSafe(move || {
        let _guard = guard;
        std::panic::resume_unwind(Box::new(Planned));
    }));
    assert!(panic.is_err() && token.is_cancelled());
}

#[test]
fn a_loop_on_a_cancelled_token_yields() {
    let local = Local::new();
    let token = CancellationToken::new();
    token.cancel();
    let endless = local.spawn_local(async move {
        loop {
            token.cancelled().await;
        }
    });
    local.block_on(local.spawn(async {})).unwrap();
    endless.abort();
    local.run_until_stalled();
    assert!(endless.is_finished());
}

/// No wait is lost, and no child missed, whatever happens at the same time.
#[test]
fn cancelling_races_with_waiting_and_with_children() {
    watched!();
    let mut rng = Rng::new(92);
    for _ in 0..300 {
        let root = CancellationToken::new();
        let middle = root.child_token();
        let meeting = Meeting::of(3);
        thread::scope(|threads| {
            let (mut first, mut second) = (rng.fork(), rng.fork());
            let (token, meeting) = (&root, &meeting);
            let waits = threads.spawn(move || {
                meeting.attend();
                first.linger();
                block_on(token.cancelled());
            });
            let descends = threads.spawn(move || {
                meeting.attend();
                second.linger();
                let child = middle.child_token();
                drop(middle);
                second.linger();
                let grandchild = child.child_token();
                drop(child);
                block_on(grandchild.cancelled());
            });
            meeting.attend();
            rng.linger();
            token.cancel();
            // ThreadSanitizer sees joins, but not the end of a scope of threads.
            for thread in [waits, descends] {
                thread.join().unwrap();
            }
        });
    }
}

#[test]
fn a_tracker_waits_until_it_is_closed_and_empty() {
    let local = Local::new();
    let tracker = TaskTracker::new();
    let trace = Trace::new();
    let go = Gate::new();
    let (waker, wakes) = counting();
    let mut cx = Context::from_waker(&waker);
    let mut wait = pin!(tracker.wait());
    assert!(wait.as_mut().poll(&mut cx).is_pending());
    let opened = go.clone();
    let task = tracker.spawn_on(&local.handle(), async move { opened.opened().await });
    let tracked = tracker.track_future(carrying(trace.on_drop("dropped"), pending::<()>()));
    assert_eq!((tracker.len(), tracker.is_closed()), (2, false));
    tracker.close();
    assert!(tracker.is_closed() && wait.as_mut().poll(&mut cx).is_pending());
    drop(tracked);
    assert_eq!((tracker.len(), wakes.get()), (1, 0));
    go.open();
    local.block_on(task).unwrap();
    assert_eq!((tracker.len(), wakes.get()), (0, 1));
    let late = tracker.token();
    assert!(wait.as_mut().poll(&mut cx).is_ready(), "it was over");
    assert!(pin!(tracker.wait()).as_mut().poll(&mut cx).is_pending(), "and begins again");
    drop(late);
    assert!(pin!(tracker.wait()).as_mut().poll(&mut cx).is_ready());
    assert_eq!(trace, ["dropped"]);
}

#[test]
fn closing_an_empty_tracker_wakes_all_that_wait() {
    let tracker = TaskTracker::new();
    let (waker, wakes) = counting();
    let mut cx = Context::from_waker(&waker);
    let mut waits: Vec<_> = (0..10).map(|_| Box::pin(tracker.wait())).collect();
    for wait in &mut waits {
        assert!(wait.as_mut().poll(&mut cx).is_pending());
    }
    waits.pop();
    tracker.close();
    assert_eq!(wakes.get(), 9);
    assert!(waits.iter_mut().all(|wait| wait.as_mut().poll(&mut cx).is_ready()));
}

/// A wait of an earlier round must not take the place of one of a later round.
#[test]
fn a_stale_wait_leaves_a_new_one_alone() {
    let tracker = TaskTracker::new();
    let (waker, wakes) = counting();
    let mut cx = Context::from_waker(&waker);
    let mut stale = Box::pin(tracker.wait());
    assert!(stale.as_mut().poll(&mut cx).is_pending());
    tracker.close();
    let token = tracker.token();
    let mut new = Box::pin(tracker.wait());
    assert!(new.as_mut().poll(&mut cx).is_pending());
    drop(stale);
    drop(token);
    assert_eq!(wakes.get(), 2);
    assert!(new.as_mut().poll(&mut cx).is_ready());
}

#[test]
fn what_is_tracked_is_dropped_before_it_counts_no_more() {
    let tracker = TaskTracker::new();
    let seen = {
        let tracker = tracker.clone();
        OnDrop::new(move || assert_eq!(tracker.len(), 1))
    };
    drop(tracker.track_future(carrying(seen, pending::<()>())));
    assert!(tracker.is_empty());
}
