//! Tasks for which the system has no thread. Each test is a process of its own, where threads are scarce.

#![cfg(target_os = "linux")]

use std::error::Error;
use std::io;
use std::sync::mpsc::channel;
use std::thread;

use polyexec_conformance::probe::{Gate, Tally, carrying, threads};
use polyexec_conformance::scarce::Scarcity::{self, Memory, Threads};
use polyexec_conformance::scarce::{EAGAIN, Hogs, STACK, threads_settle_at, with_scarcity};
use polyexec_core::{Executor, JoinHandle, block_on};
use polyexec_threaded::{Builder, Threaded};

/// The system has fewer than ten threads: by number, or by memory.
const SCARCE: [Scarcity; 2] = [Threads(10), Memory(640)];

/// On an executor that reuses threads, and on one with a fresh thread for each task. Their threads end with the test.
fn on_each_executor(test: impl Fn(Builder)) {
    for builder in [Threaded::builder(), Threaded::builder().fresh_threads()] {
        let before = threads();
        test(builder.stack_size(STACK));
        threads_settle_at(before);
    }
}

type Waiting = (Gate, JoinHandle<usize>);

/// Spawns tasks that wait for their gates, until the system has no thread for the next.
fn fill(threaded: &Threaded) -> Vec<Waiting> {
    let mut tasks = Vec::new();
    loop {
        assert!(tasks.len() < 100, "threads aren't scarce here");
        let (gate, number) = (Gate::new(), tasks.len());
        let opened = gate.clone();
        match threaded.try_spawn(async move {
            opened.opened().await;
            number
        }) {
            Ok(task) => tasks.push((gate, task)),
            Err(_) => break,
        }
    }
    assert!(tasks.len() >= 3, "there are {} threads only", tasks.len());
    tasks
}

fn end((number, (gate, task)): (usize, Waiting)) {
    gate.open();
    assert_eq!(task.join().unwrap(), number);
}

/// The system's error code.
fn os_error(error: &dyn Error) -> Option<i32> {
    error.source()?.downcast_ref::<io::Error>()?.raw_os_error()
}

#[test]
fn a_task_without_a_thread_comes_back_and_the_others_go_on() {
    with_scarcity(SCARCE, |_| {
        on_each_executor(|builder| {
            let threaded = builder.build().unwrap();
            let mut tasks = fill(&threaded);
            let full = threads();

            for _ in 0..100 {
                let (polled, dropped) = (Tally::new(), Tally::new());
                let future = || {
                    let poll = polled.clone();
                    carrying(dropped.on_drop(), async move { poll.add() })
                };
                let error = threaded.try_spawn(future()).unwrap_err();
                assert!(!error.is_shutdown());
                assert_eq!(os_error(&error), Some(EAGAIN), "{error}");
                assert_eq!((polled.get(), dropped.get()), (0, 0), "the future is lost");
                block_on(error.into_future());
                assert_eq!((polled.get(), dropped.get()), (1, 1));

                let error = threaded.spawn(future()).join().unwrap_err();
                assert!(error.is_rejected());
                assert_eq!(os_error(&error), Some(EAGAIN), "{error}");
                assert_eq!((polled.get(), dropped.get()), (1, 2));
            }
            assert_eq!(threads(), full, "threads that failed to start");

            // Once a task has ended, there is a thread for the next; it is free a moment after the task.
            end((tasks.len() - 1, tasks.pop().unwrap()));
            let next = loop {
                match threaded.try_spawn(async { 7 }) {
                    Ok(task) => break task,
                    Err(error) => assert_eq!(os_error(&error), Some(EAGAIN), "{error}"),
                }
            };
            assert_eq!(next.join().unwrap(), 7);
            tasks.into_iter().enumerate().for_each(end);
        });
    });
}

#[test]
fn a_shutdown_without_a_thread_to_be_had_returns() {
    with_scarcity(SCARCE, |_| {
        on_each_executor(|builder| {
            let threaded = builder.build().unwrap();
            let tasks = fill(&threaded);
            let rejected = threaded.spawn(async {});
            let handle = threaded.handle();
            drop(threaded);
            assert!(rejected.join().unwrap_err().is_rejected());
            assert!(handle.spawn(async {}).join().unwrap_err().is_shutdown());
            for (_gate, task) in tasks {
                assert!(task.is_finished());
                assert!(task.join().unwrap_err().is_shutdown());
            }
        });
    });
}

