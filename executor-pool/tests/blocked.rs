//! Polls that block or compute without announcing it: their worker is replaced, and the stall is reported.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use polyexec_conformance::probe::{Gate, OnDrop};
use polyexec_conformance::watched;
use polyexec_core::{Executor, JoinHandle, block_in_place, task};
use polyexec_futures::{Scope, scope};
use polyexec_pool::{Builder, Pool};

fn builder(workers: usize) -> Builder {
    Pool::builder().worker_threads(workers)
}

fn pool(workers: usize) -> Pool {
    builder(workers).build().unwrap()
}

/// Spawns tasks that block until the gate opens, and waits until each is in its poll.
fn blocked(pool: &Pool, tasks: usize, gate: &Gate) -> Vec<JoinHandle<()>> {
    let (in_poll, polls) = mpsc::channel();
    let tasks: Vec<_> = (0..tasks)
        .map(|_| {
            let (in_poll, gate) = (in_poll.clone(), gate.clone());
            pool.spawn(async move {
                in_poll.send(()).unwrap();
                gate.wait();
            })
        })
        .collect();
    tasks.iter().for_each(|_| polls.recv().unwrap());
    tasks
}

fn join_all<T>(tasks: impl IntoIterator<Item = JoinHandle<T>>) -> Vec<T> {
    tasks.into_iter().map(|task| task.join().unwrap()).collect()
}

#[test]
fn with_every_worker_blocked_new_tasks_run() {
    watched!();
    for workers in [1, 2, 4] {
        let (pool, gate) = (pool(workers), Gate::new());
        let blocked = blocked(&pool, workers, &gate);
        let others = (0..100).map(|n| pool.spawn(async move { n }));
        assert_eq!(join_all(others).iter().sum::<i32>(), 4_950);
        gate.open();
        join_all(blocked);
    }
}

#[test]
fn far_more_tasks_than_workers_may_block_at_the_same_time() {
    watched!();
    let (pool, gate) = (pool(2), Gate::new());
    // Returns when all are in their polls.
    let blocked = blocked(&pool, 50, &gate);
    gate.open();
    join_all(blocked);
}

#[test]
fn one_of_two_blocked_leaves_the_pool_at_strength() {
    watched!();
    let (pool, gate) = (pool(2), Gate::new());
    let blocked = blocked(&pool, 1, &gate);
    let barrier = Arc::new(Barrier::new(2));
    let both = [barrier.clone(), barrier].map(|barrier| pool.spawn(async move { barrier.wait() }));
    join_all(both);
    gate.open();
    join_all(blocked);
}

#[test]
fn what_waits_for_a_worker_that_blocks_is_taken_over() {
    watched!();
    let pool = pool(1);
    let (handle, gate) = (pool.handle(), Gate::new());
    let waits = gate.clone();
    let blocked = pool.spawn(async move {
        let others: Vec<_> = (0..100).map(|n| handle.spawn(async move { n })).collect();
        let opens = handle.spawn(async move { gate.open() });
        // All are in the queue of the only worker, which waits for the last of them.
        waits.wait();
        opens.await.unwrap();
        let mut sum = 0;
        for task in others {
            sum += task.await.unwrap();
        }
        sum
    });
    assert_eq!(blocked.join().unwrap(), 4_950);
}

#[test]
fn what_a_poll_spawns_after_it_has_blocked_is_run() {
    watched!();
    let pool = pool(1);
    let handle = pool.handle();
    let blocked = pool.spawn(async move {
        for _ in 0..20 {
            let gate = Gate::new();
            let (waits, other) = (gate.clone(), handle.clone());
            // The first time before its worker is replaced, then after; each task spawns the next.
            drop(handle.spawn(async move { drop(other.spawn(async move { gate.open() })) }));
            waits.wait();
        }
    });
    blocked.join().unwrap();
}

