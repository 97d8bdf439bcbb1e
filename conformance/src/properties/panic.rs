//! Properties 42 to 49, and 83: panics.

use std::any::Any;
use std::future::{pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Mutex;
use std::task::{Poll, Waker};
use std::thread::panicking;

use polyexec_core::executor::Task;
use polyexec_core::{Executor, JoinError, JoinHandle};
use polyexec_futures::{count, yield_now};

use crate::probe::{
    Gate, OnDrop, Planned, Tally, Trace, WakerSlot, carrying, finished, hush, on_foreign_thread, poll_with, threads,
    waker,
};
use crate::run::{in_child, isolated, told};
use crate::{Fixture, Subject};

pub(crate) fn p42_a_panic_in_poll_reaches_the_joiner_with_its_payload(subject: &Subject) {
    struct Payload(u32);

    let executor = subject.start();
    let number = Tally::new();
    let spawned_at = line!() + 1;
    let formatted = executor.handle().spawn(async move { panic!("formatted {}", number.get()) });
    let id = formatted.id();
    let error: JoinError = executor.block_on(formatted).expect_err("it panicked");
    assert!(error.is_panic() && !error.is_cancelled() && !error.is_shutdown() && !error.is_rejected(), "{error}");
    let place = error.task().location();
    assert_eq!((error.id(), place.file(), place.line()), (id, file!(), spawned_at));
    assert!(error.to_string().ends_with("panicked: formatted 0"), "{error}");
    assert_eq!(error.into_panic().downcast_ref::<String>().map(|message| &**message), Some("formatted 0"));

    let literal = executor.handle().spawn(async { panic!("literal") });
    let joined = on_foreign_thread(&executor, |_| literal.join());
    assert_eq!(message(joined), "literal");

    let any = executor.handle().spawn(async { panic_any(Payload(2)) });
    let joined = executor.block_on(executor.handle().spawn(any)).expect("joining a panic doesn't panic");
    let payload = joined.map(|()| unreachable!("it panicked")).map_err(JoinError::into_panic);
    assert!(payload.is_err_and(|payload| matches!(payload.downcast_ref(), Some(Payload(2)))), "another payload");

    // Woken during its last poll and afterwards, it isn't polled again.
    let (trace, slot) = (Trace::new(), WakerSlot::new());
    let panicking = {
        let (trace, slot) = (trace.clone(), slot.clone());
        poll_fn(move |cx| -> Poll<()> {
            trace.log("polled");
            cx.waker().wake_by_ref();
            slot.put(cx.waker().clone());
            panic!("in poll")
        })
    };
    let handle = executor.handle().spawn(carrying(trace.on_drop("future dropped"), panicking));
    let result = executor.block_on(handle);
    trace.log("joined");
    assert_eq!(message(result), "in poll");
    slot.take().expect("put in the poll").wake();
    assert_works(&executor);
    drop(executor.shut_down());
    assert_eq!(trace, ["polled", "future dropped", "joined"]);
}

pub(crate) fn p43_workers_survive_at_full_strength(subject: &Subject) {
    const PANICS: usize = 10_000;
    /// How many tasks panic before the next check, so that an executor with a thread per task has few threads.
    const AT_A_TIME: usize = 20;

    isolated(subject, "p43_workers_survive_at_full_strength", || {
        hush();
        let before = threads();
        let executor = subject.start();
        assert_works(&executor);
        let workers = threads().zip(before).map_or(1, |(now, before)| now.saturating_sub(before).max(1));
        assert_strength(&executor, workers);

        for _ in 0..PANICS / AT_A_TIME {
            let panicking: Vec<_> = (0..AT_A_TIME)
                .map(|number| {
                    executor.handle().spawn(async move {
                        if number % 2 == 0 {
                            yield_now().await;
                        }
                        panic_any(Planned)
                    })
                })
                .collect();
            for task in panicking {
                let result: Result<(), _> = executor.block_on(task);
                let payload = result.expect_err("it panicked").into_panic();
                assert!(payload.is::<Planned>(), "another panic: {:?}", payload.downcast_ref::<&str>());
            }
        }
        assert_strength(&executor, workers);
        assert_works(&executor);
    });
}

/// As many tasks as there are workers meet, each in its poll. With a worker missing they never do.
fn assert_strength(executor: &Fixture, workers: usize) {
    let (arrived, complete) = (Tally::new(), Gate::new());
    let tasks = (0..workers).map(|_| {
        let (arrived, complete) = (arrived.clone(), complete.clone());
        executor.handle().spawn(async move {
            arrived.add();
            if arrived.get() == workers {
                complete.open();
            }
            complete.wait();
        })
    });
    let tasks: Vec<_> = tasks.collect();
    executor.block_on(async {
        for task in tasks {
            task.await.expect("the task is ready");
        }
    });
}

pub(crate) fn p44_a_panic_in_the_drop_of_a_future_is_contained(subject: &Subject) {
    let executor = subject.start();
    let outputs = Tally::new();
    let output = outputs.on_drop();
    let ready = executor.handle().spawn(carrying(panics_on_drop("in drop, ready"), async move { output }));
    assert_eq!(message(executor.block_on(ready)), "in drop, ready");
    assert_eq!(outputs.get(), 1, "an output without a receiver is dropped once");

    let aborted = executor.handle().spawn(carrying(panics_on_drop("in drop, aborted"), pending::<()>()));
    aborted.abort();
    assert_eq!(message(executor.block_on(aborted)), "in drop, aborted");

    let twice = executor.handle().spawn(carrying(panics_on_drop("in drop, late"), async { panic!("in poll, first") }));
    assert_eq!(message::<()>(executor.block_on(twice)), "in poll, first");

    let over = Gate::new();
    let detached = over.clone();
    drop(executor.handle().spawn(carrying(panics_on_drop("in drop, detached"), async move { detached.open() })));
    executor.block_on(over.opened());
    assert_works(&executor);

    let drops = Tally::new();
    let resting: Vec<_> = (0..20)
        .map(|_| {
            // Neither a panic before it nor its own keeps a future from being dropped.
            let guards = (panics_on_drop("in drop, shut down"), drops.on_drop());
            executor.handle().spawn(carrying(guards, pending::<()>()))
        })
        .collect();
    drop(executor.shut_down());
    assert_eq!(drops.get(), resting.len());
    for task in resting {
        assert_eq!(message(task.join()), "in drop, shut down");
    }
}

pub(crate) fn p45_a_panic_in_the_drop_of_an_output_is_contained(subject: &Subject) {
    let executor = subject.start();
    let drops = Tally::new();
    let output = |message| (panics_on_drop(message), drops.on_drop());

    let kept = output("output, dropped with its handle");
    let kept = executor.handle().spawn(async move { kept });
    executor.block_on(finished(&kept));
    assert!(catch_unwind(AssertUnwindSafe(|| drop(kept))).is_ok(), "dropping a handle panicked");
    assert_eq!(drops.get(), 1);

    let (detached, go) = (output("output, detached"), Gate::new());
    let opened = go.clone();
    drop(executor.handle().spawn(async move {
        opened.opened().await;
        detached
    }));
    go.open();

    let unheard = (output("output, unheard"), panics_on_drop("in drop"));
    let (unheard, guard) = unheard;
    let unheard = executor.handle().spawn(carrying(guard, async move { unheard }));
    assert_eq!(message(executor.block_on(unheard)), "in drop");

    assert_works(&executor);
    executor.block_on(async {
        while drops.get() < 3 {
            yield_now().await;
        }
    });
    drop(executor.shut_down());
    assert_eq!(drops.get(), 3);
}

pub(crate) fn p46_a_panic_in_the_drop_of_a_payload_is_contained(subject: &Subject) {
    /// A payload whose drop panics with another such payload, this many times.
    struct Payload(usize, Tally);

    impl Drop for Payload {
        fn drop(&mut self) {
            self.1.add();
            if self.0 > 0 {
                panic_any(Payload(self.0 - 1, self.1.clone()));
            }
        }
    }

    for nested in [1, 2, 3] {
        let executor = subject.start();
        let drops = Tally::new();
        let spawn = || {
            let payload = Payload(nested, drops.clone());
            executor.handle().spawn(async move { panic_any(payload) })
        };

        drop(spawn());
        executor.block_on(async {
            while drops.get() == 0 {
                yield_now().await;
            }
        });
        assert_works(&executor);

        let kept: JoinHandle<()> = spawn();
        executor.block_on(finished(&kept));
        let before = drops.get();
        assert!(catch_unwind(AssertUnwindSafe(|| drop(kept))).is_ok(), "dropping a handle panicked");
        assert!(drops.get() > before, "the handle leaves the payload");

        let error = executor.block_on(spawn()).expect_err("it panicked");
        let before = drops.get();
        assert!(catch_unwind(AssertUnwindSafe(|| drop(error))).is_ok(), "dropping an error panicked");
        assert!(drops.get() > before, "the error leaves the payload");

        let before = drops.get();
        let taken = executor.block_on(spawn()).expect_err("it panicked").into_panic();
        assert_eq!(drops.get(), before, "a payload that was taken is its taker's");
        let Ok(mut payload) = taken.downcast::<Payload>() else { panic!("another payload") };
        payload.0 = 0;

        assert_works(&executor);
    }
}

pub(crate) fn p47_a_panic_in_a_join_waker_leaves_the_other_tasks_alone(subject: &Subject) {
    let executor = subject.start();
    let go = Gate::new();
    let spawn = |output: u32| {
        let go = go.clone();
        executor.handle().spawn(async move {
            go.opened().await;
            count(3).await;
            output
        })
    };
    let woken = Tally::new();
    let panics_when_woken = || {
        let woken = woken.clone();
        waker(move || {
            woken.add();
            panic!("in a waker's wake")
        })
    };
    let panics_when_dropped = || {
        let guard = Mutex::new(panics_on_drop("in a waker's drop"));
        waker(move || {
            let _dropped_with_the_waker = &guard;
        })
    };

    let bystanders: Vec<_> = (0..50).map(&spawn).collect();
    let mut joined: Vec<_> = (100..150).map(&spawn).collect();
    for (number, handle) in joined.iter_mut().enumerate() {
        let joiner = if number % 2 == 0 { panics_when_woken() } else { panics_when_dropped() };
        assert!(poll_with(handle, &joiner).is_pending());
    }
    let later: Vec<_> = (200..250).map(&spawn).collect();

    let mut dropped = spawn(300);
    assert!(poll_with(&mut dropped, &panics_when_dropped()).is_pending());
    assert!(catch_unwind(AssertUnwindSafe(|| drop(dropped))).is_ok(), "dropping a handle panicked");

    let mut replaced = spawn(301);
    assert!(poll_with(&mut replaced, &panics_when_dropped()).is_pending());
    // This panic is the poller's, which drops the waker here; the handle stays whole.
    let _ = catch_unwind(AssertUnwindSafe(|| poll_with(&mut replaced, Waker::noop())));

    go.open();
    let tasks = bystanders.into_iter().chain(joined).chain(later).chain([replaced]);
    let outputs = executor.block_on(async {
        let mut outputs = Vec::new();
        for task in tasks {
            // To poll its handle sooner would be to take the waker back.
            finished(&task).await;
            outputs.push(task.await.expect("the task is ready"));
        }
        outputs
    });
    let expected: Vec<u32> = (0..50).chain(100..150).chain(200..250).chain([301]).collect();
    assert_eq!(outputs, expected);
    drop(executor.shut_down());
    assert_eq!(woken.get(), 25, "joiners that were woken");
}

pub(crate) fn p48_a_double_panic_aborts_the_process(subject: &Subject) {
    let child = in_child(subject, "p48_a_double_panic_aborts_the_process", || {
        let executor = subject.start();
        let task = executor.handle().spawn(async {
            let _guard = panics_on_drop("the second panic");
            panic!("the first panic")
        });
        let result: Result<(), _> = executor.block_on(task);
        eprintln!("went on after a double panic: {result:?}");
    });
    let Some(output) = child else { return };
    let told = told(&output);
    assert!(aborted(&output.status), "the process wasn't aborted\n{told}");
    assert!(told.contains("the first panic") && told.contains("the second panic"), "it doesn't tell why\n{told}");
    assert!(!told.contains("went on after"), "{told}");
}

pub(crate) fn p49_a_panic_ends_the_process_only_where_panics_abort(subject: &Subject) {
    let child = in_child(subject, "p49_a_panic_ends_the_process_only_where_panics_abort", || {
        let executor = subject.start();
        let task = executor.handle().spawn(async { panic!("the only panic") });
        let result: Result<(), _> = executor.block_on(task);
        eprintln!("went on after a panic: {result:?}");
    });
    let Some(output) = child else { return };
    let told = told(&output);
    assert!(told.contains("the only panic"), "it doesn't tell why\n{told}");
    let ends = cfg!(panic = "abort");
    assert_eq!(aborted(&output.status), ends, "{told}");
    assert_eq!(told.contains("went on after"), !ends, "{told}");
}

/// A guard in the future's fields that rolls back or poisons on a panic must not commit instead.
pub(crate) fn p83_a_future_that_panicked_is_dropped_while_its_thread_is_panicking(subject: &Subject) {
    /// Says in its drop whether the thread is panicking.
    fn asks(trace: &Trace) -> OnDrop {
        let trace = trace.clone();
        OnDrop::new(move || trace.log(if panicking() { "rolled back" } else { "committed" }))
    }
    fn panics() -> impl Future<Output = ()> + Unpin {
        poll_fn(|_| -> Poll<()> { panic_any(Planned) })
    }

    let executor = subject.start();
    let trace = Trace::new();
    let check = |task: JoinHandle<()>, name: &str| {
        let error = executor.block_on(task).expect_err("it panicked");
        assert!(error.into_panic().is::<Planned>(), "{name}");
        assert_eq!(trace.take(), ["rolled back"], "{name}");
    };
    check(executor.handle().spawn(carrying(asks(&trace), panics())), "in the first poll");
    let later = async {
        count(3).await;
        panics().await;
    };
    check(executor.handle().spawn(carrying(asks(&trace), later)), "in a later poll");
    if subject.is_local() {
        let (guard, belongs_here) = (asks(&trace), Rc::new(()));
        let mut panics = panics();
        let future = poll_fn(move |cx| {
            let _fields = (&guard, &belongs_here);
            Pin::new(&mut panics).poll(cx)
        });
        let (task, handle) = Task::new_local(future, executor.handle());
        executor.handle().submit(task).expect("the executor lives");
        check(handle, "a local one");
    }

    // A ready task, and an aborted one.
    executor.block_on(executor.handle().spawn(carrying(asks(&trace), ready(())))).expect("it is ready");
    let aborted = executor.handle().spawn(carrying(asks(&trace), pending::<()>()));
    aborted.abort();
    assert!(executor.block_on(aborted).expect_err("it is aborted").is_cancelled());
    assert_eq!(trace.take(), ["committed"; 2]);
}

#[cfg(unix)]
fn aborted(status: &std::process::ExitStatus) -> bool {
    const SIGABRT: i32 = 6;
    std::os::unix::process::ExitStatusExt::signal(status) == Some(SIGABRT)
}

#[cfg(not(unix))]
fn aborted(status: &std::process::ExitStatus) -> bool {
    !status.success()
}

fn panics_on_drop(message: &'static str) -> OnDrop {
    OnDrop::new(move || panic!("{message}"))
}

/// The message of a task's panic.
fn message<T>(result: Result<T, JoinError>) -> String {
    let payload: Box<dyn Any + Send> = match result {
        Ok(_) => panic!("the task has an output, though it panicked"),
        Err(error) => error.into_panic(),
    };
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => (*payload.downcast::<&str>().expect("a message")).to_owned(),
    }
}

/// New tasks still complete, including woken ones.
fn assert_works(executor: &Fixture) {
    let tasks: Vec<_> = (1..=50).map(|polls| executor.handle().spawn(count(polls))).collect();
    executor.block_on(async {
        for (task, polls) in tasks.into_iter().zip(1..) {
            assert_eq!(task.await.expect("the task is ready"), polls);
        }
    });
}
