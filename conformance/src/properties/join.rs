//! Properties 22 to 30: joining.

use std::sync::{Arc, Mutex, Weak};
use std::task::{Poll, Waker};
use std::thread;

use polyexec_core::{AbortHandle, Executor, JoinError, JoinHandle};
use polyexec_futures::yield_now;

use crate::probe::{Gate, Meeting, OnDrop, Rng, Tally, Trace, carrying, finished, on_foreign_thread, poll_with, waker};
use crate::{Fixture, Subject};

/// How often each race is run.
const ROUNDS: usize = 2_000;

pub(crate) fn p22_the_output_is_delivered_exactly_once(subject: &Subject) {
    const TASKS: usize = 300;

    struct Output(usize, OnDrop);

    async fn deliver(mut handle: JoinHandle<Output>, number: usize, drops: Tally) {
        let Output(delivered, output) = (&mut handle).await.expect("the task is ready");
        assert_eq!((delivered, drops.get()), (number, 0), "the output of another task, or a dropped one");
        drop(handle);
        assert_eq!(drops.get(), 0, "the handle dropped an output that it had delivered");
        drop(output);
        assert_eq!(drops.get(), 1);
    }

    let executor = subject.start();
    let drops: Vec<Tally> = (0..3 * TASKS).map(|_| Tally::new()).collect();
    let deliveries = drops.iter().cloned().enumerate().map(|(number, drops)| {
        let output = Output(number, drops.on_drop());
        deliver(executor.handle().spawn(async move { output }), number, drops)
    });
    let mut deliveries: Vec<_> = deliveries.collect();

    let to_foreign_thread = deliveries.split_off(2 * TASKS);
    let to_tasks = deliveries.split_off(TASKS);
    executor.block_on(async {
        for delivery in deliveries {
            delivery.await;
        }
        for joiner in to_tasks.into_iter().map(|delivery| executor.handle().spawn(delivery)).collect::<Vec<_>>() {
            joiner.await.expect("its assertions hold");
        }
    });
    on_foreign_thread(&executor, |_| to_foreign_thread.into_iter().for_each(polyexec_core::block_on));
    drop(executor.shut_down());
    assert!(drops.iter().all(|drops| drops.get() == 1), "an output was dropped again by the executor");
}

pub(crate) fn p23_the_handle_resolves_only_after_the_future_was_dropped(subject: &Subject) {
    for end in End::ALL {
        let executor = subject.start();
        let (trace, resting) = (Trace::new(), Resting::new());
        let mut handle = resting.spawn(&executor, trace.on_drop("future dropped"));
        let joiner = {
            let (trace, joined) = (trace.clone(), resting.joined.clone());
            waker(move || {
                trace.log("joiner woken");
                joined.open();
            })
        };
        assert!(poll_with(&mut handle, &joiner).is_pending());
        end.bring_about(executor, &resting, &handle);
        assert_eq!(trace, ["future dropped", "joiner woken"], "{end:?}");
        assert!(end.is_told(poll_with(&mut handle, Waker::noop())), "{end:?}");
    }

    let executor = subject.start();
    on_foreign_thread(&executor, |executor| {
        for round in 0..ROUNDS {
            let dropped = Tally::new();
            let task = executor.spawn(carrying(dropped.on_drop(), async {}));
            if round % 2 == 0 {
                task.join().expect("the task is ready");
            } else {
                while !task.is_finished() {
                    thread::yield_now();
                }
            }
            assert_eq!(dropped.get(), 1, "round {round}: the task was over before its future was dropped");
        }
    });
}

pub(crate) fn p24_polled_again_the_newest_waker_is_woken(subject: &Subject) {
    let executor = subject.start();
    let (trace, resting) = (Trace::new(), Resting::new());
    let mut handle = resting.spawn(&executor, ());
    let joiner = |name: &'static str| {
        let (trace, joined) = (trace.clone(), resting.joined.clone());
        waker(move || {
            trace.log(name);
            joined.open();
        })
    };
    let first = joiner("first");
    for joiner in [&first, &joiner("second"), &first] {
        assert!(poll_with(&mut handle, joiner).is_pending());
    }
    let newest = joiner("newest");
    let mut handle = on_foreign_thread(&executor, move |_| {
        assert!(poll_with(&mut handle, &newest).is_pending());
        handle
    });
    End::Ready.bring_about(executor, &resting, &handle);
    assert_eq!(trace, ["newest"]);
    assert!(End::Ready.is_told(poll_with(&mut handle, Waker::noop())));

    let executor = subject.start();
    on_foreign_thread(&executor, |executor| {
        let mut rng = Rng::new(24);
        for round in 0..ROUNDS {
            change_wakers_against_completion(&executor, round, &mut rng);
        }
    });
}

