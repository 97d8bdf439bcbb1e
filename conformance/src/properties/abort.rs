//! Properties 34 to 41: aborting.

use std::future::{pending, poll_fn};
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::thread::{self, ThreadId};

use polyexec_core::executor::Task;
use polyexec_core::{AbortHandle, Executor, Handle, JoinError, JoinHandle};
use polyexec_futures::yield_now;

use crate::probe::{Gate, Meeting, OnDrop, Rng, Tally, Trace, WakerSlot, carrying, finished, on_foreign_thread};
use crate::{Fixture, Subject};

pub(crate) fn p34_aborted_before_the_first_poll_it_is_dropped_unpolled(subject: &Subject) {
    let executor = subject.start();
    let trace = Trace::new();
    let polled = trace.clone();
    let future = carrying(trace.on_drop("future dropped"), async move { polled.log("polled") });
    // Not `spawn`, which other threads may be faster than.
    let (task, handle) = Task::new(future, executor.handle());
    handle.abort();
    assert_eq!(trace, [], "the aborter dropped the future");
    executor.handle().submit(task).expect("the executor takes tasks");
    assert_cancelled(executor.block_on(handle));
    drop(executor.shut_down());
    assert_eq!(trace, ["future dropped"]);

    let executor = subject.start();
    abort_at_once(&executor);
}

/// Aborts tasks that may or may not have begun.
fn abort_at_once(executor: &Fixture) {
    const TASKS: usize = 1_000;

    let (polls, drops) = (Tally::new(), Tally::new());
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let polls = polls.clone();
            let task = executor.handle().spawn(carrying(drops.on_drop(), async move {
                polls.add();
                pending::<()>().await
            }));
            task.abort();
            task
        })
        .collect();
    for task in tasks {
        assert_cancelled(executor.block_on(task));
    }
    assert_eq!(drops.get(), TASKS, "futures that are left, or were dropped twice");
    assert!(polls.get() <= TASKS, "{TASKS} aborted tasks were polled {} times", polls.get());
}

pub(crate) fn p35_an_abort_during_a_poll_is_in_force_at_its_end(subject: &Subject) {
    for (woken, ready) in [(false, false), (true, false), (false, true), (true, true)] {
        let executor = subject.start();
        let trace = Trace::new();
        let (polling, aborted) = (Gate::new(), Gate::new());
        let future = {
            let (trace, polling, aborted) = (trace.clone(), polling.clone(), aborted.clone());
            poll_fn(move |cx| {
                trace.log("poll begins");
                polling.open();
                aborted.wait();
                if woken {
                    cx.waker().wake_by_ref();
                }
                trace.log("poll ends");
                if ready { Poll::Ready("output") } else { Poll::Pending }
            })
        };
        let handle = executor.handle().spawn(carrying(trace.on_drop("future dropped"), future));
        let aborter = (handle.abort_handle(), trace.clone());
        on_foreign_thread(&executor, move |_| {
            let (aborter, trace) = aborter;
            polling.wait();
            aborter.abort();
            trace.log("aborted");
            aborted.open();
        });
        let result = executor.block_on(handle);
        trace.log("joined");
        let told = if ready { result.is_ok() } else { result.is_err_and(|error| error.is_cancelled()) };
        assert!(told, "woken: {woken}, ready: {ready}");
        drop(executor.shut_down());
        let events = ["poll begins", "aborted", "poll ends", "future dropped", "joined"];
        assert_eq!(trace, events, "woken: {woken}, ready: {ready}");
    }
}