#[test]
fn spawns_that_fight_for_the_last_thread_all_come_to_their_end() {
    const SPAWNERS: usize = 3;
    const ROUNDS: usize = 200;

    with_scarcity(SCARCE, |_| {
        on_each_executor(|builder| {
            let threaded = builder.build().unwrap();
            let (go, accepted, came_back, dropped) = (Gate::new(), Tally::new(), Tally::new(), Tally::new());
            // First, so that they have threads themselves.
            let spawners = [(); SPAWNERS].map(|()| {
                let (go, accepted, came_back) = (go.clone(), accepted.clone(), came_back.clone());
                let (handle, dropped) = (threaded.handle(), dropped.clone());
                let spawn = move || {
                    go.wait();
                    for n in 0..ROUNDS {
                        match handle.try_spawn(carrying(dropped.on_drop(), async move { n })) {
                            Ok(task) => {
                                accepted.add();
                                assert_eq!(task.join().unwrap(), n);
                            }
                            Err(error) => {
                                came_back.add();
                                assert_eq!(os_error(&error), Some(EAGAIN), "{error}");
                                assert_eq!(block_on(error.into_future()), n);
                            }
                        }
                    }
                };
                thread::Builder::new().stack_size(1 << 20).spawn(spawn).unwrap()
            });
            let mut tasks = fill(&threaded);
            go.open();
            // One after another, so that some threads are free.
            while tasks.len() > 1 {
                end((tasks.len() - 1, tasks.pop().unwrap()));
                for _ in 0..1_000 {
                    thread::yield_now();
                }
            }
            spawners.into_iter().for_each(|spawner| spawner.join().unwrap());
            tasks.into_iter().enumerate().for_each(end);
            assert_eq!(accepted.get() + came_back.get(), SPAWNERS * ROUNDS);
            drop(threaded);
            assert_eq!(dropped.get(), SPAWNERS * ROUNDS, "futures that are lost");
        });
    });
}

#[test]
fn a_task_that_can_have_no_thread_for_another_goes_on_itself() {
    with_scarcity(SCARCE, |_| {
        on_each_executor(|builder| {
            let threaded = builder.build().unwrap();
            let (go, handle) = (Gate::new(), threaded.handle());
            let opened = go.clone();
            let parent = threaded.spawn(async move {
                opened.opened().await;
                let refused = handle.spawn(async {}).join().unwrap_err();
                let error = handle.try_spawn(async { 20 }).unwrap_err();
                (refused.is_rejected(), error.into_future().await + 22)
            });
            let tasks = fill(&threaded);
            go.open();
            assert_eq!(parent.join().unwrap(), (true, 42));
            tasks.into_iter().enumerate().for_each(end);
        });
    });
}

#[test]
fn a_task_that_waits_has_a_thread_once_there_is_one_though_the_others_never_end() {
    with_scarcity(SCARCE, |_| {
        on_each_executor(|builder| {
            let threaded = builder.queue_when_full().build().unwrap();
            let (gate, begun) = (Gate::new(), Gate::new());
            let (opened, begin) = (gate.clone(), begun.clone());
            let occupant = threaded.spawn(async move {
                begin.open();
                opened.wait();
            });
            begun.wait();
            let hogs = Hogs::take_all();
            let (sender, order) = channel();
            let tasks: Vec<_> = (0..10)
                .map(|n| {
                    let sender = sender.clone();
                    threaded.try_spawn(async move { sender.send(n).unwrap() }).unwrap()
                })
                .collect();
            assert!(order.try_recv().is_err(), "the system has no thread");
            // No spawn tries again, and the only thread stays occupied.
            drop(hogs);
            tasks.into_iter().for_each(|task| task.join().unwrap());
            let mut order: Vec<i32> = order.try_iter().collect();
            order.sort_unstable();
            assert_eq!(order, (0..10).collect::<Vec<_>>());
            assert!(!occupant.is_finished());
            gate.open();
            occupant.join().unwrap();
        });
    });
}

