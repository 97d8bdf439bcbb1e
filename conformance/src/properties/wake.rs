//! Properties 9 to 16: waking.

use std::cell::RefCell;
use std::future::poll_fn;
use std::hint::spin_loop;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;

use polyexec_core::Executor;
use polyexec_core::executor::{Rejected, Task};
use polyexec_futures::yield_now;

use crate::Subject;
use crate::probe::{
    Gate, OnDrop, Rng, Sleeper, Tally, Trace, WakerSlot, carrying, on_foreign_thread, poll_with, settle, waker,
};

/// The ways to wake a task. All are equivalent.
pub(super) const WAYS: [(&str, fn(&Waker)); 5] = [
    ("wake_by_ref", Waker::wake_by_ref),
    ("wake", |waker| waker.clone().wake()),
    ("wake_by_ref of a clone", |waker| waker.clone().wake_by_ref()),
    ("wake of a clone's clone", |waker| {
        let clone = waker.clone();
        let second = clone.clone();
        drop(clone);
        second.wake();
    }),
    ("wake on a foreign thread", |waker| {
        let clone = waker.clone();
        thread::spawn(move || clone.wake()).join().expect("a wake doesn't panic");
    }),
];

pub(crate) fn p09_a_wake_while_idle_brings_a_poll(subject: &Subject) {
    const TIMES: usize = 500;
    let executor = subject.start();
    let sleeper = Sleeper::new();
    let task = executor.handle().spawn(sleeper.future());
    executor.block_on(sleeper.polled(1));

    // From this thread, from a task, and from a thread that no executor knows.
    for (_, wake) in WAYS {
        let polls = sleeper.polls();
        settle(&executor);
        wake(&sleeper.waker());
        executor.block_on(sleeper.polled(polls + 1));
    }
    let waking = {
        let sleeper = sleeper.clone();
        executor.handle().spawn(async move {
            for _ in 0..TIMES {
                let polls = sleeper.polls();
                sleeper.waker().wake();
                sleeper.polled(polls + 1).await;
            }
        })
    };
    executor.block_on(waking).unwrap();
    let watched = sleeper.clone();
    on_foreign_thread(&executor, move |_| {
        for _ in 0..TIMES {
            let polls = watched.polls();
            watched.waker().wake();
            while watched.polls() == polls {
                thread::yield_now();
            }
        }
    });

    sleeper.end();
    sleeper.waker().wake();
    executor.block_on(task).unwrap();
}

pub(crate) fn p10_a_wake_during_a_poll_brings_exactly_one_more(subject: &Subject) {
    for times in [1, 3] {
        for own in [true, false] {
            let executor = subject.start();
            let (trace, polls) = (Trace::new(), Tally::new());
            let (polling, woken, slot) = (Gate::new(), Gate::new(), WakerSlot::new());
            let future = {
                let (trace, polls) = (trace.clone(), polls.clone());
                let (polling, woken, slot) = (polling.clone(), woken.clone(), slot.clone());
                poll_fn(move |cx| {
                    trace.log("poll begins");
                    if polls.get() > 0 {
                        // It rests.
                    } else if own {
                        (0..times).for_each(|_| cx.waker().wake_by_ref());
                        trace.log("woken");
                    } else {
                        slot.put(cx.waker().clone());
                        polling.open();
                        woken.wait();
                    }
                    trace.log("poll ends");
                    polls.add();
                    Poll::<()>::Pending
                })
            };
            drop(executor.handle().spawn(future));
            if !own {
                let trace = trace.clone();
                on_foreign_thread(&executor, move |_| {
                    polling.wait();
                    let waker = slot.take().expect("put there before the gate opened");
                    (0..times).for_each(|_| waker.wake_by_ref());
                    trace.log("woken");
                    woken.open();
                });
            }
            executor.block_on(async {
                while polls.get() < 2 {
                    yield_now().await;
                }
            });
            settle(&executor);
            drop(executor.shut_down());
            let events = ["poll begins", "woken", "poll ends", "poll begins", "poll ends"];
            assert_eq!(trace, events, "{times} wakes by {}", if own { "itself" } else { "a foreign thread" });
        }
    }
}

