//! Properties 100 to 104: what an observer is told.

use std::future::{pending, poll_fn, ready};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::*};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use polyexec_core::observe::{
    End, Observer, PollOutcome, PollWaker, Spawned, TaskObserver, Wake, WakeEffect, WorkerEvent,
};
use polyexec_core::{Executor, TaskId, task};
use polyexec_futures::{Counter, yield_now};

use crate::Subject;
use crate::observed::{Event, Notes, Observed};
use crate::probe::{Gate, Planned, Sleeper, WakerSlot, hush};

/// Polls and the end.
fn of_life(event: &Event) -> bool {
    matches!(event, Event::Spawned { .. } | Event::PollBegan | Event::PollEnded(_) | Event::Ended(_))
}

fn one_poll(outcome: PollOutcome) -> [Event; 2] {
    [Event::PollBegan, Event::PollEnded(outcome)]
}

pub(crate) fn p100_an_observer_sees_every_poll_and_the_end(subject: &Subject) {
    const MAX: u64 = 4;
    hush();
    let executor = subject.start();
    let notes = Notes::default();
    let observed = Observed::new(executor.handle(), notes.clone());

    let counter = observed.spawn(Counter::new(MAX));
    let id = counter.id();
    executor.block_on(counter).unwrap();
    let mut expected = vec![Event::Spawned { parent: None }];
    for _ in 1..MAX {
        expected.extend(one_poll(PollOutcome::WokeItself));
    }
    expected.extend(one_poll(PollOutcome::Ready));
    expected.push(Event::Ended(End::Ready));
    assert_eq!(notes.of(id, of_life), expected);

    // A task's children name it, and a task that waits has polls that are pending.
    let spawns = observed.clone();
    let parent = observed.spawn(async move {
        let child = spawns.spawn(yield_now());
        let id = child.id();
        child.await.unwrap();
        id
    });
    let id = parent.id();
    let child = executor.block_on(parent).unwrap();
    assert_eq!(notes.of(child, |event| matches!(event, Event::Spawned { .. })), [Event::Spawned { parent: Some(id) }]);
    let last = notes.of(id, of_life).len() - 1;
    assert_eq!(notes.of(id, of_life)[last], Event::Ended(End::Ready));

    // Each end has its reason.
    let sleeper = Sleeper::new();
    let idle = observed.spawn(sleeper.future());
    executor.block_on(sleeper.polled(1));
    idle.abort();
    let id = idle.id();
    executor.block_on(idle).unwrap_err();
    let mut expected = vec![Event::Spawned { parent: None }];
    expected.extend(one_poll(PollOutcome::Pending));
    expected.push(Event::Ended(End::Aborted));
    assert_eq!(notes.of(id, of_life), expected);

    let left = observed.spawn(pending::<()>());
    let id = left.id();
    let handle = executor.shut_down();
    left.join().unwrap_err();
    assert_eq!(notes.of(id, of_life).last(), Some(&Event::Ended(End::ShutDown)));

    let observed = Observed::new(handle, notes.clone());
    let refused = observed.spawn(ready(()));
    let id = refused.id();
    refused.join().unwrap_err();
    let ended = notes.of(id, of_life);
    assert_eq!(ended[0], Event::Spawned { parent: None });
    assert!(matches!(ended[1..], [Event::Ended(End::ShutDown | End::Refused)]), "{ended:?}");
    observed.try_spawn(ready(())).unwrap_err();
}

pub(crate) fn p101_an_observer_sees_a_panic(subject: &Subject) {
    hush();
    let executor = subject.start();
    let notes = Notes::default();
    let observed = Observed::new(executor.handle(), notes.clone());
    let panics = observed.spawn(async { std::panic::panic_any(Planned) });
    let id = panics.id();
    assert!(executor.block_on(panics).unwrap_err().is_panic());
    let mut expected = vec![Event::Spawned { parent: None }];
    expected.extend(one_poll(PollOutcome::Panicked));
    expected.push(Event::Ended(End::Panicked));
    assert_eq!(notes.of(id, of_life), expected);
}