#[test]
fn a_thread_that_blocked_has_no_worker() {
    watched!();
    let (pool, gate) = (pool(2), Gate::new());
    let blocked = blocked(&pool, 48, &gate);
    gate.open();
    join_all(blocked);
    // Fifty threads had a worker. Now two have; on a busy machine a few more, since a thread that waits for a processor looks
    // like one that computes.
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let tasks = (0..2_000).map(|_| {
        let (now, most) = (now.clone(), most.clone());
        pool.spawn(async move {
            most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_micros(20) {}
            now.fetch_sub(1, SeqCst);
        })
    });
    join_all(tasks.collect::<Vec<_>>());
    assert!(most.load(SeqCst) < 10, "{} tasks at the same time", most.load(SeqCst));
}

#[test]
fn without_a_spare_thread_the_rest_waits_for_the_first_to_go_on() {
    watched!();
    let (first, second) = (Gate::new(), Gate::new());
    let pool = builder(1).spare_threads(1).build().unwrap();
    let blocked = [blocked(&pool, 1, &first), blocked(&pool, 1, &second)];
    let waits = pool.spawn(async { 1 });
    // One of the two threads is free then.
    first.open();
    assert_eq!(waits.join().unwrap(), 1);
    second.open();
    join_all(blocked.into_iter().flatten());
    assert_eq!(pool.spawn(async { 2 }).join().unwrap(), 2);
}

#[test]
fn a_task_that_looks_without_end_whether_another_has_run_sees_it() {
    watched!();
    let pool = pool(1);
    let (handle, flag) = (pool.handle(), Arc::new(AtomicBool::new(false)));
    let looks = pool.spawn(async move {
        let sets = flag.clone();
        drop(handle.spawn(async move { sets.store(true, SeqCst) }));
        while !flag.load(SeqCst) {
            std::hint::spin_loop();
        }
    });
    looks.join().unwrap();
}

#[test]
fn a_shutdown_waits_for_polls_that_block() {
    watched!();
    for replaced in [false, true] {
        let (pool, gate) = (pool(2), Gate::new());
        let blocked = blocked(&pool, 2, &gate);
        if replaced {
            pool.spawn(async {}).join().unwrap();
        }
        let opens = OnDrop::new(move || gate.open());
        let rests = pool.spawn(async move {
            let _opens = opens;
            std::future::pending::<()>().await;
        });
        drop(pool);
        assert!(rests.join().unwrap_err().is_shutdown());
        // They were ready at their only poll.
        join_all(blocked);
    }
}

/// A stall, as the hook saw it.
#[derive(Debug)]
struct Seen {
    id: polyexec_core::TaskId,
    name: Option<String>,
    line: u32,
    duration: Duration,
}

fn reporting(workers: usize) -> (Pool, mpsc::Receiver<Seen>) {
    let (sender, stalls) = mpsc::channel();
    let pool = builder(workers)
        .on_stall(move |stall| {
            let task = stall.task();
            assert!(task.location().file().ends_with("blocked.rs"));
            let (name, line) = (task.name().map(str::to_owned), task.location().line());
            sender.send(Seen { id: task.id(), name, line, duration: stall.duration() }).unwrap();
        })
        .build()
        .unwrap();
    (pool, stalls)
}

#[test]
fn a_stall_is_reported_once_with_its_task() {
    watched!();
    let (pool, stalls) = reporting(2);
    let gate = Gate::new();
    let waits = gate.clone();
    let named = task::Builder::new().name("reader").spawn_on(&pool.handle(), async move { waits.wait() });
    let stall = stalls.recv().unwrap();
    assert_eq!((stall.id, stall.name.as_deref()), (named.id(), Some("reader")));
    assert!(stall.duration > Duration::ZERO && stall.duration < Duration::from_secs(60), "{stall:?}");
    gate.open();
    named.join().unwrap();

    // Another one, without a name.
    let gate = Gate::new();
    let waits = gate.clone();
    let (line, plain) = (line!(), pool.spawn(async move { waits.wait() }));
    let stall = stalls.recv().unwrap();
    assert_eq!((stall.id, stall.name, stall.line), (plain.id(), None, line));
    gate.open();
    plain.join().unwrap();
    drop(pool);
    assert_eq!(stalls.try_iter().count(), 0);
}

