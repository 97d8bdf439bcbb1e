//! Properties 75 to 78: large numbers.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Instant;

use polyexec_core::{AbortOnDrop, Executor, JoinHandle};
use polyexec_futures::yield_now;

use crate::Subject;
use crate::probe::{Gate, Marked, Rng, Tally, carrying};
use crate::run::PATIENCE;

/// Many tasks that wait for each other. (A [`Gate`] searches its whole list for each new waiter.)
#[derive(Default)]
struct Crowd {
    waiting: Mutex<Vec<Waker>>,
    open: AtomicBool,
}

/// A member of a [`Crowd`]: ready with its number once the crowd is released.
struct Member {
    crowd: Arc<Crowd>,
    number: u64,
    waits: bool,
}

impl Future for Member {
    type Output = u64;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u64> {
        if !std::mem::replace(&mut self.waits, true) {
            self.crowd.waiting.lock().unwrap().push(cx.waker().clone());
            return Poll::Pending;
        }
        assert!(self.crowd.open.load(Acquire), "a task was polled without a wake");
        Poll::Ready(self.number)
    }
}

pub(crate) fn p75_a_million_live_tasks_complete(subject: &Subject) {
    const TASKS: u64 = 1_000_000;
    let executor = subject.start();
    let crowd = Arc::new(Crowd::default());
    let member = |number| Member { crowd: crowd.clone(), number, waits: false };
    let handles: Vec<_> = (0..TASKS).map(|number| executor.handle().spawn(member(number))).collect();
    let sum = executor.block_on(async {
        while (crowd.waiting.lock().unwrap().len() as u64) < TASKS {
            yield_now().await;
        }
        crowd.open.store(true, Release);
        let waiting = std::mem::take(&mut *crowd.waiting.lock().unwrap());
        waiting.into_iter().for_each(Waker::wake);
        let mut sum = 0;
        for handle in handles {
            sum += handle.await.unwrap();
        }
        sum
    });
    assert_eq!(sum, TASKS * (TASKS - 1) / 2);
}

/// Counts its polls. Ready when all wakes were made.
struct Woken {
    wakes: Arc<AtomicUsize>,
    polls: usize,
    waker: Arc<OnceLock<Waker>>,
    started: Gate,
}

const WAKES: usize = 100_000;

impl Future for Woken {
    type Output = usize;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        self.polls += 1;
        self.waker.get_or_init(|| cx.waker().clone());
        // Before the others may begin, so that the first poll is never the last one.
        let all_made = self.wakes.load(Acquire) == WAKES;
        self.started.open();
        if all_made { Poll::Ready(self.polls) } else { Poll::Pending }
    }
}

pub(crate) fn p76_a_task_is_woken_100_000_times_from_8_threads(subject: &Subject) {
    const THREADS: usize = 8;
    let executor = subject.start();
    let (wakes, waker, started) = (Arc::new(AtomicUsize::new(0)), Arc::new(OnceLock::new()), Gate::new());
    let task = executor.handle().spawn(Woken {
        wakes: wakes.clone(),
        polls: 0,
        waker: waker.clone(),
        started: started.clone(),
    });
    executor.block_on(started.opened());
    let threads: Vec<_> = (0..THREADS)
        .map(|number| {
            let (wakes, waker) = (wakes.clone(), waker.clone());
            thread::spawn(move || {
                let waker = waker.get().expect("the task has started");
                for n in 0..WAKES / THREADS {
                    wakes.fetch_add(1, Release);
                    if (n + number) % 2 == 0 { waker.wake_by_ref() } else { Waker::wake(waker.clone()) }
                }
            })
        })
        .collect();
    // If the last wake were lost, this would wait for ever.
    let polls = executor.block_on(task).unwrap();
    assert!((2..=WAKES + 1).contains(&polls), "{WAKES} wakes brought {polls} polls");
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// Spawns the next task, and is ready.
struct Link {
    executor: Arc<dyn Executor>,
    left: u64,
    over: Gate,
}

impl Future for Link {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        let Self { executor, left, over } = &*self;
        match left.checked_sub(1) {
            Some(left) => drop(executor.spawn(Self { executor: executor.clone(), left, over: over.clone() })),
            None => over.open(),
        }
        Poll::Ready(())
    }
}

