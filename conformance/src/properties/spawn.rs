//! Properties 1 to 8: spawning.

use std::cell::RefCell;
use std::collections::HashSet;
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;

use polyexec_core::{Executor, JoinHandle, block_on};
use polyexec_futures::{count, yield_now};

use super::threads::{threads, threads_settle_at};
use crate::probe::{Gate, OnDrop, Rng, Tally, Trace, carrying, on_foreign_thread, poll_with, waker};
use crate::run::isolated;
use crate::{Subject, ThreadOptions};

pub(crate) fn p01_every_accepted_task_ends_exactly_once(subject: &Subject) {
    const TASKS: usize = 400;
    for seed in 1..=5 {
        let mut random = Rng::new(seed);
        let executor = subject.start();
        let dropped: Vec<_> = (0..TASKS).map(|_| Tally::new()).collect();
        let mut handles = Vec::new();
        for (n, dropped) in dropped.iter().enumerate() {
            let kind = random.below(4);
            let task = executor.handle().spawn(carrying(dropped.on_drop(), async move {
                match kind {
                    0 => {}
                    1 => yield_now().await,
                    2 => drop(count(7).await),
                    _ => pending().await,
                }
                n
            }));
            match random.below(4) {
                0 => task.abort(),
                1 => {
                    drop(task);
                    continue;
                }
                _ => {}
            }
            handles.push((n, kind, task));
        }
        executor.block_on(async {
            for (n, kind, task) in &mut handles {
                if *kind < 3 {
                    match task.await {
                        Ok(output) => assert_eq!(output, *n, "seed {seed}"),
                        Err(error) => assert!(error.is_cancelled(), "seed {seed}: {error}"),
                    }
                }
            }
        });
        drop(executor);
        for (n, kind, task) in handles {
            if kind == 3 {
                let error = block_on(task).unwrap_err();
                assert!(error.is_cancelled() || error.is_shutdown(), "seed {seed}, task {n}: {error}");
            }
        }
        let ends: Vec<_> = dropped.iter().map(Tally::get).collect();
        assert!(ends.iter().all(|ends| *ends == 1), "seed {seed}: drops of each future: {ends:?}");
    }
    (0..50).for_each(|_| spawn_against_the_shutdown(subject));
}

/// A foreign thread spawns while the executor shuts down. Each task is accepted and ends, or comes back.
fn spawn_against_the_shutdown(subject: &Subject) {
    /// How many tasks are spawned before the shutdown begins.
    const AHEAD: usize = 5;
    let executor = subject.start();
    let (handle, accepted) = (executor.handle(), Tally::new());
    let spawning = {
        let accepted = accepted.clone();
        thread::spawn(move || {
            let mut taken = Vec::new();
            loop {
                let (futures, outputs) = (Tally::new(), Tally::new());
                let output = outputs.on_drop();
                let future = carrying(futures.on_drop(), async move {
                    yield_now().await;
                    output
                });
                match handle.try_spawn(future) {
                    Ok(task) => taken.push((futures, outputs, task)),
                    Err(error) => {
                        assert!(error.is_shutdown(), "{error}");
                        assert_eq!((futures.get(), outputs.get()), (0, 0), "dropped, and not given back");
                        return taken;
                    }
                }
                accepted.add();
            }
        })
    };
    executor.block_on(async {
        while accepted.get() < AHEAD {
            yield_now().await;
        }
    });
    drop(executor.shut_down());
    for (futures, outputs, task) in spawning.join().unwrap() {
        match block_on(task) {
            Ok(output) => {
                assert_eq!(outputs.get(), 0, "an output was dropped before it was delivered");
                drop(output);
            }
            Err(error) => assert!(error.is_shutdown(), "{error}"),
        }
        assert_eq!((futures.get(), outputs.get()), (1, 1), "drops of the future and of the output");
    }
}

pub(crate) fn p02_spawn_never_polls_inline(subject: &Subject) {
    let executor = subject.start();
    let polled_by_spawn = |spawner: &Arc<dyn Executor>| {
        let here = thread::current().id();
        let trace = Trace::new();
        let inner = trace.clone();
        let task = spawner.spawn(async move {
            // On this thread only an inline poll can come before `spawn` has returned.
            if thread::current().id() == here && !inner.events().contains(&"returned".to_owned()) {
                inner.log("inline");
            }
        });
        trace.log("returned");
        (task, trace)
    };
    let handle = executor.handle();
    let (task, trace) = polled_by_spawn(&handle);
    executor.block_on(task).unwrap();
    assert_eq!(trace, ["returned"]);

    let inside = executor.handle().spawn(async move {
        let (task, trace) = polled_by_spawn(&handle);
        task.await.unwrap();
        trace
    });
    assert_eq!(executor.block_on(inside).unwrap(), ["returned"]);
}

