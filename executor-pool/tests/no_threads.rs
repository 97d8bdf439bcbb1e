//! A pool for which the system has no thread. Each test runs in its own process, where threads are scarce.

#![cfg(target_os = "linux")]

use std::cell::RefCell;
use std::io::ErrorKind;
use std::thread;
use std::time::Duration;

use polyexec_conformance::probe::{Gate, OnDrop, Tally, carrying, threads};
use polyexec_conformance::scarce::Scarcity::{self, Memory, Threads};
use polyexec_conformance::scarce::{EAGAIN, Hogs, STACK, threads_settle_at, with_scarcity};
use polyexec_core::{Executor, JoinHandle, block_in_place, block_on};
use polyexec_futures::yield_now;
use polyexec_pool::{Builder, Pool};

/// Limits of number and of memory that leave about ten threads.
const SCARCE: [Scarcity; 2] = [Threads(12), Memory(768)];

fn builder(workers: usize) -> Builder {
    Pool::builder().worker_threads(workers).stack_size(STACK)
}

/// Tasks that announce a block, until the gate opens.
fn blocked(pool: &Pool, tasks: usize, gate: &Gate, blocks: &Tally) -> Vec<JoinHandle<usize>> {
    let task = |number| {
        let (gate, blocks) = (gate.clone(), blocks.clone());
        pool.spawn(async move {
            block_in_place(|| {
                blocks.add();
                gate.wait();
            });
            yield_now().await;
            number
        })
    };
    (0..tasks).map(task).collect()
}

#[test]
fn a_pool_has_all_of_its_threads_or_none() {
    with_scarcity(SCARCE, |_| {
        let before = threads();
        for _ in 0..20 {
            let (starts, stops) = (Tally::new(), Tally::new());
            let (start, stop) = (starts.clone(), stops.clone());
            let many = builder(64).on_thread_start(move || start.add()).on_thread_stop(move || stop.add());
            let error = many.build().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
            assert_eq!(error.raw_os_error(), Some(EAGAIN), "{error}");
            assert_eq!(starts.get(), stops.get(), "threads were left");
            threads_settle_at(before);

            let pool = builder(2).build().unwrap();
            assert_eq!(pool.spawn(async { 7 }).join().unwrap(), 7);
        }
        threads_settle_at(before);
    });
}

#[test]
fn without_a_spare_thread_all_goes_on_once_the_blocking_ends() {
    with_scarcity(SCARCE, |_| {
        for workers in [1, 2] {
            let before = threads();
            let pool = builder(workers).build().unwrap();
            let hogs = Hogs::take_all();
            let (gate, blocks) = (Gate::new(), Tally::new());
            // More than workers: the first ones block, and the others wait for them.
            let tasks = blocked(&pool, 3 * workers, &gate, &blocks);
            let others: Vec<_> = (0..100).map(|n| pool.spawn(async move { n })).collect();
            while blocks.get() < workers {
                thread::yield_now();
            }
            gate.open();
            let done = tasks.into_iter().chain(others).map(|task| task.join().unwrap()).sum::<usize>();
            assert_eq!(done, (0..3 * workers).chain(0..100).sum::<usize>());
            drop(pool);
            drop(hogs);
            threads_settle_at(before);
        }
    });
}

#[test]
fn one_of_two_workers_blocked_without_a_spare_thread_the_other_goes_on() {
    with_scarcity(SCARCE, |_| {
        let pool = builder(2).build().unwrap();
        let _hogs = Hogs::take_all();
        let (gate, blocks) = (Gate::new(), Tally::new());
        let tasks = blocked(&pool, 1, &gate, &blocks);
        while blocks.get() < 1 {
            thread::yield_now();
        }
        for n in 0..100 {
            assert_eq!(pool.spawn(async move { n }).join().unwrap(), n);
        }
        gate.open();
        assert_eq!(block_on(tasks.into_iter().next().unwrap()).unwrap(), 0);
    });
}

#[test]
fn tasks_that_join_others_go_on_once_there_is_a_thread() {
    with_scarcity(SCARCE, |_| {
        for workers in [1, 2] {
            let pool = builder(workers).build().unwrap();
            let hogs = Hogs::take_all();
            let (handle, begun) = (pool.handle(), Tally::new());
            // Each needs another worker for the task that it joins.
            let tasks: Vec<_> = (0..3 * workers)
                .map(|n| {
                    let (handle, begun) = (handle.clone(), begun.clone());
                    pool.spawn(async move {
                        begun.add();
                        handle.spawn(async move { n }).join().unwrap()
                    })
                })
                .collect();
            while begun.get() < workers {
                thread::yield_now();
            }
            drop(hogs);
            assert_eq!(tasks.into_iter().map(|task| task.join().unwrap()).sum::<usize>(), (0..3 * workers).sum());
        }
    });
}

