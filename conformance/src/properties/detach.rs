//! Properties 31 to 33: detaching.

use std::mem;
use std::sync::{Arc, Mutex};
use std::thread;

use polyexec_core::{Executor, JoinHandle};
use polyexec_futures::yield_now;

use crate::probe::{Gate, Meeting, OnDrop, Rng, Tally, Trace, carrying, finished, on_foreign_thread, poll_with, waker};
use crate::{Fixture, Subject};

pub(crate) fn p31_dropping_the_handle_at_any_moment_and_place_detaches(subject: &Subject) {
    const DETACHED: [&str; 4] = ["begins", "ends", "future dropped", "output dropped"];

    for place in [Place::Here, Place::Task, Place::ForeignThread] {
        for moment in [Moment::AtOnce, Moment::AtRest, Moment::Finished] {
            let executor = subject.start();
            let observed = Observed::new();
            let go = Gate::new();
            let handle = observed.spawn(&executor, {
                let go = go.clone();
                async move { go.opened().await }
            });
            match moment {
                Moment::AtOnce => {}
                Moment::AtRest => executor.block_on(observed.begun.opened()),
                Moment::Finished => {
                    go.open();
                    executor.block_on(finished(&handle));
                    assert_eq!(observed.trace, &DETACHED[..3], "{place:?}: the handle keeps the output");
                }
            }
            place.drop_handle(&executor, handle);
            go.open();
            executor.block_on(observed.gone.opened());
            drop(executor.shut_down());
            assert_eq!(observed.trace, DETACHED, "{place:?}, {moment:?}");
        }
    }
    detach_during_a_poll(subject);
}

fn detach_during_a_poll(subject: &Subject) {
    const DETACHED: [&str; 5] = ["begins", "detached", "ends", "future dropped", "output dropped"];

    let executor = subject.start();
    let observed = Observed::new();
    let (given, own) = (Gate::new(), Arc::new(Mutex::new(None)));
    let handle = observed.spawn(&executor, {
        let (trace, given, own) = (observed.trace.clone(), given.clone(), own.clone());
        async move {
            given.opened().await;
            drop(own.lock().unwrap().take());
            trace.log("detached");
            yield_now().await;
        }
    });
    *own.lock().unwrap() = Some(handle);
    given.open();
    executor.block_on(observed.gone.opened());
    drop(executor.shut_down());
    assert_eq!(observed.trace, DETACHED, "by the task itself");

    let executor = subject.start();
    let observed = Observed::new();
    let (polling, detached) = (Gate::new(), Gate::new());
    let handle = observed.spawn(&executor, {
        let (polling, detached) = (polling.clone(), detached.clone());
        async move {
            polling.open();
            detached.wait();
            yield_now().await;
        }
    });
    let trace = observed.trace.clone();
    on_foreign_thread(&executor, move |_| {
        polling.wait();
        drop(handle);
        trace.log("detached");
        detached.open();
    });
    executor.block_on(observed.gone.opened());
    drop(executor.shut_down());
    assert_eq!(observed.trace, DETACHED, "by a foreign thread");
}

pub(crate) fn p32_a_detached_output_is_dropped_exactly_once(subject: &Subject) {
    const SEED: u64 = 32;
    const TASKS: usize = 4_000;

    let executor = subject.start();
    let drops: Vec<Tally> = (0..TASKS).map(|_| Tally::new()).collect();
    let outputs = drops.clone();
    on_foreign_thread(&executor, move |executor| {
        let mut rng = Rng::new(SEED);
        for drops in outputs {
            let meeting = Meeting::of(2);
            let task = {
                let (meeting, output, mut rng) = (meeting.clone(), drops.on_drop(), rng.fork());
                executor.spawn(async move {
                    meeting.attend();
                    rng.linger();
                    output
                })
            };
            meeting.attend();
            match rng.below(3) {
                0 => {}
                1 => rng.linger(),
                _ => {
                    while !task.is_finished() {
                        thread::yield_now();
                    }
                    assert_eq!(drops.get(), 0, "seed {SEED}: the output was dropped while its handle lived");
                }
            }
            drop(task);
        }
    });
    drop(executor.shut_down());
    let wrong: Vec<_> = drops.iter().map(Tally::get).enumerate().filter(|(_, drops)| *drops != 1).collect();
    assert!(wrong.is_empty(), "seed {SEED}: outputs, and how often they were dropped: {wrong:?}");
}

pub(crate) fn p33_a_forgotten_handle_leaks_the_cell_at_most(subject: &Subject) {
    const TASKS: usize = 100;

    let executor = subject.start();
    let (futures, wakers, ended) = (Tally::new(), Tally::new(), Tally::new());
    let go = Gate::new();
    for number in 0..TASKS {
        let (go, ended) = (go.clone(), ended.clone());
        let mut handle = executor.handle().spawn(carrying(futures.on_drop(), async move {
            go.opened().await;
            ended.add();
            if number % 2 == 0 {
                std::future::pending().await
            }
        }));
        let dropped = Mutex::new(wakers.on_drop());
        let joiner = waker(move || {
            let _dropped_with_the_waker = &dropped;
        });
        assert!(poll_with(&mut handle, &joiner).is_pending());
        // If it is forgotten, a handle that aborts on drop is like any other.
        match number % 3 {
            0 => mem::forget(handle.abort_on_drop()),
            _ => mem::forget(handle),
        }
    }
    go.open();
    executor.block_on(async {
        while ended.get() < TASKS || futures.get() < TASKS / 2 {
            yield_now().await;
        }
    });
    assert_eq!(futures.get(), TASKS / 2, "one half of the tasks is ready, the other rests");
    let handle = executor.shut_down();
    assert_eq!(futures.get(), TASKS, "futures that are left, or were dropped twice");
    assert_eq!(wakers.get(), TASKS, "joiners' wakers that are left, or were dropped twice");
    let cells = Arc::strong_count(&handle) - 1;
    assert!(cells <= TASKS, "{TASKS} handles were forgotten, and {cells} cells leak");
}

/// Where a handle is dropped.
#[derive(Clone, Copy, Debug)]
enum Place {
    Here,
    Task,
    ForeignThread,
}

impl Place {
    fn drop_handle(self, executor: &Fixture, handle: JoinHandle<OnDrop>) {
        match self {
            Self::Here => drop(handle),
            Self::Task => {
                let dropper = executor.handle().spawn(async move { drop(handle) });
                executor.block_on(dropper).expect("dropping a handle doesn't fail");
            }
            Self::ForeignThread => on_foreign_thread(executor, move |_| drop(handle)),
        }
    }
}

/// When a handle is dropped.
#[derive(Clone, Copy, Debug)]
enum Moment {
    AtOnce,
    AtRest,
    Finished,
}

/// A task that reports its life.
struct Observed {
    trace: Trace,
    begun: Gate,
    /// Opens when the output is dropped.
    gone: Gate,
}

impl Observed {
    fn new() -> Self {
        Self { trace: Trace::new(), begun: Gate::new(), gone: Gate::new() }
    }

    fn spawn(&self, executor: &Fixture, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<OnDrop> {
        let (trace, begun, gone) = (self.trace.clone(), self.begun.clone(), self.gone.clone());
        executor.handle().spawn(carrying(trace.on_drop("future dropped"), async move {
            trace.log("begins");
            begun.open();
            work.await;
            trace.log("ends");
            OnDrop::new(move || {
                trace.log("output dropped");
                gone.open();
            })
        }))
    }
}
