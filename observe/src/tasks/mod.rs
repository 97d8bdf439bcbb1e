//! The tasks that live, each with what it has done so far. `dump` reads them and says which are stuck.

use std::collections::HashMap;
use std::fmt;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use polyexec_core::TaskId;
use polyexec_core::observe::{End, Observer, PollOutcome, PollWaker, Spawned, TaskObserver, Wake};
use quanta::Clock;

use crate::shards::Shards;

pub use dump::{Dump, LiveTask, Stuck, TaskState};

mod dump;
mod text;

/// Knows the tasks that live, for [`dump`](Tasks::dump). An [`Observer`]; clones share what they know.
///
/// # What dropping does
///
/// Nothing while an executor has a clone.
///
/// # Examples
///
/// ```
/// use std::future::pending;
///
/// use polyexec_local::Local;
/// use polyexec_observe::{Tasks, TaskState};
///
/// let tasks = Tasks::new();
/// let local = Local::builder().observer(tasks.clone()).build();
/// let waits = local.spawn(pending::<()>());
/// local.run_until_stalled();
///
/// let dump = tasks.dump();
/// assert_eq!(dump.tasks()[0].id(), waits.id().get());
/// assert!(matches!(dump.tasks()[0].state(), TaskState::Idle { .. }));
/// // It left no waker behind.
/// assert_eq!(dump.stuck().len(), 1);
/// println!("{dump}");
/// ```
#[derive(Clone)]
pub struct Tasks(Arc<Shared>);

// No user code runs while what is shared changes.
impl UnwindSafe for Tasks {}
impl RefUnwindSafe for Tasks {}

struct Shared {
    clock: Clock,
    start: u64,
    live: Shards<HashMap<u64, Arc<Watched>>>,
}

impl Tasks {
    /// Knows no task yet.
    pub fn new() -> Self {
        let clock = Clock::new();
        Self(Arc::new(Shared { start: clock.raw(), clock, live: Shards::default() }))
    }

    /// The tasks that live, as they are now. The executors go on meanwhile, so two tasks may be seen at different moments.
    ///
    /// Holds up the spawns and ends of tasks for as long as it takes to copy a list.
    pub fn dump(&self) -> Dump {
        dump::read(&self.0)
    }
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let live: usize = self.0.live.all().map(|shard| shard.lock().len()).sum();
        f.debug_struct("Tasks").field("live", &live).finish()
    }
}

impl Shared {
    /// Ticks of the clock since the beginning, and one: zero stands for never.
    fn now(&self) -> u64 {
        self.clock.raw().wrapping_sub(self.start) + 1
    }
}

impl Observer for Tasks {
    fn spawned(&self, task: &Spawned<'_>) -> Option<Arc<dyn TaskObserver>> {
        let now = self.0.now();
        let watched = Arc::new(Watched {
            id: task.id().get(),
            name: task.name().map(Into::into),
            location: task.location(),
            parent: task.parent().map(TaskId::get),
            spawned: now,
            queued: AtomicU64::new(now),
            began: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            polls: AtomicU64::new(0),
            busy: AtomicU64::new(0),
            wakes: AtomicU64::new(0),
            woken_by: AtomicU64::new(0),
            wakers: AtomicU64::new(0),
            awaited: AtomicU64::new(0),
            awaited_by: AtomicU64::new(0),
            tasks: self.0.clone(),
        });
        self.0.live.of(watched.id).lock().insert(watched.id, watched.clone());
        Some(watched)
    }
}

/// The observer of one task. Times are [`Shared::now`]; zero: never, or not now.
///
/// All is Relaxed: a dump shows each number as it was at some moment, and nothing else is read by them.
struct Watched {
    id: u64,
    name: Option<Box<str>>,
    location: &'static Location<'static>,
    parent: Option<u64>,
    spawned: u64,
    /// When it was first made ready since its last poll began.
    queued: AtomicU64,
    /// When its last poll began.
    began: AtomicU64,
    /// When its last poll ended; zero while a poll is running.
    ended: AtomicU64,
    polls: AtomicU64,
    /// What its polls took that have ended.
    busy: AtomicU64,
    wakes: AtomicU64,
    /// The task that woke it last; zero: the waker was called outside of tasks.
    woken_by: AtomicU64,
    /// Clones of its waker.
    wakers: AtomicU64,
    /// When its handle was polled last, before the task's end.
    awaited: AtomicU64,
    /// In which task; zero: outside of tasks.
    awaited_by: AtomicU64,
    tasks: Arc<Shared>,
}

impl Watched {
    fn make_ready(&self) {
        if self.queued.load(Relaxed) == 0 {
            self.queued.store(self.tasks.now(), Relaxed);
        }
    }
}

impl TaskObserver for Watched {
    fn poll_began(&self) -> PollWaker {
        // One thread at a time polls the task.
        self.polls.store(self.polls.load(Relaxed) + 1, Relaxed);
        self.ended.store(0, Relaxed);
        self.began.store(self.tasks.now(), Relaxed);
        self.queued.store(0, Relaxed);
        PollWaker::Usual
    }

    fn poll_ended(&self, outcome: PollOutcome) {
        let now = self.tasks.now();
        let took = now.saturating_sub(self.began.load(Relaxed));
        self.busy.store(self.busy.load(Relaxed) + took, Relaxed);
        self.ended.store(now, Relaxed);
        if outcome == PollOutcome::WokeItself {
            self.make_ready();
        }
    }

    fn woken(&self, wake: Wake) {
        self.wakes.fetch_add(1, Relaxed);
        self.woken_by.store(wake.by().map_or(0, TaskId::get), Relaxed);
        self.make_ready();
    }

    fn waker_cloned(&self) {
        self.wakers.fetch_add(1, Relaxed);
    }

    fn waker_dropped(&self) {
        self.wakers.fetch_sub(1, Relaxed);
    }

    fn awaited(&self, by: Option<TaskId>) {
        self.awaited_by.store(by.map_or(0, TaskId::get), Relaxed);
        self.awaited.store(self.tasks.now(), Relaxed);
    }

    fn handle_dropped(&self) {
        self.awaited.store(0, Relaxed);
    }

    fn ended(&self, _end: End) {
        self.tasks.live.of(self.id).lock().remove(&self.id);
    }
}