pub(crate) fn p03_spawn_works_from_everywhere(subject: &Subject) {
    let executor = subject.start();
    let spawn_opens = |gate: &Gate| {
        let (handle, gate) = (executor.handle(), gate.clone());
        move || drop(handle.spawn(async move { gate.open() }))
    };

    // The thread that started it.
    let gate = Gate::new();
    spawn_opens(&gate)();
    executor.block_on(gate.opened());

    // A task.
    let gate = Gate::new();
    let spawn = spawn_opens(&gate);
    drop(executor.handle().spawn(async move { spawn() }));
    executor.block_on(gate.opened());

    // A thread that no executor knows.
    let gate = Gate::new();
    let spawn = spawn_opens(&gate);
    on_foreign_thread(&executor, move |_| spawn());
    executor.block_on(gate.opened());

    // The free function, in what such a thread drives.
    let inside =
        on_foreign_thread(&executor, |handle| handle.block_on(async { polyexec_core::spawn(async { 7 }).await }));
    assert_eq!(inside.expect("a task of the executor that drives its spawner"), 7);

    // The drop of a future.
    let gate = Gate::new();
    drop(executor.handle().spawn(carrying(OnDrop::new(spawn_opens(&gate)), yield_now())));
    executor.block_on(gate.opened());

    // A waker.
    let gate = Gate::new();
    let mut task = executor.handle().spawn(yield_now());
    let spawns = waker({
        let (handle, gate) = (executor.handle(), gate.clone());
        move || {
            let gate = gate.clone();
            drop(handle.spawn(async move { gate.open() }));
        }
    });
    let first = poll_with(&mut task, &spawns);
    if first.is_pending() {
        executor.block_on(gate.opened());
    }

    // A destructor of a thread-local.
    thread_local!(static AT_EXIT: RefCell<Option<OnDrop>> = const { RefCell::new(None) });
    let gate = Gate::new();
    let spawn = spawn_opens(&gate);
    thread::spawn(move || AT_EXIT.set(Some(OnDrop::new(spawn)))).join().unwrap();
    executor.block_on(gate.opened());
}

pub(crate) fn p04_after_shutdown_a_spawn_resolves_and_drops_its_future_once(subject: &Subject) {
    let handle = subject.start().shut_down();
    let (polled, dropped) = (Tally::new(), Tally::new());
    let future = || {
        let polled = polled.clone();
        carrying(dropped.on_drop(), poll_fn(move |_| Poll::Ready(polled.add())))
    };

    let error = block_on(handle.spawn(future())).unwrap_err();
    assert!(error.is_shutdown(), "{error}");
    assert_eq!((polled.get(), dropped.get()), (0, 1));

    let error = handle.try_spawn(future()).map(drop).unwrap_err();
    assert!(error.is_shutdown(), "{error}");
    assert_eq!((polled.get(), dropped.get()), (0, 1), "the future is in the error");
    block_on(error.into_future());
    assert_eq!((polled.get(), dropped.get()), (1, 2));

    let elsewhere = thread::spawn(move || handle.spawn(async {}).join());
    assert!(elsewhere.join().unwrap().unwrap_err().is_shutdown());
}

/// Ready at its second poll, with its content: so the output is as large as the future.
struct Itself<T>(Option<T>, bool);

impl<T: Unpin> Future for Itself<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        if !std::mem::replace(&mut self.1, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.0.take().expect("not polled after it was ready"))
    }
}

pub(crate) fn p05_futures_and_outputs_of_any_size_and_alignment_work(subject: &Subject) {
    /// Ready at its first poll, with no content.
    struct Nothing;
    impl Future for Nothing {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }
    }

    #[derive(Debug, PartialEq)]
    #[repr(align(128))]
    struct Aligned(u8);

    const MIB: usize = 1 << 20;

    let executor = subject.start();
    assert_eq!(size_of::<Nothing>(), 0);
    executor.block_on(executor.handle().spawn(Nothing)).unwrap();

    let task = executor.handle().spawn(poll_fn({
        let mut aligned = Aligned(7);
        move |_| {
            let address = &raw mut aligned as usize;
            Poll::Ready((address, std::mem::replace(&mut aligned, Aligned(0))))
        }
    }));
    let (address, output) = executor.block_on(task).unwrap();
    assert_eq!((address % 128, output), (0, Aligned(7)));

    // An output is moved on the stack of the thread that polls, in a build that doesn't optimise ten times over.
    let output = executor.handle().spawn(Itself(Some([7_u8; 64 << 10]), false));
    assert_eq!(sum(&executor.block_on(output).unwrap()), 7 * (64 << 10));
    // And a future on that of the thread that spawns it.
    let handle = executor.handle();
    let large = on_roomy_thread(&executor, move || {
        let bytes = [7_u8; MIB];
        let large = handle.spawn(async move {
            yield_now().await;
            sum(&bytes)
        });
        handle.block_on(large).unwrap()
    });
    assert_eq!(large, 7 * MIB);
}