/// Polls a handle with one waker after another while its task ends.
fn change_wakers_against_completion(executor: &Arc<dyn Executor>, round: usize, rng: &mut Rng) {
    let meeting = Meeting::of(2);
    let mut task = {
        let meeting = meeting.clone();
        executor.spawn(async move { meeting.attend() })
    };
    assert!(poll_with(&mut task, Waker::noop()).is_pending());
    meeting.attend();
    for _ in 0..=rng.below(8) {
        let woken = Gate::new();
        let newest = {
            let woken = woken.clone();
            waker(move || woken.open())
        };
        if poll_with(&mut task, &newest).is_ready() {
            return;
        }
        if rng.below(4) == 0 {
            woken.wait();
            assert!(poll_with(&mut task, Waker::noop()).is_ready(), "round {round}: woken too early");
            return;
        }
    }
}

pub(crate) fn p25_a_poll_after_ready_panics_as_documented(subject: &Subject) {
    let executor = subject.start();
    let ready = executor.handle().spawn(async {});
    let cancelled = executor.handle().spawn(std::future::pending::<()>());
    cancelled.abort();
    for mut handle in [ready, cancelled] {
        let first = executor.block_on(&mut handle);
        let again = std::panic::AssertUnwindSafe(|| poll_with(&mut handle, Waker::noop()));
        let panic = std::panic::catch_unwind(again).expect_err("the second poll after Ready must panic");
        let message = panic.downcast_ref::<&str>().copied();
        assert_eq!(message, Some("JoinHandle polled after it was ready"), "after {first:?}");
    }
    assert_eq!(executor.block_on(executor.handle().spawn(async { 1 })).ok(), Some(1));
}

pub(crate) fn p26_completion_against_poll_never_loses_the_join_wake(subject: &Subject) {
    let executor = subject.start();
    on_foreign_thread(&executor, |executor| complete_while_the_waker_is_replaced(&executor));
    on_foreign_thread(&executor, |executor| {
        let mut rng = Rng::new(26);
        for round in 0..2 * ROUNDS {
            let meeting = Meeting::of(2);
            let mut task = {
                let (meeting, mut rng) = (meeting.clone(), rng.fork());
                executor.spawn(async move {
                    meeting.attend();
                    rng.linger();
                    round
                })
            };
            if rng.below(2) == 0 {
                // Now the next poll takes this waker back, while the task may be about to call it.
                assert!(poll_with(&mut task, Waker::noop()).is_pending());
            }
            meeting.attend();
            rng.linger();
            assert_eq!(task.join().ok(), Some(round));
        }
    });
}

/// The race can be stopped only where a poll drops the waker before the newest one, which is user code.
fn complete_while_the_waker_is_replaced(executor: &Arc<dyn Executor>) {
    let go = Gate::new();
    let opened = go.clone();
    let mut task = executor.spawn(async move { opened.opened().await });
    let aborter = task.abort_handle();
    let complete = Mutex::new(OnDrop::new(move || {
        go.open();
        while !aborter.is_finished() {
            thread::yield_now();
        }
    }));
    let first = waker(move || {
        let _dropped_with_the_waker = &complete;
    });
    assert!(poll_with(&mut task, &first).is_pending());
    drop(first);
    let second = poll_with(&mut task, Waker::noop());
    assert!(second.is_ready(), "the task completed while the handle changed its waker, and woke neither");
}

pub(crate) fn p27_join_works_from_a_foreign_thread_and_from_another_executor(subject: &Subject) {
    /// Waits for a task that can't end before it is waited for.
    async fn join((mut task, go): (JoinHandle<u32>, Gate)) -> u32 {
        let joined = std::future::poll_fn(|cx| {
            let polled = poll_with(&mut task, cx.waker());
            go.open();
            polled
        });
        joined.await.expect("the task is ready")
    }

    let executor = subject.start();
    let waiting = |output: u32| {
        let go = Gate::new();
        let opened = go.clone();
        let task = executor.handle().spawn(async move {
            opened.opened().await;
            output
        });
        (task, go)
    };

    let task = waiting(1);
    assert_eq!(on_foreign_thread(&executor, |_| polyexec_core::block_on(join(task))), 1);

    let (of_task, of_block_on) = (waiting(2), waiting(3));
    let over = Gate::new();
    let joined = thread::scope(|scope| {
        let other = scope.spawn(|| {
            let over = over.clone();
            let _over = OnDrop::new(move || over.open());
            let other = subject.start();
            let joiner = other.handle().spawn(join(of_task));
            other.block_on(async { (join(of_block_on).await, joiner.await.expect("it joins the task")) })
        });
        executor.block_on(over.opened());
        other.join().expect("the other executor's thread")
    });
    assert_eq!(joined, (3, 2));
}