pub(crate) fn p77_a_spawn_chain_a_million_deep(subject: &Subject) {
    const DEPTH: u64 = 1_000_000;
    let executor = subject.start();
    let over = Gate::new();
    drop(executor.handle().spawn(Link { executor: executor.handle(), left: DEPTH, over: over.clone() }));
    executor.block_on(over.opened());
}

/// A chain of live tasks: each future owns the handle of the next.
type Next = Arc<OnceLock<AbortOnDrop<()>>>;

pub(crate) fn p77_a_chain_of_100_000_handles_is_dropped(subject: &Subject) {
    const LENGTH: usize = 100_000;
    for end in ["aborted", "shut down"] {
        let executor = subject.start();
        let (dropped, polled) = (Tally::new(), Tally::new());
        let mut nexts: Vec<Next> = (0..LENGTH).map(|_| Next::default()).collect();
        let mut head = None;
        let mut handles: Vec<JoinHandle<()>> = (0..LENGTH)
            .map(|n| executor.handle().spawn(carrying((dropped.on_drop(), nexts[n].clone()), rest(polled.clone()))))
            .collect();
        for (n, handle) in handles.drain(..).enumerate() {
            let handle = handle.abort_on_drop();
            match n.checked_sub(1) {
                Some(before) => nexts[before].set(handle).expect("it is set once"),
                None => head = Some(handle),
            }
        }
        // From here on each handle belongs to the future before it.
        nexts.clear();
        executor.block_on(async {
            while polled.get() < LENGTH {
                yield_now().await;
            }
            if end == "aborted" {
                drop(head.take());
                while dropped.get() < LENGTH {
                    yield_now().await;
                }
            }
        });
        executor.shut_down();
        assert_eq!(dropped.get(), LENGTH, "futures dropped, {end}");
    }
}

/// Counts its first poll, and is idle then.
fn rest(polled: Tally) -> impl Future<Output = ()> + Send + 'static {
    let mut first = true;
    std::future::poll_fn(move |_| {
        if std::mem::take(&mut first) {
            polled.add();
        }
        Poll::Pending
    })
}

pub(crate) fn p78_cells_return_to_zero(subject: &Subject) {
    const TASKS: usize = 20_000;
    /// How many tasks live at a time: each has a thread, on some executors.
    const BATCH: usize = 200;
    let executor = subject.start();
    let (made, freed) = (Tally::new(), Tally::new());
    let marked = {
        let (made, freed) = (made.clone(), freed.clone());
        Marked::new(executor.handle(), move || {
            made.add();
            freed.on_drop()
        })
    };
    let mut rng = Rng::new(78);
    executor.block_on(async {
        for _ in 0..TASKS / BATCH {
            let batch: Vec<_> = (0..BATCH).map(|_| live_and_die(&marked, &mut rng)).collect();
            for handle in batch.into_iter().flatten() {
                assert!(handle.await.is_ok_and(|output| output == [7; 100]));
            }
        }
        // The executor lives on, and keeps no ended task. The thread that ran the last one may still hold that.
        let patience = Instant::now() + PATIENCE / 4;
        while freed.get() < made.get() && Instant::now() < patience {
            yield_now().await;
        }
    });
    assert_eq!((made.get(), freed.get()), (TASKS, TASKS), "cells made, and cells freed before the shutdown");
    let rests = |_| marked.spawn(rest(Tally::new()));
    let left: Vec<_> = (0..BATCH).map(rests).collect();
    executor.shut_down();
    drop(left);
    assert_eq!(freed.get(), TASKS + BATCH, "cells freed after the shutdown, of {}", made.get());
}

/// Spawns a task that ends in one of several ways. Returns the handle if it will return the output.
fn live_and_die(executor: &Marked, rng: &mut Rng) -> Option<JoinHandle<[u8; 100]>> {
    let output = async || {
        yield_now().await;
        [7; 100]
    };
    match rng.below(4) {
        0 => Some(executor.spawn(async move { output().await })),
        1 => {
            drop(executor.spawn(async move { output().await }));
            None
        }
        2 => {
            executor.spawn(rest(Tally::new())).abort();
            None
        }
        _ => {
            let abort = executor.spawn(rest(Tally::new())).abort_handle();
            thread::spawn(move || abort.abort()).join().unwrap();
            None
        }
    }
}
