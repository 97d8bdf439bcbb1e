//! What sets this executor apart: threads that are reused, fresh, or refused by the system.

use std::cell::RefCell;
use std::collections::HashSet;
use std::error::Error;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use futures_task::{FutureObj, Spawn};
use polyexec_conformance::probe::{Gate, OnDrop};
use polyexec_conformance::watched;
use polyexec_core::{Executor, block_on};
use polyexec_futures::{count, yield_now};
use polyexec_threaded::Threaded;

fn counting(starts: &Arc<AtomicUsize>) -> impl Fn() + Send + Sync + 'static {
    let starts = starts.clone();
    move || {
        starts.fetch_add(1, SeqCst);
    }
}

#[test]
fn threads_are_used_again() {
    watched!();
    let starts = Arc::new(AtomicUsize::new(0));
    let threaded = Threaded::builder().on_thread_start(counting(&starts)).build().unwrap();
    for _ in 0..1_000 {
        threaded.spawn(count(3)).join().unwrap();
    }
    // A thread resolves the handle before it is idle, so now and then a second one is needed.
    assert!(starts.load(SeqCst) < 100, "{} threads for tasks that came one by one", starts.load(SeqCst));
}

#[test]
fn a_fresh_thread_for_each_task() {
    watched!();
    let starts = Arc::new(AtomicUsize::new(0));
    let threaded = Threaded::builder().fresh_threads().on_thread_start(counting(&starts)).build().unwrap();
    let ids: HashSet<_> = (0..50).map(|_| threaded.spawn(async { thread::current().id() }).join().unwrap()).collect();
    assert_eq!(ids.len(), 50);
    drop(threaded);
    assert_eq!(starts.load(SeqCst), 50);
}

#[test]
fn idle_threads_leave_after_keep_alive() {
    watched!();
    let stopped = Gate::new();
    let stop = stopped.clone();
    let threaded =
        Threaded::builder().keep_alive(Duration::from_millis(1)).on_thread_stop(move || stop.open()).build().unwrap();
    threaded.spawn(async {}).join().unwrap();
    stopped.wait();
    assert_eq!(threaded.spawn(async { 1 }).join().unwrap(), 1);
}

#[test]
fn one_task_more_than_threads_is_given_back() {
    watched!();
    let threaded = Threaded::builder().max_threads(2).build().unwrap();
    let gate = Gate::new();
    let wait = |gate: Gate| async move { gate.opened().await };
    let running = [threaded.spawn(wait(gate.clone())), threaded.spawn(wait(gate.clone()))];

    let error = threaded.try_spawn(async { 42 }).unwrap_err();
    assert!(!error.is_shutdown());
    let cause = error.source().expect("the cause").to_string();
    assert!(cause.contains("all 2 threads are busy"), "{cause}");
    assert_eq!(block_on(error.into_future()), 42);
    let error = threaded.spawn(async {}).join().unwrap_err();
    assert!(error.is_rejected(), "{error}");

    gate.open();
    for task in running {
        task.join().unwrap();
    }
    // The threads are about to be idle.
    while threaded.try_spawn(async {}).is_err() {
        thread::yield_now();
    }
}