pub(crate) fn p28_is_finished_is_monotone_and_the_next_poll_is_ready(subject: &Subject) {
    fn look(task: &mut JoinHandle<()>, aborter: &AbortHandle) -> bool {
        if !aborter.is_finished() {
            return false;
        }
        let looks = [task.is_finished(), aborter.is_finished(), task.is_finished()];
        assert_eq!(looks, [true; 3], "a finished task went on");
        assert!(poll_with(task, Waker::noop()).is_ready(), "a finished task wasn't ready");
        assert!(task.is_finished() && aborter.is_finished(), "a finished task went on when its result was taken");
        true
    }

    let executor = subject.start();
    let resting = Resting::new();
    let mut task = resting.spawn(&executor, ());
    assert!(!task.is_finished() && !task.abort_handle().is_finished(), "it can't come to its end yet");
    resting.go.open();
    executor.block_on(finished(&task));
    let aborter = task.abort_handle();
    assert!(look(&mut task, &aborter));

    on_foreign_thread(&executor, |executor| {
        for round in 0..ROUNDS {
            let meeting = Meeting::of(2);
            let mut task = {
                let meeting = meeting.clone();
                executor.spawn(async move {
                    meeting.attend();
                    if round % 2 == 1 {
                        std::future::pending().await
                    }
                })
            };
            let aborter = task.abort_handle();
            meeting.attend();
            if round % 2 == 1 {
                aborter.abort();
            }
            while !look(&mut task, &aborter) {
                thread::yield_now();
            }
        }
    });
    let mut left = executor.handle().spawn(std::future::pending());
    let aborter = left.abort_handle();
    drop(executor.shut_down());
    assert!(look(&mut left, &aborter), "the executor is gone, the task isn't over");
}

pub(crate) fn p29_the_join_waker_is_dropped_at_completion_or_with_the_handle(subject: &Subject) {
    let joiner = |trace: &Trace, resting: &Resting| {
        let dropped = Mutex::new(trace.on_drop("waker dropped"));
        let (trace, joined) = (trace.clone(), resting.joined.clone());
        waker(move || {
            let _dropped_with_the_waker = &dropped;
            trace.log("woken");
            joined.open();
        })
    };

    for end in End::ALL {
        let executor = subject.start();
        let (trace, resting) = (Trace::new(), Resting::new());
        let mut handle = resting.spawn(&executor, ());
        assert!(poll_with(&mut handle, &joiner(&trace, &resting)).is_pending());
        assert_eq!(trace, [], "the handle keeps no waker");
        end.bring_about(executor, &resting, &handle);
        assert_eq!(trace, ["woken", "waker dropped"], "{end:?}, and the handle lives");
        drop(handle);
        assert_eq!(trace, ["woken", "waker dropped"], "{end:?}, and the handle is dropped");
    }

    let executor = subject.start();
    let (trace, resting) = (Trace::new(), Resting::new());
    let mut handle = resting.spawn(&executor, ());
    assert!(poll_with(&mut handle, &joiner(&trace, &resting)).is_pending());
    assert!(poll_with(&mut handle, &joiner(&trace, &resting)).is_pending());
    assert_eq!(trace, ["waker dropped"], "the first of two");
    drop(handle);
    assert_eq!(trace, ["waker dropped", "waker dropped"], "the task rests, and its handle is dropped");
    resting.go.open();
    executor.block_on(resting.ended.opened());
    drop(executor.shut_down());
    assert_eq!(trace, ["waker dropped", "waker dropped"], "the task came to its end detached");
}