#[test]
fn a_task_that_would_wait_for_no_thread_at_all_comes_back() {
    with_scarcity(SCARCE, |scarcity| {
        on_each_executor(|builder| {
            let refused = builder.clone().queue_when_full();
            let threaded = builder.queue_when_full().build().unwrap();
            let hogs = Hogs::take_all();
            for _ in 0..100 {
                let dropped = Tally::new();
                let error = threaded.try_spawn(carrying(dropped.on_drop(), async { 42 })).unwrap_err();
                assert!(!error.is_shutdown());
                assert_eq!(os_error(&error), Some(EAGAIN), "{error}");
                assert_eq!(dropped.get(), 0);
                assert_eq!(block_on(error.into_future()), 42);
                assert!(threaded.spawn(async {}).join().unwrap_err().is_rejected());
            }
            if let Threads(_) = scarcity {
                // The respawner's thread is small, but it is a thread.
                let error = refused.build().unwrap_err();
                assert_eq!(error.raw_os_error(), Some(EAGAIN), "{error}");
            }
            drop(hogs);
            assert_eq!(threaded.spawn(async { 7 }).join().unwrap(), 7);
        });
    });
}

#[test]
fn tasks_that_wait_for_scarce_threads_are_dropped_by_a_shutdown() {
    with_scarcity(SCARCE, |_| {
        on_each_executor(|builder| {
            let threaded = builder.queue_when_full().build().unwrap();
            let (gate, begun, dropped) = (Gate::new(), Gate::new(), Tally::new());
            let (opened, begin) = (gate.clone(), begun.clone());
            let occupant = threaded.spawn(async move {
                begin.open();
                opened.wait();
            });
            begun.wait();
            let hogs = Hogs::take_all();
            let waiting: Vec<_> = (0..10).map(|_| threaded.spawn(carrying(dropped.on_drop(), async {}))).collect();
            let handle = threaded.handle();
            let left = threaded.shutdown_timeout(std::time::Duration::from_millis(10)).unwrap_err();
            assert_eq!((left.threads(), dropped.get()), (1, 10), "{left}");
            for task in waiting {
                assert!(task.join().unwrap_err().is_shutdown());
            }
            assert!(handle.spawn(async {}).join().unwrap_err().is_shutdown());
            assert_eq!(left.tasks()[0].id(), occupant.id());
            drop(hogs);
            gate.open();
            occupant.join().unwrap();
        });
    });
}

#[test]
fn works_that_fight_for_the_last_thread_all_run() {
    const SPAWNERS: usize = 3;
    const ROUNDS: usize = 200;

    with_scarcity(SCARCE, |_| {
        on_each_executor(|builder| {
            let threaded = builder.queue_when_full().build().unwrap();
            let dropped = Tally::new();
            let (opened, begun) = (Gate::new(), Gate::new());
            let (gate, begin) = (opened.clone(), begun.clone());
            // There is a thread that the others can wait for.
            let first = threaded.spawn(async move {
                begin.open();
                gate.wait();
            });
            begun.wait();
            // First, so that they have threads themselves.
            let go = Gate::new();
            let spawners = [(); SPAWNERS].map(|()| {
                let (go, handle, dropped) = (go.clone(), threaded.handle(), dropped.clone());
                let spawn = move || {
                    go.wait();
                    let spawn = |n| handle.try_spawn(carrying(dropped.on_drop(), async move { n })).unwrap();
                    (0..ROUNDS).map(spawn).collect::<Vec<_>>()
                };
                thread::Builder::new().stack_size(1 << 20).spawn(spawn).unwrap()
            });
            go.open();
            let mut sum = 0;
            for task in spawners.into_iter().flat_map(|spawner| spawner.join().unwrap()) {
                sum += task.join().unwrap();
            }
            assert_eq!(sum, SPAWNERS * ROUNDS * (ROUNDS - 1) / 2);
            assert_eq!(dropped.get(), SPAWNERS * ROUNDS);
            opened.open();
            first.join().unwrap();
        });
    });
}