pub(crate) fn p36_an_abort_after_completion_keeps_the_output(subject: &Subject) {
    let executor = subject.start();
    let drops = Tally::new();
    let output = drops.on_drop();
    let mut handle = executor.handle().spawn(async move { output });
    executor.block_on(finished(&handle));

    let aborter = handle.abort_handle();
    handle.abort();
    aborter.abort();
    on_foreign_thread(&executor, move |_| aborter.abort());
    executor.block_on(async {
        // Whatever the aborts put in a queue has its turn before these.
        for _ in 0..100 {
            executor.handle().spawn(yield_now()).await.expect("the task is ready");
        }
    });
    assert_eq!(drops.get(), 0, "an abort dropped the output");
    let output = executor.block_on(&mut handle).expect("the task was ready before it was aborted");
    handle.abort();
    drop(handle);
    assert_eq!(drops.get(), 0, "an abort dropped the output, and the handle delivered it");
    drop(output);
    drop(executor.shut_down());
    assert_eq!(drops.get(), 1);
}

pub(crate) fn p37_abort_is_idempotent_from_many_threads(subject: &Subject) {
    const TASKS: usize = 100;
    const THREADS: usize = 4;
    const TIMES: usize = 20;

    let executor = subject.start();
    let drops = Tally::new();
    let resting: Vec<_> = (0..TASKS).map(|_| Resting::spawn(&executor, drops.on_drop())).collect();
    on_foreign_thread(&executor, move |_| {
        let meeting = Meeting::of(THREADS);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for Resting { handle, .. } in &resting {
                        meeting.attend();
                        (0..TIMES).for_each(|_| handle.abort());
                    }
                });
            }
        });
        for Resting { handle, .. } in resting {
            let aborter = handle.abort_handle();
            assert_cancelled(handle.join());
            aborter.abort();
        }
    });
    assert_eq!(drops.get(), TASKS, "futures that are left, or were dropped twice");
    let handle = executor.shut_down();
    assert_eq!(Arc::strong_count(&handle), 1, "cells are left");
}

pub(crate) fn p38_abort_and_drop_of_the_handle_drop_the_future_with_no_other_wake(subject: &Subject) {
    let ways: [fn(JoinHandle<()>); 3] = [
        |handle| {
            handle.abort();
            drop(handle);
        },
        |handle| drop(handle.abort_on_drop()),
        |handle| {
            let aborter = handle.abort_handle();
            drop(handle);
            aborter.abort();
        },
    ];
    for way in ways {
        let executor = subject.start();
        let here = Resting::spawn(&executor, ());
        way(here.handle);
        executor.block_on(here.dropped.opened());

        let there = Resting::spawn(&executor, ());
        on_foreign_thread(&executor, move |_| way(there.handle));
        executor.block_on(there.dropped.opened());

        let of_task = Resting::spawn(&executor, ());
        let dropper = executor.handle().spawn(async move { way(of_task.handle) });
        executor.block_on(async { (of_task.dropped.opened().await, dropper.await) }).1.expect("abort doesn't fail");

        let handle = executor.shut_down();
        assert_eq!(Arc::strong_count(&handle), 1, "cells are left");
    }
    detach_what_aborts_on_drop(&subject.start());
}

/// The way back from `abort_on_drop`: the task goes on to its end.
fn detach_what_aborts_on_drop(executor: &Fixture) {
    let (go, over) = (Gate::new(), Gate::new());
    let handle = {
        let (go, over) = (go.clone(), over.clone());
        executor.handle().spawn(async move {
            go.opened().await;
            over.open();
        })
    };
    drop(handle.abort_on_drop().detach());
    go.open();
    executor.block_on(over.opened());
}

