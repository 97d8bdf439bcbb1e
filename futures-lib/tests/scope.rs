//! Scopes, step by step on a queue. What holds on every executor is in the conformance suite.

use std::cell::RefCell;
use std::future::{pending, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use polyexec_conformance::probe::{Gate, OnDrop, Planned, Tally, Trace, carrying, poll_with, waker};
use polyexec_conformance::watched;
use polyexec_core::{JoinError, spawn};
use polyexec_futures::{CancellationToken, JoinSet, Scope, ScopedHandle, TryScope, scope, try_scope, yield_now};
use polyexec_local::Local;
use polyexec_pool::Pool;

/// Polls once, with a waker that does nothing.
fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_child_that_does_not_end_keeps_the_scope_until_it_is_told_to() {
    let local = Local::new();
    let token = CancellationToken::new();
    let served = token.clone();
    let handle = local.handle();
    let mut serves = pin!(scope(async |s: Scope| {
        s.spawn_on(&handle, async move { served.cancelled().await });
        "the body has ended"
    }));
    for _ in 0..3 {
        assert!(poll_once(serves.as_mut()).is_pending());
        local.run_until_stalled();
    }
    token.cancel();
    local.run_until_stalled();
    assert!(matches!(poll_once(serves.as_mut()), Poll::Ready(Ok("the body has ended"))));
}

#[test]
fn a_child_is_dropped_before_its_output_comes() {
    let local = Local::new();
    let (trace, taken) = (Trace::new(), RefCell::new(None));
    let (dropped, logs) = (trace.on_drop("future dropped"), trace.clone());
    let waker = waker(move || logs.log("output"));
    let mut spawns = pin!(scope(async |s: Scope| {
        // Its last poll drops nothing of it, as the last one of an `async` block would.
        let child = poll_fn(move |_| {
            let _ = &dropped;
            Poll::Ready(7)
        });
        taken.replace(Some(s.spawn_on(&local.handle(), child)));
    }));
    assert!(poll_once(spawns.as_mut()).is_pending());
    let mut handle = taken.take().unwrap();
    assert!(poll_with(&mut handle, &waker).is_pending());
    local.run_until_stalled();
    assert_eq!(trace, ["future dropped", "output"]);
    assert_eq!(poll_with(&mut handle, &waker), Poll::Ready(Some(7)));
}

/// Polls the scope and runs the children, in turn.
fn steps<F: Future>(local: &Local, mut scope: std::pin::Pin<&mut F>) -> Option<F::Output> {
    for _ in 0..5 {
        if let Poll::Ready(output) = poll_once(scope.as_mut()) {
            return Some(output);
        }
        local.run_until_stalled();
    }
    None
}

#[test]
fn the_handle_of_an_aborted_child_gives_nothing_and_the_body_goes_on() {
    let local = Local::new();
    let handle = local.handle();
    let aborts = pin!(scope(async |s: Scope| {
        let child = s.spawn_on(&handle, pending::<()>());
        s.abort_all();
        child.await
    }));
    assert_eq!(steps(&local, aborts).expect("the handle waits for the scope").unwrap(), None);
}

#[test]
fn a_child_that_is_spawned_after_a_failure_is_aborted() {
    let local = Local::new();
    let (handle, drops) = (local.handle(), Tally::new());
    let late = drops.on_drop();
    let fails = pin!(scope(async |s: Scope| {
        let (siblings, executor) = (s.clone(), handle.clone());
        let spawns = OnDrop::new(move || drop(siblings.spawn_on(&executor, carrying(late, pending::<()>()))));
        s.spawn_on(&handle, carrying(spawns, pending::<()>()));
        s.spawn_on(&handle, async { resume_unwind(Box::new(Planned)) });
    }));
    assert!(steps(&local, fails).expect("the late child keeps the scope").unwrap_err().is_panic());
    assert_eq!(drops.get(), 1);
}

#[test]
fn a_scope_that_has_ended_takes_no_children() {
    let local = Local::new();
    let (dropped, escaped) = (Tally::new(), local.block_on(scope(async |s: Scope| s)).unwrap());
    let mut refused: ScopedHandle<()> = escaped.spawn_on(&local.handle(), carrying(dropped.on_drop(), pending()));
    assert_eq!((poll_with(&mut refused, Waker::noop()), dropped.get()), (Poll::Ready(None), 1));
}

#[test]
fn a_scope_that_is_dropped_aborts_what_it_never_saw() {
    let local = Local::new();
    let (drops, escaped) = (Tally::new(), RefCell::new(None));
    {
        let mut early = pin!(scope(async |s: Scope| {
            escaped.replace(Some(s));
            pending::<()>().await
        }));
        assert!(poll_once(early.as_mut()).is_pending());
        let scope = escaped.take().unwrap();
        scope.spawn_on(&local.handle(), carrying(drops.on_drop(), pending::<()>()));
    }
    local.run_until_stalled();
    assert_eq!(drops.get(), 1);
}

/// A handle of a failed child must not wait for ever where the scope can't drop what waits for it.
#[test]
fn a_handle_that_was_taken_elsewhere_is_told_in_the_end() {
    let local = Local::new();
    let (wakes, taken) = (Tally::new(), RefCell::new(None));
    let counted = wakes.clone();
    let waker = waker(move || counted.add());
    let mut fails = Box::pin(scope(async |s: Scope| {
        taken.replace(Some(s.spawn_on(&local.handle(), async { resume_unwind(Box::new(Planned)) })));
        pending::<()>().await
    }));
    assert!(poll_once(fails.as_mut()).is_pending());
    let mut taken: ScopedHandle<()> = taken.take().unwrap();
    local.run_until_stalled();
    assert!(poll_with(&mut taken, &waker).is_pending(), "the scope doesn't know it yet");
    assert!(poll_once(fails.as_mut()).is_ready());
    drop(fails);
    assert_eq!((wakes.get(), poll_with(&mut taken, &waker)), (1, Poll::Ready(None)));
}

#[test]
fn the_body_is_dropped_before_it_learns_of_a_failure() {
    watched!();
    let pool = Pool::builder().worker_threads(2).build().unwrap();
    for _ in 0..300 {
        let root = pool.spawn(async {
            let fails = try_scope(async |s: TryScope<io::Error>| {
                let fails = s.spawn(async { Err::<(), _>(io::Error::other("planned")) });
                fails.await.expect("no body sees this");
                Ok(())
            });
            assert_eq!(fails.await.unwrap_err().to_string(), "planned");
            let panics = scope(async |s: Scope| s.spawn(async { resume_unwind(Box::new(Planned)) }).await.unwrap());
            let error: JoinError = panics.await.map(|(): ()| ()).unwrap_err();
            assert!(error.is_panic());
        });
        pool.block_on(root).unwrap();
    }
}

#[test]
fn a_refused_child_fails_the_scope_with_the_reason() {
    let refused = polyexec_core::block_on(scope(async |s: Scope| drop(s.spawn(async {}))));
    let error = refused.unwrap_err();
    assert!(error.is_rejected(), "{error}");
    assert_eq!(error.task().location().file(), file!());
    let refused: io::Error = polyexec_core::block_on(try_scope(async |s: TryScope<io::Error>| {
        drop(s.spawn(async { Ok(()) }));
        pending::<io::Result<()>>().await
    }))
    .unwrap_err();
    assert!(refused.get_ref().unwrap().is::<JoinError>());
}

#[test]
fn a_panic_in_the_bodys_destructor_goes_on_after_the_children() {
    let local = Local::new();
    let drops = Tally::new();
    let cargo = drops.on_drop();
    let run = || {
        local.block_on(scope(async |s: Scope| {
            s.spawn(carrying(cargo, pending::<()>()));
            let fails = s.spawn(async { resume_unwind(Box::new("the child's")) });
            let _panics = OnDrop::new(|| resume_unwind(Box::new("the body's")));
            let _: Option<()> = fails.await;
        }))
    };
    let panic = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
    assert_eq!((*panic.downcast::<&str>().unwrap(), drops.get()), ("the body's", 1));
}

#[test]
fn the_first_error_is_returned() {
    let local = Local::new();
    let run = |keeps_going: bool| {
        local.block_on(try_scope(async |s: TryScope<io::Error>| {
            if keeps_going {
                s.keep_going();
            }
            let fails_later = OnDrop::new(|| resume_unwind(Box::new(Planned)));
            s.spawn(carrying(fails_later, async {
                yield_now().await;
                Err::<(), _>(io::Error::other("the child's"))
            }));
            Err::<(), _>(io::Error::other("the body's"))
        }))
    };
    for keeps_going in [false, true] {
        assert_eq!(run(keeps_going).unwrap_err().to_string(), "the body's");
    }
}

#[test]
fn a_panic_of_a_plain_closure_goes_on_after_the_children() {
    let local = Local::new();
    let (handle, drops) = (local.handle(), Tally::new());
    let body = |s: Scope| {
        s.spawn_on(&handle, carrying(drops.on_drop(), pending::<()>()));
        if drops.get() == 0 {
            resume_unwind(Box::new(Planned));
        }
        std::future::ready(())
    };
    let panic = catch_unwind(AssertUnwindSafe(|| local.block_on(scope(body)))).unwrap_err();
    assert!(panic.is::<Planned>());
    assert_eq!(drops.get(), 1);
}

#[test]
fn scopes_nest_and_their_futures_are_send() {
    let local = Local::new();
    let sum = local.spawn(async {
        let outer = scope(async |s: Scope| {
            let inner = s.spawn(async { scope(async |s: Scope| s.spawn(async { 6 }).await.unwrap()).await.unwrap() });
            inner.await.unwrap() * 7
        });
        outer.await.unwrap()
    });
    assert_eq!(local.block_on(sum).unwrap(), 42);
}

/// A clone spawns from another thread while the scope ends: each child ends before it, or is refused.
#[test]
fn a_spawn_races_with_the_end() {
    watched!();
    let pool = Pool::builder().worker_threads(2).build().unwrap();
    for round in 0..300 {
        let alive = Tally::new();
        let root = pool.spawn(async move {
            let (escaped, ended) = (Gate::new(), Gate::new());
            let mut outside = JoinSet::new();
            let begun = Tally::new();
            let result = scope(async |s: Scope| {
                let (escaped, ended, alive, begun) = (escaped.clone(), ended.clone(), alive.clone(), begun.clone());
                outside.insert(spawn(async move {
                    escaped.opened().await;
                    for _ in 0..round % 5 {
                        let (counted, alive) = (begun.clone(), alive.on_drop());
                        drop(s.spawn(async move {
                            counted.add();
                            yield_now().await;
                            drop(alive);
                        }));
                    }
                    ended.open();
                }));
            });
            escaped.open();
            result.await.unwrap();
            // Each child that has begun has ended.
            let begun_by_now = begun.get();
            assert!(alive.get() >= begun_by_now);
            ended.opened().await;
            outside.shutdown().await;
        });
        pool.block_on(root).unwrap();
    }
}
