//! Properties 60 to 64, 68 and 84: blocking inside a task, parking, and two executors at once.

use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use polyexec_core::{Executor, JoinError, JoinHandle};
use polyexec_futures::yield_now;

use crate::Subject;
use crate::probe::{Gate, OnDrop, Tally, WakerSlot, carrying};

pub(crate) fn p60_a_nested_block_on_works(subject: &Subject) {
    let executor = subject.start();
    let handle = executor.handle();
    // In a `block_on` of the thread that started the executor, whose tasks it runs or waits for.
    let inner = handle.clone();
    let sum = executor.block_on(async {
        let here = inner.block_on(async { inner.spawn(three(1)).await.unwrap() });
        let plain = polyexec_core::block_on(async { 100 });
        here + plain
    });
    assert_eq!(sum, 103);

    // In a task, each way there is.
    let ways: [fn(Arc<dyn Executor>) -> u64; 7] = [
        |executor| executor.block_on(executor.spawn(three(1))).unwrap(),
        |executor| polyexec_core::block_on(executor.spawn(three(1))).unwrap(),
        |executor| executor.spawn(three(1)).join().unwrap(),
        |_| polyexec_core::spawn(three(1)).join().unwrap(),
        |executor| polyexec_core::block_in_place(|| executor.spawn(three(1)).join()).unwrap(),
        |_| polyexec_core::block_in_place(|| polyexec_core::spawn(three(1)).join()).unwrap(),
        // Two deep: a task blocks for a task that blocks for a task.
        |executor| {
            let middle = executor.clone();
            executor.spawn(async move { middle.spawn(three(1)).join().unwrap() }).join().unwrap()
        },
    ];
    for way in ways {
        let inner = handle.clone();
        let alone = handle.spawn(async move { way(inner) });
        assert_eq!(executor.block_on(alone).unwrap(), 3);
    }

    // Many at once, so that more tasks block than the executor has threads.
    let many: Vec<_> = (0..6)
        .flat_map(|_| ways)
        .map(|way| {
            let inner = handle.clone();
            handle.spawn(async move { way(inner) })
        })
        .collect();
    let sum = executor.block_on(async {
        let mut sum = 0;
        for task in many {
            sum += task.await.unwrap();
        }
        sum
    });
    assert_eq!(sum, 3 * 6 * ways.len() as u64);

    in_each_others_tasks(subject);
}

/// A task of one executor blocks on a task of another, which blocks on a task of the first, and so on. A foreign thread ends the
/// innermost one.
fn in_each_others_tasks(subject: &Subject) {
    const DEPTH: usize = 6;

    let (executor, other) = (subject.start(), subject.start());
    for depth in 0..DEPTH {
        let (here, there, gate) = (executor.handle(), other.handle(), Gate::new());
        let opens = gate.clone();
        let foreign = thread::spawn(move || opens.open());
        let task = executor.handle().spawn(async move { descend([there, here], depth, gate) });
        assert_eq!(executor.block_on(task).unwrap(), depth + 1);
        foreign.join().unwrap();
    }
    // It waits for a task of the outer executor, which must go on.
    let (here, there) = (executor.handle(), other.handle());
    let task = executor.handle().spawn(async move { there.block_on(here.spawn(three(1))).unwrap() });
    assert_eq!(executor.block_on(task).unwrap(), 3);
}

fn descend([one, other]: [Arc<dyn Executor>; 2], depth: usize, gate: Gate) -> usize {
    let inner = one.clone();
    let task = one.spawn(async move {
        match depth.checked_sub(1) {
            Some(depth) => 1 + descend([other, inner], depth, gate),
            None => {
                gate.opened().await;
                1
            }
        }
    });
    one.block_on(task).unwrap()
}

/// Three times `n`, in three polls.
async fn three(n: u64) -> u64 {
    let mut sum = n;
    for _ in 0..2 {
        yield_now().await;
        sum += n;
    }
    sum
}