pub(crate) fn p39_abort_against_wake_against_completion_has_one_outcome(subject: &Subject) {
    const SEED: u64 = 39;
    const ROUNDS: usize = 1_500;

    let executor = subject.start();
    on_foreign_thread(&executor, |executor| {
        let mut rng = Rng::new(SEED);
        let (meeting, current) = (Meeting::of(2), Arc::new(Mutex::new(None::<Contested>)));
        let waking = {
            let (meeting, current, mut rng) = (meeting.clone(), current.clone(), rng.fork());
            thread::spawn(move || {
                for _ in 0..ROUNDS {
                    meeting.attend();
                    let contested = current.lock().unwrap().clone().expect("set before the meeting");
                    let waker = contested.waker.take().expect("the task waits");
                    meeting.attend();
                    rng.linger();
                    contested.go.store(true, Release);
                    waker.wake();
                    meeting.attend();
                }
            })
        };
        for round in 0..ROUNDS {
            let contested = Contested::default();
            let task = executor.spawn(carrying(contested.futures.on_drop(), contested.clone().future()));
            contested.waits.wait();
            *current.lock().unwrap() = Some(contested.clone());
            meeting.attend();
            meeting.attend();
            rng.linger();
            task.abort();
            contested.check(task.join(), &format!("seed {SEED}, round {round}"));
            meeting.attend();
        }
        waking.join().expect("wakes don't panic");
    });
}

/// An abort and a wake race for this task: ready once `go` is set and it is polled.
#[derive(Clone, Default)]
struct Contested {
    go: Arc<AtomicBool>,
    waits: Gate,
    waker: WakerSlot,
    polls: Tally,
    /// Polls that were ready.
    ready: Tally,
    futures: Tally,
    outputs: Tally,
}

impl Contested {
    async fn future(self) -> OnDrop {
        poll_fn(|cx| {
            self.polls.add();
            if self.go.load(Acquire) {
                self.ready.add();
                return Poll::Ready(self.outputs.on_drop());
            }
            self.waker.put(cx.waker().clone());
            self.waits.open();
            Poll::Pending
        })
        .await
    }

    fn check(&self, result: Result<OnDrop, JoinError>, case: &str) {
        let Self { polls, ready, futures, outputs, .. } = self;
        let completed = result.is_ok();
        assert!(completed || result.as_ref().is_err_and(JoinError::is_cancelled), "{case}: neither of the outcomes");
        assert_eq!((ready.get(), futures.get(), outputs.get()), (completed.into(), 1, 0), "{case}: both outcomes");
        assert!(polls.get() <= 1 + ready.get(), "{case}: {} polls", polls.get());
        drop(result);
        assert_eq!(outputs.get(), ready.get(), "{case}: the output");
    }
}

pub(crate) fn p40_abort_works_from_the_own_poll_and_the_own_drop(subject: &Subject) {
    for ready in [true, false] {
        let (executor, trace, own) = (subject.start(), Trace::new(), OwnAborter::default());
        let future = {
            let (trace, own) = (trace.clone(), own.clone());
            async move {
                own.given.opened().await;
                own.abort();
                trace.log("aborted in its poll");
                if !ready {
                    // The task is woken, too, and may not be polled for that.
                    yield_now().await;
                    trace.log("polled again");
                }
            }
        };
        let handle = executor.handle().spawn(carrying(trace.on_drop("dropped"), future));
        own.give(&handle);
        assert_ended(executor, handle, own, ready);
        assert_eq!(trace, ["aborted in its poll", "dropped"], "ready: {ready}");
    }
    for ready in [true, false] {
        let (executor, trace, own) = (subject.start(), Trace::new(), OwnAborter::default());
        let guard = {
            let (trace, own) = (trace.clone(), own.clone());
            OnDrop::new(move || {
                own.abort();
                trace.log("aborted in its drop");
            })
        };
        let given = own.given.clone();
        let handle = executor.handle().spawn(carrying(guard, async move {
            given.opened().await;
            if !ready {
                pending().await
            }
        }));
        own.give(&handle);
        if !ready {
            handle.abort();
        }
        assert_ended(executor, handle, own, ready);
        assert_eq!(trace, ["aborted in its drop"], "ready: {ready}");
    }
}

/// What a task aborts itself with.
#[derive(Clone, Default)]
struct OwnAborter {
    aborter: Arc<Mutex<Option<AbortHandle>>>,
    given: Gate,
}