pub(crate) fn p30_self_join_and_mutual_join_leak_nothing(subject: &Subject) {
    for size in 1..=3 {
        let executor = subject.start();
        let Ring { alive, aborters: _ } = Ring::of(size, &executor);
        assert_eq!(alive.strong_count(), size, "tasks that wait for each other wait");
        let handle = executor.shut_down();
        assert_eq!(alive.strong_count(), 0, "a ring of {size}: futures are left after the shutdown");
        assert_eq!(Arc::strong_count(&handle), 1, "a ring of {size}: cells are left after the shutdown");
    }
    for size in 1..=3 {
        let executor = subject.start();
        let Ring { alive, aborters } = Ring::of(size, &executor);
        aborters[0].abort();
        drop(aborters);
        executor.block_on(async {
            while alive.strong_count() > 0 {
                yield_now().await;
            }
        });
        let handle = executor.shut_down();
        assert_eq!(Arc::strong_count(&handle), 1, "a ring of {size}, aborted: cells are left");
    }
}

/// A ring of tasks, each of which waits for the next.
struct Ring {
    /// One reference per live future.
    alive: Weak<()>,
    aborters: Vec<AbortHandle>,
}

impl Ring {
    /// Returns when all of them wait.
    fn of(size: usize, executor: &Fixture) -> Self {
        let alive = Arc::new(());
        let handles: Arc<Mutex<Vec<Option<JoinHandle<()>>>>> = Arc::default();
        let given = Gate::new();
        let waiting: Vec<_> = (0..size).map(|_| Gate::new()).collect();
        let tasks = waiting.iter().cloned().enumerate().map(|(this, waiting)| {
            let (alive, handles, given) = (alive.clone(), handles.clone(), given.clone());
            executor.handle().spawn(async move {
                let _alive = alive;
                given.opened().await;
                let mut next = handles.lock().unwrap()[(this + 1) % size].take().expect("each is joined once");
                let joined = std::future::poll_fn(|cx| {
                    let polled = poll_with(&mut next, cx.waker());
                    waiting.open();
                    polled
                });
                let _ = joined.await;
            })
        });
        let tasks: Vec<_> = tasks.collect();
        let aborters = tasks.iter().map(JoinHandle::abort_handle).collect();
        *handles.lock().unwrap() = tasks.into_iter().map(Some).collect();
        given.open();
        executor.block_on(async {
            for waiting in &waiting {
                waiting.opened().await;
            }
        });
        Self { alive: Arc::downgrade(&alive), aborters }
    }
}

/// The ways in which an idle task ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Ready,
    Aborted,
    ShutDown,
}

impl End {
    const ALL: [Self; 3] = [Self::Ready, Self::Aborted, Self::ShutDown];

    /// Ends the task in this way, wakes its joiner, and shuts the executor down.
    fn bring_about(self, executor: Fixture, resting: &Resting, handle: &JoinHandle<()>) {
        match self {
            Self::Ready => resting.go.open(),
            Self::Aborted => handle.abort(),
            Self::ShutDown => {}
        }
        if self != Self::ShutDown {
            executor.block_on(resting.joined.opened());
        }
        drop(executor.shut_down());
    }

    /// Whether the handle returns that.
    fn is_told(self, polled: Poll<Result<(), JoinError>>) -> bool {
        match (self, polled) {
            (_, Poll::Pending) => false,
            (Self::Ready, Poll::Ready(result)) => result.is_ok(),
            (Self::Aborted, Poll::Ready(result)) => {
                result.is_err_and(|error| error.is_cancelled() && !error.is_shutdown())
            }
            (Self::ShutDown, Poll::Ready(result)) => result.is_err_and(|error| error.is_shutdown()),
        }
    }
}

/// A task that was polled and is idle.
struct Resting {
    begun: Gate,
    /// Lets the task go on to its end.
    go: Gate,
    ended: Gate,
    /// Opened by the joiner's waker.
    joined: Gate,
}

impl Resting {
    fn new() -> Self {
        let [begun, go, ended, joined] = [(); 4].map(|()| Gate::new());
        Self { begun, go, ended, joined }
    }

    /// Spawns the task, whose future carries `cargo`, and waits until it was polled.
    fn spawn(&self, executor: &Fixture, cargo: impl Send + 'static) -> JoinHandle<()> {
        let (begun, go, ended) = (self.begun.clone(), self.go.clone(), self.ended.clone());
        let handle = executor.handle().spawn(carrying(cargo, async move {
            begun.open();
            go.opened().await;
            ended.open();
        }));
        executor.block_on(self.begun.opened());
        handle
    }
}