pub(crate) fn p102_an_observer_sees_every_wake_and_who_waits(subject: &Subject) {
    let executor = subject.start();
    let notes = Notes::default();
    let observed = Observed::new(executor.handle(), notes.clone());
    let wakes = |id| notes.of(id, |event| matches!(event, Event::Woken(_)));
    let told = |event: Event| match event {
        Event::Woken(wake) => (wake.effect(), wake.by()),
        other => panic!("{other:?}"),
    };

    // From outside. A wake may come before the poll has quite ended, so once isn't enough.
    let sleeper = Sleeper::new();
    let idle = observed.spawn(sleeper.future());
    let id = idle.id();
    for polls in 1.. {
        executor.block_on(sleeper.polled(polls));
        crate::probe::settle(&executor);
        sleeper.waker().wake_by_ref();
        let last = *wakes(id).last().expect("it was woken");
        if told(last) == (WakeEffect::Queued, None) {
            break;
        }
        assert_eq!(told(last), (WakeEffect::Noted, None));
    }

    // By a task, which is named.
    let before = wakes(id).len();
    executor.block_on(sleeper.polled(before + 1));
    sleeper.end();
    let waker = sleeper.waker();
    let waking = observed.spawn(async move { waker.wake() });
    let by = waking.id();
    executor.block_on(waking).unwrap();
    assert_eq!(told(wakes(id)[before]).1, Some(by));
    executor.block_on(idle).unwrap();
    sleeper.waker().wake_by_ref();
    assert_eq!(told(wakes(id)[before + 1]), (WakeEffect::Noted, None));

    // By itself.
    let yields = observed.spawn(yield_now());
    let id = yields.id();
    executor.block_on(yields).unwrap();
    assert_eq!(wakes(id).into_iter().map(told).collect::<Vec<_>>(), [(WakeEffect::OwnPoll, Some(id))]);

    // Who waits for whom, and whose handle is gone.
    let go = Gate::new();
    let opened = go.clone();
    let awaited = observed.spawn(async move { opened.opened().await });
    let awaited_id = awaited.id();
    let waits = observed.spawn(awaited);
    let id = waits.id();
    let of_handle = |event: &Event| matches!(event, Event::Awaited(_) | Event::HandleDropped);
    while !notes.of(awaited_id, of_handle).contains(&Event::Awaited(Some(id))) {
        executor.block_on(yield_now());
    }
    go.open();
    executor.block_on(waits).unwrap().unwrap();
    assert_eq!(notes.of(awaited_id, of_handle).last(), Some(&Event::HandleDropped));

    // In the end, as many wakers were dropped as cloned.
    let slot = WakerSlot::new();
    let kept = slot.clone();
    let keeps = observed.spawn(poll_fn(move |cx| {
        let [one, other, third] = [(); 3].map(|()| cx.waker().clone());
        one.wake();
        drop(other);
        match kept.put(third) {
            Some(_before) => Poll::Ready(()),
            None => Poll::Pending,
        }
    }));
    let id = keeps.id();
    executor.block_on(keeps).unwrap();
    drop(slot.take());
    let count = |event| notes.of(id, |found| *found == event).len();
    assert_eq!(count(Event::WakerCloned), 6);
    assert_eq!(count(Event::WakerDropped), 6);
}

/// Panics in each method, and where a task's observer is dropped.
struct Panics {
    panics: Arc<AtomicU32>,
    is_of_task: bool,
}

impl Panics {
    fn panic(&self) -> ! {
        self.panics.fetch_add(1, Relaxed);
        std::panic::panic_any(Planned)
    }
}

impl Observer for Panics {
    fn spawned(&self, task: &Spawned<'_>) -> Option<Arc<dyn TaskObserver>> {
        if task.name().is_none() {
            self.panic();
        }
        Some(Arc::new(Self { panics: self.panics.clone(), is_of_task: true }))
    }

    fn worker(&self, _worker: usize, _event: WorkerEvent) {
        self.panic();
    }
}

impl TaskObserver for Panics {
    fn poll_began(&self) -> PollWaker {
        self.panic()
    }

    fn poll_ended(&self, _outcome: PollOutcome) {
        self.panic();
    }

    fn woken(&self, _wake: Wake) {
        self.panic();
    }

    fn waker_cloned(&self) {
        self.panic();
    }

    fn waker_dropped(&self) {
        self.panic();
    }

    fn awaited(&self, _by: Option<TaskId>) {
        self.panic();
    }

    fn handle_dropped(&self) {
        self.panic();
    }