impl OwnAborter {
    fn give(&self, handle: &JoinHandle<()>) {
        *self.aborter.lock().unwrap() = Some(handle.abort_handle());
        self.given.open();
    }

    fn abort(&self) {
        let aborter = self.aborter.lock().unwrap().clone();
        aborter.expect("the task waits until it has its handle").abort();
    }
}

/// A task that aborts itself ends and leaves nothing: with its output if it was ready, else as cancelled.
fn assert_ended(executor: Fixture, handle: JoinHandle<()>, own: OwnAborter, ready: bool) {
    let result = executor.block_on(handle);
    assert!(if ready { result.is_ok() } else { result.is_err_and(|error| error.is_cancelled()) }, "ready: {ready}");
    drop(own.aborter.lock().unwrap().take());
    let handle = executor.shut_down();
    assert_eq!(Arc::strong_count(&handle), 1, "the cell is left");
}

pub(crate) fn p41_the_future_is_dropped_on_the_executor_not_by_the_aborter(subject: &Subject) {
    const ROUNDS: usize = 300;

    /// The thread that drops, and whether an executor runs there.
    type Dropped = Arc<Mutex<Option<(ThreadId, bool)>>>;

    fn task(executor: &Arc<dyn Executor>, polled: &Gate) -> (JoinHandle<()>, Dropped) {
        let dropped = Dropped::default();
        let noted = dropped.clone();
        let guard = OnDrop::new(move || {
            *noted.lock().unwrap() = Some((thread::current().id(), Handle::current().is_some()));
        });
        let polled = polled.clone();
        let future = async move {
            polled.open();
            pending().await
        };
        (executor.spawn(carrying(guard, future)), dropped)
    }

    fn check(aborter: ThreadId, handle: JoinHandle<()>, dropped: &Dropped) {
        assert_cancelled(handle.join());
        let (dropper, on_executor) = dropped.lock().unwrap().take().expect("dropped before the handle was ready");
        assert_ne!(dropper, aborter, "the future was dropped by the aborter");
        assert!(on_executor, "the future was dropped where no executor runs");
    }

    let executor = subject.start();
    on_foreign_thread(&executor, |executor| {
        for round in 0..ROUNDS {
            // It may be queued, in its first poll, or at rest by now.
            let polled = Gate::new();
            let (handle, dropped) = task(&executor, &polled);
            if round % 2 == 0 {
                polled.wait();
            }
            handle.abort();
            check(thread::current().id(), handle, &dropped);
        }
    });

    // Idle for certain, and only the executor's own threads drive it.
    let polled = Gate::new();
    let (handle, dropped) = task(&executor.handle(), &polled);
    executor.block_on(polled.opened());
    let aborter = thread::spawn(move || {
        handle.abort();
        (thread::current().id(), handle)
    });
    let (aborter, handle) = aborter.join().expect("abort doesn't panic");
    on_foreign_thread(&executor, move |_| check(aborter, handle, &dropped));
}

fn assert_cancelled<T>(result: Result<T, JoinError>) {
    match result {
        Ok(_) => panic!("the task has an output, though it was aborted before it was ready"),
        Err(error) => assert!(error.is_cancelled(), "not cancelled, but: {error}"),
    }
}

/// A task that was polled, and is idle for ever.
struct Resting {
    handle: JoinHandle<()>,
    /// Opens when its future is dropped.
    dropped: Gate,
}

impl Resting {
    /// Spawns the task, whose future carries `cargo`, and waits until it was polled.
    fn spawn(executor: &Fixture, cargo: impl Send + 'static) -> Self {
        let (polled, dropped) = (Gate::new(), Gate::new());
        let gate = dropped.clone();
        let guard = OnDrop::new(move || {
            drop(cargo);
            gate.open();
        });
        let begun = polled.clone();
        let handle = executor.handle().spawn(carrying(guard, async move {
            begun.open();
            pending().await
        }));
        executor.block_on(polled.opened());
        Self { handle, dropped }
    }
}