/// Consumes a token that an earlier `unpark` may have left, without waiting.
fn take_token() {
    thread::park_timeout(Duration::ZERO);
}

/// Pending several times. Each time, another thread wakes it. It parks and unparks its own thread in every way, and leaves it
/// with or without a token.
fn parks(times: usize, wakers: mpsc::Sender<Waker>) -> impl Future<Output = usize> + Send + 'static {
    let mut polls = 0;
    poll_fn(move |cx| {
        polls += 1;
        if polls > times {
            return Poll::Ready(polls);
        }
        wakers.send(cx.waker().clone()).expect("the other thread lives");
        // The wake may be here by now: what parks takes must not be what the wake gave.
        take_token();
        thread::current().unpark();
        thread::park();
        if polls % 2 == 0 {
            thread::current().unpark();
        }
        Poll::Pending
    })
}

pub(crate) fn p61_park_and_unpark_of_the_users_are_harmless(subject: &Subject) {
    const TIMES: usize = 1_000;
    let executor = subject.start();
    let (wakers, to_wake) = mpsc::channel::<Waker>();
    let foreign = thread::spawn(move || to_wake.into_iter().for_each(Waker::wake));

    // In tasks, in what is driven here, and in a nested `block_on`.
    let tasks: Vec<_> = (0..3).map(|_| executor.handle().spawn(parks(TIMES, wakers.clone()))).collect();
    let nested = {
        let (handle, parks) = (executor.handle(), parks(TIMES, wakers.clone()));
        executor.handle().spawn(async move { handle.block_on(parks) })
    };
    assert_eq!(executor.block_on(parks(TIMES, wakers)), TIMES + 1, "polls per wake");
    executor.block_on(async {
        for task in tasks {
            assert_eq!(task.await.unwrap(), TIMES + 1, "polls per wake");
        }
        assert_eq!(nested.await.unwrap(), TIMES + 1, "polls per wake");
    });
    foreign.join().unwrap();

    // A token from before is there after it. If not, this hangs.
    let waits = Gate::new();
    let opens = {
        let waits = waits.clone();
        executor.handle().spawn(async move {
            yield_now().await;
            waits.open();
        })
    };
    take_token();
    thread::current().unpark();
    executor.block_on(async {
        waits.opened().await;
        opens.await.unwrap();
    });
    thread::park();

    strangers_do_not_wake(subject);
}

/// Another thread unparks the threads all the time. That is no wake: it causes no poll.
fn strangers_do_not_wake(subject: &Subject) {
    let executor = subject.start();
    let (gate, polls) = (Gate::new(), Tally::new());
    let (threads, to_unpark) = mpsc::channel();
    let waits = |gate: Gate, polls: Tally, threads: mpsc::Sender<thread::Thread>| async move {
        let mut opened = Box::pin(async move { gate.opened().await });
        poll_fn(move |cx| {
            polls.add();
            let answer = opened.as_mut().poll(cx);
            // The second time, the receiver is gone.
            let _ = threads.send(thread::current());
            answer
        })
        .await;
    };
    let task = executor.handle().spawn(waits(gate.clone(), polls.clone(), threads.clone()));
    let stranger = {
        let gate = gate.clone();
        thread::spawn(move || {
            let threads = [to_unpark.recv().unwrap(), to_unpark.recv().unwrap()];
            for _ in 0..2_000 {
                threads.iter().for_each(thread::Thread::unpark);
                thread::yield_now();
            }
            gate.open();
        })
    };
    executor.block_on(waits(gate, polls.clone(), threads));
    executor.block_on(task).unwrap();
    stranger.join().unwrap();
    assert_eq!(polls.get(), 4, "two polls of each of the two that wait");
    take_token();
}