/// Runs tasks on another executor, but holds woken ones until they are released. Meanwhile they are queued for certain.
#[derive(Clone)]
struct Holding {
    executor: Arc<dyn Executor>,
    held: Arc<Mutex<Vec<Task>>>,
}

impl Holding {
    fn new(executor: Arc<dyn Executor>) -> Self {
        Self { executor, held: Arc::default() }
    }

    /// The held tasks.
    fn len(&self) -> usize {
        self.held.lock().unwrap().len()
    }

    fn let_go(&self) {
        let held = std::mem::take(&mut *self.held.lock().unwrap());
        held.into_iter().for_each(|task| self.executor.schedule(task));
    }
}

impl Executor for Holding {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        self.executor.submit(task)
    }

    fn schedule(&self, task: Task) {
        self.held.lock().unwrap().push(task);
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        self.executor.drive(future);
    }
}

pub(crate) fn p11_many_wakes_while_queued_bring_one_poll(subject: &Subject) {
    const WAKES: usize = 100;
    let executor = subject.start();
    let holding = Holding::new(executor.handle());
    let sleeper = Sleeper::new();
    drop(holding.spawn(sleeper.future()));
    executor.block_on(sleeper.polled(1));
    // The first poll is over, so a wake brings the task to the queue.
    settle(&executor);
    for round in 2..10 {
        for _ in 0..WAKES {
            WAYS.iter().take(4).for_each(|(_, wake)| wake(&sleeper.waker()));
        }
        let waker = sleeper.waker();
        on_foreign_thread(&executor, move |_| (0..WAKES).for_each(|_| waker.wake_by_ref()));
        assert_eq!(holding.len(), 1, "a task is in the queue once");
        assert_eq!(sleeper.polls(), round - 1, "polled though it was held");
        holding.let_go();
        executor.block_on(sleeper.polled(round));
        settle(&executor);
        assert_eq!(sleeper.polls(), round, "polls after {} wakes", 5 * WAKES);
    }
    drop(executor.shut_down());
    assert_eq!((sleeper.polls(), sleeper.drops(), holding.len()), (9, 1, 0));
    in_the_executors_queue(subject);
}

/// Like the property before, in the executor's own queue: on a single thread, the woken task stays there for certain.
fn in_the_executors_queue(subject: &Subject) {
    const WAKES: usize = 100;
    let executor = subject.start();
    let sleeper = Sleeper::new();
    drop(executor.handle().spawn(sleeper.future()));
    executor.block_on(sleeper.polled(1));
    let watched = sleeper.clone();
    let waking = executor.handle().spawn(async move { (0..WAKES).for_each(|_| watched.waker().wake()) });
    executor.block_on(waking).unwrap();
    executor.block_on(sleeper.polled(2));
    settle(&executor);
    drop(executor.shut_down());
    let most = if subject.is_local() { 2 } else { WAKES + 1 };
    assert!((2..=most).contains(&sleeper.polls()), "{WAKES} wakes brought {} polls", sleeper.polls() - 1);
}

