//! A flight recorder: the last events of each thread, in bounded memory. `ring` keeps the events, `tasks` the names, and
//! `recording` puts both together.

use std::cell::RefCell;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::time::Duration;

use polyexec_core::observe::{End, Observer, PollOutcome, PollWaker, Spawned, TaskObserver, Wake, WorkerEvent};
use quanta::Clock;

use record::Record;
use ring::Ring;
use tasks::Tasks;
use threads::Threads;

pub use recording::{Event, EventKind, Lane, Recording, TaskSummary};

mod record;
mod recording;
mod ring;
mod tasks;
mod text;
mod threads;

/// Records what tasks and workers do: the last events of each thread. An [`Observer`]; clones share the record.
///
/// Each thread has room for a number of events of 16 bytes, and overwrites its oldest ones. So it may record for as long as the
/// program runs; [`snapshot`](Timeline::snapshot) reads what is there. A poll is one event, a wake by the task itself is part of its
/// poll, and each other wake, spawn and end is an event.
///
/// A thread that ends leaves its events until a new thread needs the room.
///
/// # What dropping does
///
/// Nothing while an executor has a clone.
///
/// # Examples
///
/// ```
/// use polyexec_futures::count;
/// use polyexec_local::Local;
/// use polyexec_observe::{EventKind, Timeline};
///
/// let timeline = Timeline::new();
/// let local = Local::builder().observer(timeline.clone()).build();
/// let task = local.spawn(count(3));
/// local.block_on(task).unwrap();
///
/// let recording = timeline.snapshot();
/// let polls = recording.events().iter().filter(|event| matches!(event.kind(), EventKind::Polled { .. }));
/// assert_eq!(polls.count(), 3);
/// println!("{recording}");
/// ```
#[derive(Clone)]
pub struct Timeline(Arc<Shared>);

// No user code runs while what is shared changes.
impl UnwindSafe for Timeline {}
impl RefUnwindSafe for Timeline {}

struct Shared {
    clock: Clock,
    /// The clock's reading at the beginning.
    start: u64,
    threads: Threads,
    tasks: Tasks,
}

/// Configures a [`Timeline`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct TimelineBuilder {
    events_per_thread: usize,
    ended_tasks: usize,
}

impl Timeline {
    /// A timeline with room for 65,536 events a thread (1 MiB), and for as many ended tasks.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Configures a timeline.
    pub fn builder() -> TimelineBuilder {
        TimelineBuilder { events_per_thread: 1 << 16, ended_tasks: 1 << 16 }
    }

    /// What was recorded so far. The threads go on recording meanwhile.
    ///
    /// A poll that is running isn't among the events: [`TaskSummary::running_since`] tells of it.
    pub fn snapshot(&self) -> Recording {
        recording::read(&self.0)
    }
}

impl TimelineBuilder {
    /// The events that each thread has room for. Rounded up to a power of two; at least two.
    pub fn events_per_thread(mut self, events: usize) -> Self {
        self.events_per_thread = events;
        self
    }

    /// The ended tasks whose names and places are kept for the events that are left of them. All live tasks are kept.
    pub fn ended_tasks(mut self, tasks: usize) -> Self {
        self.ended_tasks = tasks;
        self
    }

    /// Makes the timeline, whose time begins now.
    pub fn build(self) -> Timeline {
        const MAX_EVENTS: usize = 1 << 32;
        let clock = Clock::new();
        Timeline(Arc::new(Shared {
            start: clock.raw(),
            clock,
            threads: Threads::new(self.events_per_thread.clamp(2, MAX_EVENTS).next_power_of_two()),
            tasks: Tasks::new(self.ended_tasks),
        }))
    }
}

impl Default for Timeline {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeline").finish_non_exhaustive()
    }
}

impl Shared {
    /// Ticks of the clock since the beginning.
    #[inline]
    fn now(&self) -> u64 {
        self.clock.raw().wrapping_sub(self.start)
    }

    fn duration(&self, ticks: u64) -> Duration {
        Duration::from_nanos(self.clock.delta_as_nanos(0, ticks))
    }
}

thread_local! {
    /// This thread's rings: one for each timeline that has seen it. Most threads have one or none.
    static RINGS: RefCell<Vec<ThreadRing>> = const { RefCell::new(Vec::new()) };
}

/// A ring, while its thread writes to it.
///
/// # What dropping does
///
/// Gives the ring back, with its events.
struct ThreadRing {
    timeline: Weak<Shared>,
    ring: Arc<Ring>,
}

impl Drop for ThreadRing {
    fn drop(&mut self) {
        if let Some(timeline) = self.timeline.upgrade() {
            timeline.threads.give_back(self.ring.clone());
        }
    }
}

/// Notes an event of this thread. While the thread's locals are being destroyed, the event is lost.
#[inline]
fn push(timeline: &Arc<Shared>, now: u64, record: Record) {
    let event = record.pack(now);
    let _lost = RINGS.try_with(|rings| {
        let rings = rings.borrow();
        match rings.iter().find(|mine| std::ptr::eq(mine.timeline.as_ptr(), &**timeline)) {
            Some(mine) => mine.ring.push(event),
            None => {
                drop(rings);
                begin(timeline, now).push(event);
            }
        }
    });
}

/// Takes a ring for this thread.
#[cold]
fn begin(timeline: &Arc<Shared>, now: u64) -> Arc<Ring> {
    let (number, ring) = timeline.threads.take();
    ring.push(Record::Thread { number }.pack(now));
    RINGS.with(|rings| {
        let mut rings = rings.borrow_mut();
        rings.retain(|mine| mine.timeline.strong_count() > 0);
        rings.push(ThreadRing { timeline: Arc::downgrade(timeline), ring: ring.clone() });
    });
    ring
}

impl Observer for Timeline {
    fn spawned(&self, task: &Spawned<'_>) -> Option<Arc<dyn TaskObserver>> {
        let now = self.0.now();
        let watched = Arc::new(Watched { task: task.id().get(), began: AtomicU64::new(0), timeline: self.0.clone() });
        self.0.tasks.insert(task, &watched);
        push(&self.0, now, Record::Spawned { task: watched.task });
        Some(watched)
    }

    fn worker(&self, worker: usize, event: WorkerEvent) {
        push(&self.0, self.0.now(), Record::Worker { worker: worker as u64, event });
    }
}

/// The observer of one task.
struct Watched {
    task: u64,
    /// When the poll began that is running, and one; zero: none is.
    began: AtomicU64,
    timeline: Arc<Shared>,
}

impl TaskObserver for Watched {
    fn poll_began(&self) -> PollWaker {
        // Relaxed, here and below: the same thread ends the poll, and others only show the value.
        self.began.store(self.timeline.now() + 1, Relaxed);
        PollWaker::Usual
    }

    fn poll_ended(&self, outcome: PollOutcome) {
        let began = self.began.load(Relaxed).saturating_sub(1);
        self.began.store(0, Relaxed);
        let ticks = self.timeline.now().saturating_sub(began);
        push(&self.timeline, began, Record::Polled { task: self.task, outcome, ticks });
    }

    fn woken(&self, wake: Wake) {
        // That is part of the poll's event.
        if wake.effect() != polyexec_core::observe::WakeEffect::OwnPoll {
            push(&self.timeline, self.timeline.now(), Record::Woken { task: self.task, effect: wake.effect() });
        }
    }

    fn ended(&self, end: End) {
        push(&self.timeline, self.timeline.now(), Record::Ended { task: self.task, end });
        self.timeline.tasks.end(self.task);
    }
}