/// An executor that another thread started and drives until `over` is opened, then shuts down.
fn elsewhere<T>(subject: &Subject, use_it: impl FnOnce(Arc<dyn Executor>, &Gate) -> T) -> T {
    let over = Gate::new();
    let (sender, handle) = mpsc::channel();
    thread::scope(|scope| {
        let other = {
            let over = over.clone();
            scope.spawn(move || {
                let executor = subject.start();
                sender.send(executor.handle()).expect("the other thread waits for it");
                executor.block_on(over.opened());
                executor.shut_down();
            })
        };
        let opened = over.clone();
        let _over = OnDrop::new(move || opened.open());
        let used = use_it(handle.recv().expect("the other executor has started"), &over);
        over.open();
        other.join().unwrap();
        used
    })
}

/// Which of two has its turn.
#[derive(Default)]
struct Turns {
    turn: AtomicUsize,
    waiting: [Mutex<Option<Waker>>; 2],
}

impl Turns {
    async fn play(self: Arc<Self>, me: usize, rounds: usize) -> usize {
        for _ in 0..rounds {
            poll_fn(|cx| {
                *self.waiting[me].lock().unwrap() = Some(cx.waker().clone());
                if self.turn.load(SeqCst) == me { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            self.turn.store(1 - me, SeqCst);
            let other = self.waiting[1 - me].lock().unwrap().take();
            other.into_iter().for_each(Waker::wake);
        }
        rounds
    }
}

pub(crate) fn p62_two_executors_wake_each_other(subject: &Subject) {
    const ROUNDS: usize = 2_000;
    let executor = subject.start();
    let here = executor.handle();
    elsewhere(subject, |there, _| {
        let turns = Arc::new(Turns::default());
        let pair = [here.spawn(turns.clone().play(0, ROUNDS)), there.spawn(turns.play(1, ROUNDS))];
        executor.block_on(async {
            for player in pair {
                assert_eq!(player.await.unwrap(), ROUNDS);
            }
        });
        // Each waits for the other's task, which waits for one here.
        let (near, far) = (here.clone(), there.clone());
        let there_and_back = here.spawn(async move {
            let far = far.clone().spawn(async move { near.spawn(async { 7 }).await.unwrap() });
            far.await.unwrap()
        });
        assert_eq!(executor.block_on(there_and_back).unwrap(), 7);
    });

    // Both end at the same time, and what they drop wakes the other's tasks.
    for _ in 0..200 {
        let executor = subject.start();
        let here = executor.handle();
        let dropped = Tally::new();
        let ends = elsewhere(subject, |there, over| {
            let ends = [entangled(&here, &there, &dropped), entangled(&there, &here, &dropped)];
            executor.block_on(yield_now());
            over.open();
            executor.shut_down();
            ends
        });
        for end in ends.into_iter().flatten() {
            let error = end.join().expect_err("a task that rests for ever");
            assert!(error.is_shutdown() || error.is_cancelled(), "{error}");
        }
        assert_eq!(dropped.get(), 4);
    }
}

/// A task on `one` whose drop aborts a task on `other`, and that task.
fn entangled(one: &Arc<dyn Executor>, other: &Arc<dyn Executor>, dropped: &Tally) -> [JoinHandle<()>; 2] {
    let far = other.spawn(carrying(dropped.on_drop(), pending()));
    let abort = far.abort_handle();
    let aborts = OnDrop::new(move || abort.abort());
    let near = one.spawn(carrying((dropped.on_drop(), aborts), pending()));
    [near, far]
}

pub(crate) fn p63_one_task_that_blocks_leaves_the_others_running(subject: &Subject) {
    let executor = subject.start();
    let (handle, gate, begun) = (executor.handle(), Gate::new(), Gate::new());
    let (waits, begins) = (gate.clone(), begun.clone());
    let blocked = handle.spawn(async move {
        begins.open();
        waits.wait();
    });
    executor.block_on(begun.opened());
    let others: Vec<_> = (0..1_000).map(|n| handle.spawn(three(n))).collect();
    let sum = executor.block_on(async {
        let mut sum = 0;
        for task in others {
            sum += task.await.unwrap();
        }
        sum
    });
    assert_eq!(sum, 3 * 499_500);
    assert!(!blocked.is_finished());
    gate.open();
    executor.block_on(blocked).unwrap();
}

pub(crate) fn p64_tasks_that_all_block_in_join_still_progress(subject: &Subject) {
    const BLOCKED: usize = 20;
    let executor = subject.start();
    let (handle, gate, begun) = (executor.handle(), Gate::new(), Tally::new());
    let blocked: Vec<_> = (0..BLOCKED)
        .map(|n| {
            let (inner, gate, begun) = (handle.clone(), gate.clone(), begun.clone());
            handle.spawn(async move {
                let waits = inner.spawn(async move {
                    gate.opened().await;
                    n
                });
                begun.add();
                waits.join().unwrap()
            })
        })
        .collect();
    // More than there are workers, and none of them goes on before this one has run.
    let opens = handle.spawn(async move {
        while begun.get() < BLOCKED {
            yield_now().await;
        }
        gate.open();
    });
    let sum = executor.block_on(async {
        opens.await.unwrap();
        let mut sum = 0;
        for task in blocked {
            sum += task.await.unwrap();
        }
        sum
    });
    assert_eq!(sum, (0..BLOCKED).sum());
}

pub(crate) fn p68_a_task_just_woken_runs_though_its_waker_blocks(subject: &Subject) {
    let executor = subject.start();
    let handle = executor.handle();
    for _ in 0..50 {
        let (rests, ran) = (WakerSlot::new(), Gate::new());
        let woken = {
            let (rests, ran, mut rested) = (rests.clone(), ran.clone(), false);
            handle.spawn(poll_fn(move |cx| {
                if std::mem::replace(&mut rested, true) {
                    ran.open();
                    return Poll::Ready(());
                }
                rests.put(cx.waker().clone());
                Poll::Pending
            }))
        };
        executor.block_on(async {
            while rests.get().is_none() {
                yield_now().await;
            }
        });
        // What it wakes is its own thread's to run next, and it waits for that.
        let blocks = handle.spawn(async move {
            rests.take().expect("it was stored").wake();
            ran.wait();
        });
        executor.block_on(async {
            blocks.await.unwrap();
            woken.await.unwrap();
        });
    }
}

pub(crate) fn p84_waits_nest_to_a_bound_and_never_end_the_process(subject: &Subject) {
    /// More tasks than may block inside each other on one stack.
    const TASKS: usize = 400;
    let executor = subject.start();
    // Each task waits for a task that is queued behind all others. On one thread, some may panic at the limit.
    let joins = |n| {
        let handle = executor.handle();
        executor.handle().spawn(async move { handle.spawn(async move { n }).join().unwrap() })
    };
    let tasks: Vec<_> = (0..TASKS).map(joins).collect();
    executor.block_on(async {
        for (n, task) in tasks.into_iter().enumerate() {
            let joined = task.await;
            assert!(joined.as_ref().map_or_else(JoinError::is_panic, |joined| *joined == n), "{joined:?}");
        }
    });

    // Each waits for the next one, which can't be but inside of it where there is one thread.
    let ended = Tally::new();
    let chain = executor.handle().spawn(chain_of_joins(executor.handle(), TASKS, ended.clone()));
    let has_seen_all = executor.block_on(chain);
    assert!(has_seen_all.is_ok(), "the first one of a chain doesn't panic");
    executor.block_on(async {
        while ended.get() <= TASKS {
            yield_now().await;
        }
    });
    assert_eq!(executor.block_on(executor.handle().spawn(async { 7 })).unwrap(), 7);
}

/// Whether all tasks of the chain have joined the next one.
fn chain_of_joins(
    executor: Arc<dyn Executor>,
    left: usize,
    ended: Tally,
) -> Pin<Box<dyn Future<Output = bool> + Send>> {
    let at_end = ended.on_drop();
    Box::pin(async move {
        let _at_end = at_end;
        left == 0 || {
            let next = executor.spawn(chain_of_joins(executor.clone(), left - 1, ended));
            next.join().unwrap_or(false)
        }
    })
}