    fn ended(&self, _end: End) {
        self.panic();
    }
}

impl Drop for Panics {
    fn drop(&mut self) {
        if self.is_of_task && !std::thread::panicking() {
            self.panic();
        }
    }
}

pub(crate) fn p103_an_observer_that_panics_harms_nobody(subject: &Subject) {
    hush();
    let executor = subject.start();
    let (panics, notes) = (Arc::new(AtomicU32::new(0)), Notes::default());
    // It is one of two: the other one is told all the same.
    let observed =
        Observed::new(executor.handle(), (Panics { panics: panics.clone(), is_of_task: false }, notes.clone()));

    let unobserved = observed.spawn(Counter::new(2));
    let id = unobserved.id();
    executor.block_on(unobserved).unwrap();
    assert_eq!(notes.of(id, of_life).last(), Some(&Event::Ended(End::Ready)));
    assert_eq!(panics.load(Relaxed), 1, "it observes no task whose spawn panicked in it");

    let go = Gate::new();
    let opened = go.clone();
    let waits = task::Builder::new().name("waits").spawn_on(&observed, async move {
        yield_now().await;
        opened.opened().await;
        7
    });
    let id = waits.id();
    let joins = task::Builder::new().name("joins").spawn_on(&observed, waits);
    crate::probe::settle(&executor);
    go.open();
    assert_eq!(executor.block_on(joins).unwrap().unwrap(), 7);
    assert_eq!(notes.of(id, of_life).last(), Some(&Event::Ended(End::Ready)));
    assert!(panics.load(Relaxed) > 10, "it was told of little: {panics:?}");

    let never = task::Builder::new().name("never").spawn_on(&observed, pending::<()>());
    drop(executor.shut_down());
    assert!(never.join().unwrap_err().is_shutdown());
}

/// Asks for a fresh waker once told to, and counts clones.
#[derive(Clone, Default)]
struct Asks(Arc<Asked>);

#[derive(Default)]
struct Asked {
    wants: AtomicBool,
    clones: AtomicU32,
}

impl Observer for Asks {
    fn spawned(&self, _task: &Spawned<'_>) -> Option<Arc<dyn TaskObserver>> {
        Some(Arc::new(self.clone()))
    }
}

impl TaskObserver for Asks {
    fn poll_began(&self) -> PollWaker {
        if self.0.wants.swap(false, AcqRel) { PollWaker::Fresh } else { PollWaker::Usual }
    }

    fn waker_cloned(&self) {
        self.0.clones.fetch_add(1, AcqRel);
    }
}

pub(crate) fn p104_a_fresh_waker_is_cloned_anew(subject: &Subject) {
    let executor = subject.start();
    let asks = Asks::default();
    let observed = Observed::new(executor.handle(), asks.clone());
    let (slot, polls) = (Arc::new(Mutex::new(None::<Waker>)), Arc::new(AtomicU32::new(0)));
    let (keeps, counts) = (slot.clone(), polls.clone());
    // As any leaf: clones the waker only if it doesn't have it already.
    let leaf = observed.spawn(poll_fn(move |cx| {
        let mut kept = keeps.lock().unwrap();
        if !kept.as_ref().is_some_and(|kept| kept.will_wake(cx.waker())) {
            *kept = Some(cx.waker().clone());
        }
        if counts.fetch_add(1, AcqRel) < 3 { Poll::Pending } else { Poll::Ready(()) }
    }));
    let polled = |times| {
        while polls.load(Acquire) < times {
            executor.block_on(yield_now());
        }
        crate::probe::settle(&executor);
    };
    let wake = || slot.lock().unwrap().clone().expect("the leaf keeps it").wake();
    // Each call of `wake` clones once more.
    polled(1);
    assert_eq!(asks.0.clones.load(Acquire), 1);
    wake();
    polled(2);
    assert_eq!(asks.0.clones.load(Acquire), 2, "the same waker was cloned twice");
    asks.0.wants.store(true, Release);
    wake();
    polled(3);
    assert_eq!(asks.0.clones.load(Acquire), 4, "a fresh waker wasn't cloned");
    // What was cloned from it is the task's usual waker.
    wake();
    executor.block_on(leaf).unwrap();
    assert_eq!(asks.0.clones.load(Acquire), 5, "the usual waker was cloned anew");
}