#[test]
fn a_poll_that_computes_is_reported_too() {
    watched!();
    let (pool, stalls) = reporting(2);
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let computes = pool.spawn(async move { while !stopped.load(SeqCst) {} });
    assert_eq!(stalls.recv().unwrap().id, computes.id());
    stop.store(true, SeqCst);
    computes.join().unwrap();
}

#[test]
fn an_announced_block_is_not_reported() {
    watched!();
    let (pool, stalls) = reporting(1);
    let (handle, gate) = (pool.handle(), Gate::new());
    let waits = gate.clone();
    let announced = pool.spawn(async move { block_in_place(|| waits.wait()) });
    let opened = gate.clone();
    let joins = pool.spawn(async move { handle.spawn(async move { opened.opened().await }).join().unwrap() });
    // When this one is reported, the monitor has looked at the other two.
    let waits = Gate::new();
    let blocks = waits.clone();
    let silent = pool.spawn(async move { blocks.wait() });
    assert_eq!(stalls.recv().unwrap().id, silent.id());
    waits.open();
    gate.open();
    join_all([silent, announced, joins]);
    drop(pool);
    assert_eq!(stalls.try_iter().count(), 0);
}

#[test]
fn a_hook_that_panics_or_blocks_holds_up_no_task() {
    watched!();
    std::panic::set_hook(Box::new(|_| {}));
    let (calls, gate) = (Arc::new(AtomicUsize::new(0)), Gate::new());
    let (counted, waits) = (calls.clone(), gate.clone());
    let pool = builder(1)
        .on_stall(move |_| {
            if counted.fetch_add(1, SeqCst) == 0 {
                panic!("the hook panics");
            }
            waits.wait();
        })
        .build()
        .unwrap();
    for tasks in 1..=3 {
        let gate = Gate::new();
        let blocked = blocked(&pool, 1, &gate);
        while calls.load(SeqCst) < tasks {
            thread::yield_now();
        }
        assert_eq!(pool.spawn(async { 1 }).join().unwrap(), 1);
        gate.open();
        join_all(blocked);
    }
    gate.open();
}

#[test]
fn each_stall_has_its_own_duration() {
    watched!();
    const TASKS: usize = 30;
    let begun: Arc<[Mutex<Option<Instant>>]> = (0..TASKS).map(|_| Mutex::new(None)).collect();
    let (sender, told) = mpsc::channel();
    let begins = begun.clone();
    let pool = builder(1)
        .on_stall(move |stall| {
            let number: usize = stall.task().name().unwrap().parse().unwrap();
            let polled = begins[number].lock().unwrap().unwrap().elapsed();
            sender.send((number, stall.duration(), polled)).unwrap();
        })
        .build()
        .unwrap();
    let gate = Gate::new();
    // Each blocks the successor of the last worker.
    let tasks: Vec<_> = (0..TASKS)
        .map(|number| {
            let (begun, gate) = (begun.clone(), gate.clone());
            task::Builder::new().name(number.to_string()).spawn_on(&pool.handle(), async move {
                *begun[number].lock().unwrap() = Some(Instant::now());
                gate.wait();
            })
        })
        .collect();
    let opens = gate.clone();
    let _opens = OnDrop::new(move || opens.open());
    for (number, duration, polled) in told.iter().take(TASKS) {
        assert!(duration <= polled, "task {number}: reported {duration:?}, polled for {polled:?}");
    }
    gate.open();
    join_all(tasks);
}

