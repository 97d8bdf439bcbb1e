//! Properties 17 to 21: polling.

use std::cell::Cell;
use std::future::poll_fn;
use std::marker::PhantomPinned;
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use polyexec_core::Executor;
use polyexec_futures::yield_now;

use crate::probe::{Gate, OnDrop, Planned, Rng, Tally, WakerSlot, finished, least_until, settle};
use crate::run::isolated;
use crate::{Fixture, Subject};

pub(crate) fn p17_never_two_polls_at_once(subject: &Subject) {
    const POLLS: usize = 2_000;
    let executor = subject.start();
    let slot = WakerSlot::new();
    let inside = AtomicBool::new(false);
    let task = executor.handle().spawn({
        let (slot, mut polls, mut random) = (slot.clone(), 0, Rng::new(17));
        poll_fn(move |cx| {
            assert!(!inside.swap(true, SeqCst), "two polls at once");
            drop(slot.put(cx.waker().clone()));
            polls += 1;
            random.linger();
            assert!(inside.swap(false, SeqCst), "two polls at once");
            if polls == POLLS { Poll::Ready(()) } else { Poll::Pending }
        })
    });
    let over = Gate::new();
    let wakers: Vec<_> = (0..3)
        .map(|_| {
            let (slot, over) = (slot.clone(), over.clone());
            thread::spawn(move || {
                while !over.is_open() {
                    if let Some(waker) = slot.get() {
                        waker.wake();
                    }
                    thread::yield_now();
                }
            })
        })
        .collect();
    let result = executor.block_on(task);
    over.open();
    for waker in wakers {
        waker.join().unwrap();
    }
    result.unwrap();
}

/// How a task ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Ready,
    Panic,
    Abort,
}

pub(crate) fn p18_never_polled_after_ready_a_panic_or_an_abort(subject: &Subject) {
    const ROUNDS: usize = 100;
    let executor = subject.start();
    let (slot, late, over) = (WakerSlot::new(), Tally::new(), Gate::new());
    // A foreign thread wakes the task that was polled last, again and again, whether or not it has ended.
    let waking = {
        let (slot, over) = (slot.clone(), over.clone());
        thread::spawn(move || {
            while !over.is_open() {
                slot.get().into_iter().for_each(Waker::wake);
                thread::yield_now();
            }
        })
    };
    for _ in 0..ROUNDS {
        for end in [End::Ready, End::Panic, End::Abort] {
            if end == End::Panic && cfg!(panic = "abort") {
                continue;
            }
            comes_to(end, &executor, &slot, &late);
        }
    }
    settle(&executor);
    over.open();
    waking.join().unwrap();
    assert_eq!(late.get(), 0, "polls after the end");
}

/// Runs a task until it ends in this way. Counts the polls after that in `late`.
fn comes_to(end: End, executor: &Fixture, slot: &WakerSlot, late: &Tally) {
    let (polls, ended) = (Tally::new(), Arc::new(AtomicBool::new(false)));
    let task = {
        let (polls, ended, slot, late) = (polls.clone(), ended.clone(), slot.clone(), late.clone());
        executor.handle().spawn(poll_fn(move |cx| {
            if ended.load(Acquire) {
                late.add();
            }
            slot.put(cx.waker().clone());
            cx.waker().wake_by_ref();
            polls.add();
            if end == End::Abort || polls.get() < 3 {
                return Poll::Pending;
            }
            ended.store(true, Release);
            if end == End::Panic {
                // Unlike `panic!`, it tells no hook.
                resume_unwind(Box::new(Planned));
            }
            Poll::Ready(())
        }))
    };
    if end == End::Abort {
        executor.block_on(async {
            while polls.get() < 3 {
                yield_now().await;
            }
        });
        task.abort();
    }
    executor.block_on(finished(&task));
    ended.store(true, Release);
    slot.get().expect("it was polled").wake();
    let seen = match executor.block_on(task) {
        Ok(()) => End::Ready,
        Err(error) if error.is_panic() => End::Panic,
        Err(error) => {
            assert!(error.is_cancelled(), "{error}");
            End::Abort
        }
    };
    assert_eq!(seen, end, "the result, taken after another wake");
}

/// Notes the threads on which it is polled and dropped.
struct Stays {
    seen: Arc<Mutex<Vec<usize>>>,
    /// How often it wakes itself.
    wakes: usize,
    /// Whether it is ready then. Otherwise it is idle.
    ready: bool,
    _pinned: PhantomPinned,
}

impl Stays {
    fn note(&self) -> usize {
        let mut seen = self.seen.lock().unwrap();
        seen.push(&raw const *self as usize);
        seen.len()
    }
}