#[test]
fn a_task_that_blocks_in_its_own_way_goes_on_once_there_is_a_thread() {
    with_scarcity(SCARCE, |_| {
        let pool = builder(1).build().unwrap();
        let hogs = Hogs::take_all();
        let (sender, receiver) = std::sync::mpsc::channel();
        let begun = Gate::new();
        let begins = begun.clone();
        let waits = pool.spawn(async move {
            block_in_place(|| {
                begins.open();
                receiver.recv().unwrap()
            })
        });
        begun.wait();
        let sends = pool.spawn(async move { sender.send(7).unwrap() });
        drop(hogs);
        assert_eq!(waits.join().unwrap(), 7);
        sends.join().unwrap();
    });
}

#[test]
fn a_shutdown_ends_what_waits_for_a_thread() {
    with_scarcity(SCARCE, |_| {
        for workers in [1, 2] {
            let before = threads();
            let pool = builder(workers).build().unwrap();
            let hogs = Hogs::take_all();
            let (handle, begun, dropped) = (pool.handle(), Tally::new(), Tally::new());
            // Each waits for a task of its own worker, which has no thread.
            let tasks: Vec<_> = (0..workers)
                .map(|_| {
                    let (handle, begun, dropped) = (handle.clone(), begun.clone(), dropped.clone());
                    pool.spawn(async move {
                        let inner = handle.spawn(carrying(dropped.on_drop(), async {}));
                        let outer = carrying(dropped.on_drop(), async {});
                        begun.add();
                        let joined = inner.join();
                        drop(outer);
                        joined.map_err(|error| assert!(error.is_shutdown(), "{error}")).is_err()
                    })
                })
                .collect();
            while begun.get() < workers {
                thread::yield_now();
            }
            drop(pool);
            assert_eq!(dropped.get(), 2 * workers);
            drop(hogs);
            threads_settle_at(before);
            for task in tasks {
                assert!(task.is_finished());
                task.join().unwrap();
            }
            assert!(handle.spawn(async {}).join().unwrap_err().is_shutdown());
        }
    });
}

#[test]
fn a_shutdown_while_workers_block_waits_for_those_only() {
    with_scarcity(SCARCE, |_| {
        for workers in [1, 2] {
            let before = threads();
            let pool = builder(workers).build().unwrap();
            let (gate, blocks, shut_down) = (Gate::new(), Tally::new(), Gate::new());
            let (open, opened) = (gate.clone(), shut_down.clone());
            // Started before the hogs take every thread.
            let opener = thread::spawn(move || {
                opened.wait();
                open.open();
            });
            let hogs = Hogs::take_all();
            let tasks = blocked(&pool, 2 * workers, &gate, &blocks);
            while blocks.get() < workers {
                thread::yield_now();
            }
            // In the injector, which the shutdown empties before it waits for the threads.
            let open = OnDrop::new(move || shut_down.open());
            let queued = pool.spawn(async move { drop(open) });
            drop(pool);
            assert!(queued.join().unwrap_err().is_shutdown());
            // The blocked ones would have gone on after that.
            assert!(tasks.into_iter().all(|task| task.join().unwrap_err().is_shutdown()));
            opener.join().unwrap();
            drop(hogs);
            threads_settle_at(before);
        }
    });
}

/// Waits in its drop, as a thread-local at the thread's end, and then drops a pool.
struct OwnsAPool {
    _pool: Pool,
    ends: Gate,
}

impl Drop for OwnsAPool {
    fn drop(&mut self) {
        self.ends.wait();
    }
}

thread_local! {
    static OWNED: RefCell<Option<OwnsAPool>> = const { RefCell::new(None) };
}

#[test]
fn a_thread_that_ends_late_holds_up_no_other_pool() {
    with_scarcity(SCARCE, |_| {
        let (owned, other) = (builder(1).build().unwrap(), builder(1).build().unwrap());
        let pool = builder(1).keep_alive(Duration::ZERO).build().unwrap();
        let (ends, gate) = (Gate::new(), Gate::new());
        let owned = OwnsAPool { _pool: owned, ends: ends.clone() };
        // Its thread is a spare from then on, and ends.
        let leaves = pool.spawn(async move {
            OWNED.set(Some(owned));
            block_in_place(|| {});
        });
        leaves.join().unwrap();
        let _hogs = Hogs::take_all();
        let waits = gate.clone();
        let blocks = pool.spawn(async move { waits.wait() });
        // The monitor has found no thread: the worker of the blocked poll waits for one.
        while !format!("{pool:?}").contains("waiting: 1") {
            thread::yield_now();
        }
        drop(other);
        ends.open();
        gate.open();
        blocks.join().unwrap();
    });
}