fn sum(bytes: &[u8]) -> usize {
    bytes.iter().map(|byte| usize::from(*byte)).sum()
}

/// Runs `work` on a foreign thread with a large stack, while this one drives the executor.
fn on_roomy_thread<T: Send + 'static>(executor: &crate::Fixture, work: impl FnOnce() -> T + Send + 'static) -> T {
    let over = Gate::new();
    let thread = thread::Builder::new().stack_size(64 << 20).spawn({
        let over = over.clone();
        move || {
            let _over = OnDrop::new(move || over.open());
            work()
        }
    });
    executor.block_on(over.opened());
    thread.expect("a thread").join().expect("the large future and its output")
}

pub(crate) fn p06_one_allocation_a_task(subject: &Subject) {
    const TASKS: u64 = 1_000;
    /// A queue may allocate a block for many tasks.
    const QUEUES: u64 = TASKS / 16;

    let executor = subject.start();
    let handle = executor.handle();
    let mut counted = 0;
    // Tables grow and threads come in the first rounds. Allocations are counted on this thread only.
    for _ in 0..4 {
        counted = 0;
        for n in 0..TASKS {
            let payload = [n; 20];
            let mut task = None;
            let spawned = allocation_counter::measure(|| {
                task = Some(handle.spawn(async move { payload.iter().sum::<u64>() }));
            });
            counted += spawned.count_total;
            assert_eq!(executor.block_on(task.expect("just spawned")).unwrap(), 20 * n);
        }
    }
    assert!(
        (TASKS..=TASKS + QUEUES).contains(&counted),
        "{counted} allocations for {TASKS} tasks, of which {QUEUES} may be for queues"
    );
}

pub(crate) fn p07_failure_to_get_a_thread_leaves_the_executor_usable(subject: &Subject) {
    isolated(subject, "p07_failure_to_get_a_thread_leaves_the_executor_usable", || {
        let (before, begun) = (threads(), Tally::new());
        let none_to_be_had = ThreadOptions {
            name: "none".to_owned(),
            // Half of all addresses.
            stack_size: isize::MAX as usize / 4096 * 4096,
            on_start: Arc::new({
                let begun = begun.clone();
                move || begun.add()
            }),
            on_stop: Arc::new(|| ()),
        };
        let started = subject.start_with(none_to_be_had);
        match started.expect("leave this out by name where threads can't be configured") {
            // All threads or none.
            Err(_) => {}
            Ok(executor) => {
                let (polled, dropped) = (Tally::new(), Tally::new());
                let poll = polled.clone();
                let future = carrying(dropped.on_drop(), poll_fn(move |_| Poll::Ready(poll.add())));
                let error = executor.handle().try_spawn(future).map(drop).unwrap_err();
                assert!(!error.is_shutdown(), "{error}");
                assert_eq!((polled.get(), dropped.get()), (0, 0), "the future was lost");
                block_on(error.into_future());
                assert_eq!((polled.get(), dropped.get()), (1, 1));

                let error = block_on(executor.handle().spawn(async {})).unwrap_err();
                assert!(error.is_rejected(), "{error}");
                drop(executor);
            }
        }
        assert_eq!(begun.get(), 0, "threads began with a stack that can't be had");
        threads_settle_at(before);

        let executor = subject.start();
        assert_eq!(executor.block_on(executor.handle().spawn(async { 7 })).unwrap(), 7);
    });
}

pub(crate) fn p08_task_ids_are_unique(subject: &Subject) {
    const TASKS: usize = 500;
    let executor = subject.start();
    let ids = |handle: Arc<dyn Executor>| {
        let tasks: Vec<_> = (0..TASKS).map(|_| handle.spawn(async {})).collect();
        tasks.iter().map(JoinHandle::id).collect::<Vec<_>>()
    };
    let mut seen = ids(executor.handle());
    seen.extend(on_foreign_thread(&executor, ids));
    seen.extend(on_foreign_thread(&executor, ids));
    assert_eq!(seen.iter().collect::<HashSet<_>>().len(), 3 * TASKS);
}
