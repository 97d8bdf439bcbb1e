//! The hook of `on_ready`: it is called once each time that tasks become ready while no call runs them.

use std::future::{pending, poll_fn};
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;

use polyexec_conformance::probe::{Sleeper, Tally};
use polyexec_conformance::watched;
use polyexec_core::Executor;
use polyexec_futures::yield_now;
use polyexec_local::{Local, LocalHandle};

fn counting() -> (Local, Tally) {
    let calls = Tally::new();
    let counted = calls.clone();
    (Local::builder().on_ready(move || counted.add()).build(), calls)
}

#[test]
fn it_is_called_once_until_the_tasks_run() {
    watched!();
    let (local, calls) = counting();
    let sleepers = [Sleeper::new(), Sleeper::new()];
    for sleeper in &sleepers {
        local.spawn(sleeper.future()).detach();
    }
    local.spawn(async { yield_now().await }).detach();
    assert_eq!(calls.get(), 1);
    local.run_until_stalled();
    assert_eq!((calls.get(), sleepers[0].polls()), (1, 1), "what becomes ready in the call runs in it");

    // From here, from another thread, and by a spawn from there.
    sleepers[0].waker().wake();
    assert_eq!(calls.get(), 2);
    thread::scope(|threads| _ = threads.spawn(|| sleepers[1].waker().wake()));
    assert_eq!(calls.get(), 2);
    local.run_until_stalled();
    thread::scope(|threads| _ = threads.spawn(|| sleepers[1].waker().wake()));
    assert_eq!(calls.get(), 3);
    local.run_until_stalled();
    let handle = local.handle();
    thread::spawn(move || handle.spawn(async {}).detach()).join().unwrap();
    assert_eq!(calls.get(), 4);
    local.run_until_stalled();

    // What another thread makes ready while a call runs the tasks runs in that call.
    let handle = local.handle();
    local.block_on(async {
        thread::spawn(move || handle.spawn(async {}).detach()).join().unwrap();
        yield_now().await;
    });
    assert_eq!(calls.get(), 4);

    // Nothing became ready.
    local.run_until_stalled();
    local.block_on(async { yield_now().await });
    assert_eq!(calls.get(), 4);
}

#[test]
fn it_is_called_if_tasks_are_left_when_a_call_returns() {
    watched!();
    let (local, calls) = counting();
    let left = |handle: LocalHandle| async move { handle.spawn(async {}).detach() };
    local.block_on(left(local.handle()));
    assert_eq!(calls.get(), 1);
    local.run_until_stalled();

    // A task that blocks runs the others, which is no end of the outer call.
    let inner = local.handle();
    let blocks = local.spawn(async move { inner.block_on(inner.spawn(async {})).unwrap() });
    assert_eq!(calls.get(), 2);
    local.block_on(blocks).unwrap();
    assert_eq!(calls.get(), 2);

    // A panic ends the call, too.
    let handle = local.handle();
    let panics = || {
        local.block_on(async {
            handle.spawn(async {}).detach();
            resume_unwind(Box::new(()))
        })
    };
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
    assert_eq!(calls.get(), 3);
}

#[test]
fn a_pending_run_until_is_woken_instead() {
    watched!();
    let (local, calls) = counting();
    let (sleeper, wakes) = (Sleeper::new(), Tally::new());
    let counted = wakes.clone();
    let waker = polyexec_conformance::probe::waker(move || counted.add());
    let mut cx = Context::from_waker(&waker);
    local.spawn(sleeper.future()).detach();
    assert_eq!(calls.get(), 1);
    {
        let mut within = pin!(local.run_until(pending::<()>()));
        assert!(within.as_mut().poll(&mut cx).is_pending());
        thread::scope(|threads| _ = threads.spawn(|| sleeper.waker().wake()));
        assert_eq!((calls.get(), wakes.get()), (1, 1));
    }
    // It was dropped with a task that is ready.
    assert_eq!(calls.get(), 2);
    local.run_until_stalled();
    sleeper.waker().wake();
    assert_eq!(calls.get(), 3);
}

/// A loop that runs tasks only when it is told to.
#[test]
fn no_call_is_lost() {
    watched!();
    const WAKES: usize = 500;
    const THREADS: usize = 2;
    let (events, told) = mpsc::channel();
    let local = Local::builder().on_ready(move || events.send(()).unwrap()).build();
    let slots = [(); THREADS].map(|()| Arc::new(Mutex::new(None::<Waker>)));
    let tasks = slots.clone().map(|slot| {
        let mut polls = 0;
        local.spawn(poll_fn(move |cx| {
            polls += 1;
            *slot.lock().unwrap() = (polls <= WAKES).then(|| cx.waker().clone());
            if polls > WAKES { Poll::Ready(()) } else { Poll::Pending }
        }))
    });
    let wakers = slots.map(|slot| {
        thread::spawn(move || {
            let mut wakes = 0;
            while wakes < WAKES {
                let waker = slot.lock().unwrap().take();
                match waker {
                    Some(waker) => {
                        waker.wake();
                        wakes += 1;
                    }
                    None => thread::yield_now(),
                }
            }
        })
    });
    while !tasks.iter().all(|task| task.is_finished()) {
        told.recv().unwrap();
        local.run_until_stalled();
    }
    wakers.into_iter().for_each(|waker| waker.join().unwrap());
}

#[test]
fn it_holds_no_lock_and_its_panic_harms_nobody() {
    watched!();
    struct PanicsAgain;
    impl Drop for PanicsAgain {
        fn drop(&mut self) {
            resume_unwind(Box::new(()))
        }
    }
    let calls = Arc::new(AtomicUsize::new(0));
    let handle = Arc::new(Mutex::new(None::<LocalHandle>));
    let (counted, own) = (calls.clone(), handle.clone());
    let local = Local::builder()
        .on_ready(move || {
            counted.fetch_add(1, SeqCst);
            // The same queue, from inside.
            let own = own.lock().unwrap().clone();
            own.into_iter().for_each(|own| own.spawn(async {}).detach());
            resume_unwind(Box::new(PanicsAgain))
        })
        .build();
    *handle.lock().unwrap() = Some(local.handle());
    let sleeper = Sleeper::new();
    let task = local.spawn(sleeper.future());
    local.run_until_stalled();
    sleeper.end();
    thread::scope(|threads| _ = threads.spawn(|| sleeper.waker().wake()));
    assert_eq!(calls.load(SeqCst), 2);
    local.block_on(task).unwrap();
    // The executor has the hook, and the hook the executor.
    *handle.lock().unwrap() = None;
}