pub(crate) fn p12_a_foreign_wake_happens_before_the_poll(subject: &Subject) {
    const SEED: u64 = 12;
    const ROUNDS: usize = 5_000;
    let executor = subject.start();
    // Relaxed throughout, so that nothing but the wakes carries `written` to the poll. A poll that doesn't see it is the
    // last one of its round, since no wake follows: then this hangs.
    let (written, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let slot = WakerSlot::new();
    let task = {
        let (written, seen, slot) = (written.clone(), seen.clone(), slot.clone());
        executor.handle().spawn(poll_fn(move |cx| {
            if seen.load(Relaxed) == 0 {
                slot.put(cx.waker().clone());
            }
            let now = written.load(Relaxed);
            seen.store(now, Relaxed);
            if now == ROUNDS { Poll::Ready(()) } else { Poll::Pending }
        }))
    };
    // Keeps a thread of the executor awake, so that it comes to the woken task at once, in the midst of the next wake.
    let bystander = executor.handle().spawn(async {
        loop {
            yield_now().await;
        }
    });
    executor.block_on(async {
        while slot.get().is_none() {
            yield_now().await;
        }
    });
    on_foreign_thread(&executor, move |_| {
        let waker = slot.take().expect("the task waits");
        let mut rng = Rng::new(SEED);
        for round in 1..=ROUNDS {
            // The second wake finds the task at rest, queued, or being polled.
            waker.wake_by_ref();
            (0..rng.below(30)).for_each(|_| spin_loop());
            written.store(round, Relaxed);
            waker.wake_by_ref();
            while seen.load(Relaxed) != round {
                thread::yield_now();
            }
        }
    });
    executor.block_on(task).unwrap();
    bystander.abort();
    assert!(executor.block_on(bystander).unwrap_err().is_cancelled());
}

pub(crate) fn p13_wake_wake_by_ref_and_clones_are_equal(subject: &Subject) {
    for (way, wake) in WAYS {
        let executor = subject.start();
        let (trace, polls, slot) = (Trace::new(), Tally::new(), WakerSlot::new());
        let task = {
            let (trace, polls, slot) = (trace.clone(), polls.clone(), slot.clone());
            executor.handle().spawn(poll_fn(move |cx| {
                slot.put(cx.waker().clone());
                polls.add();
                match polls.get() {
                    1 => trace.log("rests"),
                    2 => {
                        wake(cx.waker());
                        trace.log("wakes itself");
                    }
                    3 => trace.log("rests again"),
                    4 => {
                        trace.log("ready");
                        return Poll::Ready(());
                    }
                    _ => trace.log("polled too often"),
                }
                Poll::Pending
            }))
        };
        let polled = async |times| {
            while polls.get() < times {
                yield_now().await;
            }
        };
        for (rests, polls_then) in [(1, 3), (3, 4)] {
            executor.block_on(polled(rests));
            settle(&executor);
            // Dropping a clone wakes nothing.
            drop(slot.get());
            settle(&executor);
            assert_eq!(polls.get(), rests, "polls, {way}");
            wake(&slot.get().expect("the task waits"));
            executor.block_on(polled(polls_then));
        }
        executor.block_on(task).unwrap();
        assert_eq!(trace, ["rests", "wakes itself", "rests again", "ready"], "{way}");
    }
}

thread_local! {
    static AT_EXIT: RefCell<Option<OnDrop>> = const { RefCell::new(None) };
}

/// Wakes in every way, also in the destructor of a thread-local.
fn wake_everywhere(waker: &Waker) {
    WAYS.iter().for_each(|(_, wake)| wake(waker));
    let clone = waker.clone();
    let ending = thread::spawn(move || AT_EXIT.set(Some(OnDrop::new(move || clone.wake()))));
    ending.join().expect("a wake doesn't panic");
}

pub(crate) fn p14_a_wake_after_the_end_does_nothing(subject: &Subject) {
    for end in ["ready", "aborted", "shut down"] {
        let executor = subject.start();
        let sleeper = Sleeper::new();
        let task = executor.handle().spawn(sleeper.future());
        executor.block_on(sleeper.polled(1));
        let waker = sleeper.waker();
        let (handle, polls) = match end {
            "shut down" => {
                let handle = executor.shut_down();
                assert!(task.join().unwrap_err().is_shutdown());
                (handle, 1)
            }
            _ => {
                let polls = if end == "ready" {
                    sleeper.end();
                    waker.wake_by_ref();
                    executor.block_on(task).unwrap();
                    2
                } else {
                    task.abort();
                    assert!(executor.block_on(task).unwrap_err().is_cancelled());
                    1
                };
                wake_everywhere(&waker);
                settle(&executor);
                assert_eq!((sleeper.polls(), sleeper.drops()), (polls, 1), "polls and drops, woken when {end}");
                (executor.shut_down(), polls)
            }
        };
        wake_everywhere(&waker);
        assert_eq!((sleeper.polls(), sleeper.drops()), (polls, 1), "polls and drops, {end} and shut down");
        drop((waker, sleeper));
        assert_eq!(Arc::strong_count(&handle), 1, "a cell is left, {end}");
    }
}

pub(crate) fn p15_a_self_wake_before_ready_brings_no_poll(subject: &Subject) {
    let executor = subject.start();
    let (polls, drops) = (Tally::new(), Tally::new());
    let future = {
        let polls = polls.clone();
        poll_fn(move |cx| {
            polls.add();
            WAYS.iter().for_each(|(_, wake)| wake(cx.waker()));
            Poll::Ready("output")
        })
    };
    let task = executor.handle().spawn(carrying(drops.on_drop(), future));
    assert_eq!(executor.block_on(task).unwrap(), "output");
    settle(&executor);
    assert_eq!((polls.get(), drops.get()), (1, 1), "polls and drops");
    let handle = executor.shut_down();
    assert_eq!((polls.get(), drops.get()), (1, 1), "polls and drops after the shutdown");
    assert_eq!(Arc::strong_count(&handle), 1, "a cell is left");
}

pub(crate) fn p16_waking_inside_a_wake_or_a_drop_cannot_deadlock(subject: &Subject) {
    let executor = subject.start();
    let (by_wake, by_drop) = (Sleeper::new(), Sleeper::new());
    let sleepers = [&by_wake, &by_drop].map(|sleeper| executor.handle().spawn(sleeper.future()));
    executor.block_on(async {
        by_wake.polled(1).await;
        by_drop.polled(1).await;
    });

    // A waker whose call wakes one task, and whose drop wakes the other one.
    let nested = || {
        let (called, dropped) = (by_wake.waker(), by_drop.waker());
        let at_drop = OnDrop::new(move || dropped.wake());
        // The lock makes it `Sync`.
        let at_drop = Mutex::new(at_drop);
        waker(move || {
            let _at_drop = &at_drop;
            called.wake_by_ref();
        })
    };
    let after = |what: &str, polls: [usize; 2]| {
        executor.block_on(async {
            by_wake.polled(polls[0]).await;
            by_drop.polled(polls[1]).await;
        });
        settle(&executor);
        assert_eq!([by_wake.polls(), by_drop.polls()], polls, "polls of the two tasks, after {what}");
    };

    let go = Gate::new();
    let mut joined = executor.handle().spawn({
        let go = go.clone();
        async move { go.opened().await }
    });
    assert!(poll_with(&mut joined, &nested()).is_pending());
    // Within the wake of a waker's wake, which the join calls on the executor.
    let outer = waker({
        let inner = nested();
        move || inner.wake_by_ref()
    });
    assert!(poll_with(&mut joined, &outer).is_pending());
    after("the newest join waker took the place of the one before", [1, 2]);
    drop(outer);
    go.open();
    executor.block_on(async {
        while !joined.is_finished() {
            yield_now().await;
        }
    });
    after("the join wake", [2, 3]);
    assert!(joined.join().is_ok());

    // Within a poll, and with a waker that a task wakes and drops there.
    let in_poll = nested();
    executor.block_on(executor.handle().spawn(async move { in_poll.wake() })).unwrap();
    after("a wake in a poll", [3, 4]);

    within_the_wake_of_a_driven_future(&executor.handle(), &by_wake);
    after("a wake in the waker of a driven future", [4, 4]);

    by_wake.end();
    by_drop.end();
    nested().wake();
    executor.block_on(async {
        for task in sleepers {
            task.await.unwrap();
        }
    });
}

/// The future that `block_on` polls is woken by a waker that wakes the task, too.
fn within_the_wake_of_a_driven_future(executor: &Arc<dyn Executor>, sleeper: &Sleeper) {
    let woken = Arc::new(AtomicBool::new(false));
    let mut wakes = Some(sleeper.waker());
    executor.block_on(poll_fn(|cx| {
        let Some(task) = wakes.take() else {
            return if woken.load(Acquire) { Poll::Ready(()) } else { Poll::Pending };
        };
        let (driver, woken) = (cx.waker().clone(), woken.clone());
        let both = waker(move || {
            task.wake_by_ref();
            woken.store(true, Release);
            driver.wake_by_ref();
        });
        thread::spawn(move || both.wake());
        Poll::Pending
    }));
}