#[test]
fn a_hook_that_blocks_leaves_the_last_spare_thread_to_the_worker() {
    watched!();
    let (hook, gate) = (Gate::new(), Gate::new());
    let waits = hook.clone();
    let pool = builder(1).spare_threads(1).on_stall(move |_| waits.wait()).build().unwrap();
    let blocked = blocked(&pool, 1, &gate);
    assert_eq!(pool.spawn(async { 1 }).join().unwrap(), 1);
    gate.open();
    hook.open();
    join_all(blocked);
}

#[test]
fn a_hook_runs_in_its_pools_context() {
    watched!();
    let (sender, told) = mpsc::channel();
    let pool = builder(1)
        .on_stall(move |_| {
            let spawned = polyexec_core::spawn(async { 7 });
            sender.send(spawned.join()).unwrap();
        })
        .build()
        .unwrap();
    for _ in 0..3 {
        let gate = Gate::new();
        let blocked = blocked(&pool, 1, &gate);
        let answer = told.recv().unwrap();
        gate.open();
        assert_eq!(answer.unwrap(), 7);
        join_all(blocked);
    }
}

/// The report says which child keeps the scope from its end. What waits for the scope is no stall.
#[test]
fn a_child_that_does_not_end_is_reported_and_its_scope_is_not() {
    watched!();
    let (pool, stalls) = reporting(2);
    let gates = [Gate::new(), Gate::new()];
    let [outer, inner] = gates.clone();
    let (handle, within) = (pool.handle(), pool.handle());
    let (sender, children) = mpsc::channel();
    let told = sender.clone();
    // From a thread, and from a task.
    let scopes = [
        thread::spawn(move || handle.scope(|s| told.send(s.spawn(async { outer.wait() }).id()).unwrap())),
        thread::spawn(move || {
            let task = within.clone().spawn(async move {
                within.scope(|s| sender.send(s.spawn(async { inner.wait() }).id()).unwrap());
            });
            task.join().unwrap();
        }),
    ];
    let mut reported = [stalls.recv().unwrap().id, stalls.recv().unwrap().id];
    let mut spawned = [children.recv().unwrap(), children.recv().unwrap()];
    reported.sort();
    spawned.sort();
    assert_eq!(reported, spawned);
    assert!(!scopes.iter().any(thread::JoinHandle::is_finished));

    let gate = Gate::new();
    let waits = gate.clone();
    let line = line!() + 1;
    let scoped = pool.spawn(scope(async move |s: Scope| drop(s.spawn(async move { waits.wait() }))));
    assert_eq!(stalls.recv().unwrap().line, line);
    assert!(!scoped.is_finished());

    gates.iter().chain([&gate]).for_each(Gate::open);
    for thread in scopes {
        thread.join().unwrap();
    }
    scoped.join().unwrap().unwrap();
    drop(pool);
    assert_eq!(stalls.try_iter().count(), 0);
}

#[test]
fn the_hook_may_end_a_child_that_would_keep_its_scope_for_ever() {
    watched!();
    let (sender, aborted) = mpsc::channel();
    let pool = builder(2)
        .on_stall(move |stall| {
            stall.abort_handle().abort();
            sender.send(()).unwrap();
        })
        .build()
        .unwrap();
    let never_ends = |gate: &Gate| {
        let gate = gate.clone();
        async move {
            gate.wait();
            std::future::pending::<()>().await;
        }
    };
    let gate = Gate::new();
    thread::scope(|threads| {
        let scoped = threads.spawn(|| pool.scope(|s| drop(s.spawn(never_ends(&gate)))));
        aborted.recv().unwrap();
        gate.open();
        // The child isn't done, and no handle tells of it.
        let panic = scoped.join().unwrap_err();
        assert!(panic.downcast_ref::<String>().unwrap().contains("didn't come to its end"));
    });

    let gate = Gate::new();
    let child = never_ends(&gate);
    let scoped = pool.spawn(scope(async move |s: Scope| drop(s.spawn(child))));
    aborted.recv().unwrap();
    gate.open();
    assert!(scoped.join().unwrap().unwrap_err().is_cancelled());
}