#[test]
fn bad_settings_are_refused() {
    watched!();
    for builder in [Threaded::builder().max_threads(0), Threaded::builder().thread_name("a\0b")] {
        assert_eq!(builder.build().unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
    }
}

#[test]
fn a_task_that_blocks_holds_up_nobody() {
    watched!();
    let threaded = Threaded::new();
    let gate = Gate::new();
    let blocked = gate.clone();
    let blocker = threaded.spawn(async move { blocked.wait() });
    threaded.spawn(count(10)).join().unwrap();
    gate.open();
    blocker.join().unwrap();
}

#[test]
fn the_owner_may_end_with_the_last_of_its_own_threads() {
    watched!();
    struct Left {
        _owner: Threaded,
        _ended: OnDrop,
    }
    thread_local!(static LEFT: RefCell<Option<Left>> = const { RefCell::new(None) });

    for builder in [Threaded::builder().keep_alive(Duration::ZERO), Threaded::builder().fresh_threads()] {
        let threaded = builder.build().unwrap();
        let ended = Gate::new();
        let end = ended.clone();
        let handle = threaded.handle();
        drop(handle.spawn(async move {
            let ended = OnDrop::new(move || end.open());
            LEFT.set(Some(Left { _owner: threaded, _ended: ended }));
        }));
        ended.wait();
    }
}

#[test]
fn wakes_during_the_shutdown_find_each_task_where_it_was_left() {
    watched!();
    /// Idle for ever. Leaves its waker.
    fn resting(wakers: Arc<Mutex<Vec<Waker>>>) -> impl Future<Output = ()> + Send {
        poll_fn(move |cx| {
            let mut wakers = wakers.lock().unwrap();
            if !wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
                wakers.push(cx.waker().clone());
            }
            Poll::Pending
        })
    }

    for round in 0..100 {
        let wakers = Arc::new(Mutex::new(Vec::new()));
        let threaded = Threaded::new();
        let over = Gate::new();
        let wakes = {
            let (wakers, over) = (wakers.clone(), over.clone());
            thread::spawn(move || {
                while !over.is_open() {
                    let wakers = wakers.lock().unwrap().clone();
                    wakers.into_iter().for_each(Waker::wake);
                }
            })
        };
        // Tasks that were spawned before the shutdown may reach a thread after it has ended them.
        let spawners = [(); 3].map(|()| {
            let (handle, wakers) = (threaded.handle(), wakers.clone());
            thread::spawn(move || (0..30).for_each(|_| drop(handle.spawn(resting(wakers.clone())))))
        });
        for _ in 0..1_000 * round {
            std::hint::spin_loop();
        }
        drop(threaded);
        spawners.into_iter().for_each(|spawner| spawner.join().unwrap());
        over.open();
        assert!(wakes.join().is_ok(), "a waker panicked in round {round}");
    }
}

#[test]
fn spawns_against_the_shutdown_leave_nothing_behind() {
    watched!();
    for builder in [Threaded::builder(), Threaded::builder().fresh_threads()] {
        for round in 0..100 {
            let canary = Arc::new(());
            let held = canary.clone();
            let threaded = builder.clone().on_thread_start(move || _ = &held).build().unwrap();
            let spawners = [(); 3].map(|()| {
                let handle = threaded.handle();
                thread::spawn(move || (0..30).for_each(|_| drop(handle.spawn(yield_now()))))
            });
            for _ in 0..1_000 * round {
                std::hint::spin_loop();
            }
            drop(threaded);
            spawners.into_iter().for_each(|spawner| spawner.join().unwrap());
            assert_eq!(Arc::strong_count(&canary), 1, "the executor lives on after round {round}");
        }
    }
}

#[test]
fn it_is_an_executor_for_the_futures_crates() {
    watched!();
    let threaded = Threaded::new();
    let gate = Gate::new();
    let open = gate.clone();
    threaded.spawn_obj(FutureObj::new(Box::new(async move { open.open() }))).unwrap();
    gate.wait();
    let handle = threaded.handle();
    drop(threaded);
    assert!(handle.spawn_obj(FutureObj::new(Box::new(async {}))).unwrap_err().is_shutdown());
    assert!(handle.spawn(async {}).join().unwrap_err().is_shutdown());
}

#[test]
fn any_number_will_do_or_is_an_error() {
    watched!();
    let builders = || [Threaded::builder(), Threaded::builder().fresh_threads(), Threaded::builder().queue_when_full()];
    let use_it = |threaded: &Threaded| {
        for n in 0..3 {
            // A thread is free a moment after its task has ended.
            let task = loop {
                match threaded.try_spawn(async move { n }) {
                    Ok(task) => break task,
                    Err(_) => thread::yield_now(),
                }
            };
            assert_eq!(task.join().unwrap(), n);
        }
    };
    for builder in builders() {
        assert_eq!(builder.clone().max_threads(0).build().unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
        for threads in [1, 7, usize::MAX - 1, usize::MAX] {
            use_it(&builder.clone().max_threads(threads).build().unwrap());
        }
        for bytes in [0, 1, 1 << 20] {
            use_it(&builder.clone().stack_size(bytes).build().unwrap());
        }
        for bytes in [usize::MAX / 2, usize::MAX - 1, usize::MAX] {
            let threaded = builder.clone().stack_size(bytes).build().unwrap();
            let error = threaded.try_spawn(async {}).unwrap_err();
            assert!(!error.is_shutdown() && error.source().is_some(), "{error}");
        }
        for time in [0, 1, 1_000_000].map(Duration::from_nanos).into_iter().chain([Duration::MAX]) {
            let threaded = builder.clone().keep_alive(time).build().unwrap();
            use_it(&threaded);
            threaded.shutdown_timeout(Duration::MAX).unwrap();
        }
        let threaded = builder.build().unwrap();
        use_it(&threaded);
        // Its threads may have ended by now.
        let _ = threaded.shutdown_timeout(Duration::ZERO);
    }
}