impl Future for Stays {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.note() <= self.wakes {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.ready { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Stays {
    fn drop(&mut self) {
        self.note();
    }
}

pub(crate) fn p19_the_address_is_stable(subject: &Subject) {
    let executor = subject.start();
    let handle = executor.handle();
    let stays = |wakes, ready| {
        let seen = Arc::new(Mutex::new(Vec::new()));
        (seen.clone(), wakes, handle.spawn(Stays { seen, wakes, ready, _pinned: PhantomPinned }))
    };
    let ready = [0, 1, 50].map(|wakes| stays(wakes, true));
    let resting = [stays(10, false), stays(10, false)];
    let mut all = Vec::new();
    executor.block_on(async {
        for (seen, wakes, task) in ready {
            task.await.unwrap();
            all.push((seen, wakes));
        }
        for (seen, wakes, _) in &resting {
            while seen.lock().unwrap().len() <= *wakes {
                yield_now().await;
            }
            all.push((seen.clone(), *wakes));
        }
        let [(_, _, aborted), _] = &resting;
        aborted.abort();
        finished(aborted).await;
    });
    drop(executor.shut_down());
    for (seen, wakes) in all {
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), wakes + 2, "polls and the drop");
        assert!(seen.iter().all(|address| *address == seen[0]), "it moved: {seen:x?}");
    }
}

pub(crate) fn p20_idle_costs_nothing(subject: &Subject) {
    /// Long enough for a timer or a spin to show, short enough for a test.
    const IDLE: Duration = Duration::from_millis(1_500);
    /// 0.1 %.
    const CPU: Duration = Duration::from_micros(1_500);
    /// On a machine that may be loaded.
    const TRIES: usize = 6;

    isolated(subject, "p20_idle_costs_nothing", || {
        let executor = subject.start();
        let (polls, gate) = (Tally::new(), Gate::new());
        // Threads that replace a blocked one are idle, too.
        let inner = executor.handle();
        let blocks = executor.handle().spawn(async move { inner.spawn(yield_now()).join() });
        executor.block_on(blocks).unwrap().unwrap();
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let (polls, gate) = (polls.clone(), gate.clone());
                executor.handle().spawn(counting(polls, async move { gate.opened().await }))
            })
            .collect();
        settle(&executor);
        // This thread waits in the executor. The other one lets time pass, measures, and ends the wait.
        let timer = thread::spawn({
            let (polls, gate) = (polls.clone(), gate.clone());
            move || {
                let _open = OnDrop::new(move || gate.open());
                let used = (0..TRIES).map(|_| {
                    thread::sleep(IDLE / 10);
                    let before = (polls.get(), cpu_time());
                    thread::sleep(IDLE);
                    let after = (polls.get(), cpu_time());
                    // Twenty tasks, and the future that is driven.
                    assert_eq!((before.0, after.0), (21, 21), "polls without a wake");
                    after.1 - before.1
                });
                least_until(CPU, used)
            }
        });
        executor.block_on(counting(polls.clone(), gate.opened()));
        executor.block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
        });
        let used = timer.join().unwrap();
        assert!(used <= CPU, "{used:?} of CPU in {IDLE:?} of idling");
    });
}

/// `future` with a count of its polls.
async fn counting<F: Future>(polls: Tally, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        polls.add();
        future.as_mut().poll(cx)
    })
    .await
}

/// The processor time that the threads of this process have used.
fn cpu_time() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task");
    let threads = threads.expect("CPU time is counted in /proc; leave the property out where there is none");
    let nanoseconds = threads.flatten().filter_map(|thread| {
        // A thread that ends meanwhile doesn't count.
        let schedule = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        schedule.split_whitespace().next()?.parse::<u64>().ok()
    });
    let used = nanoseconds.reduce(u64::saturating_add);
    Duration::from_nanos(used.expect("the system counts its threads' CPU time"))
}

pub(crate) fn p21_what_a_poll_wrote_is_visible_in_the_next(subject: &Subject) {
    const POLLS: u64 = 5_000;
    let executor = subject.start();
    // Not atomic: only the executor orders the polls, on whatever threads they are. Others keep the workers busy, so
    // that these tasks wander.
    let others: Vec<_> = (0..4).map(|_| executor.handle().spawn(polyexec_futures::count(POLLS))).collect();
    let tasks: Vec<_> = (1..=4)
        .map(|step| {
            let sum = Cell::new(0_u64);
            let mut history = Vec::new();
            executor.handle().spawn(poll_fn(move |cx| {
                let polls = history.len() as u64;
                assert_eq!(sum.get(), polls * step, "a poll doesn't see what the one before it wrote");
                history.push(sum.get());
                sum.set(sum.get() + step);
                if polls == POLLS {
                    return Poll::Ready(history.iter().sum::<u64>());
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            }))
        })
        .collect();
    executor.block_on(async {
        for (step, task) in (1..).zip(tasks) {
            assert_eq!(task.await.unwrap(), step * POLLS * (POLLS + 1) / 2);
        }
        for other in others {
            assert_eq!(other.await.unwrap(), POLLS);
        }
    });
}
