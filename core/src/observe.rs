//! Watches what an executor and its tasks do: what an observer is told. Records nothing itself.
//!
//! An executor whose builder was given an [`Observer`] shows it every task and every worker. The observer answers each spawn with
//! a [`TaskObserver`], which sees what happens to that task from then on. The crate `polyexec-observe` has observers: a
//! timeline, and a dump of the live tasks.
//!
//! The spawn decides whether a task is observed. A task without an observer pays little: its spawn looks at its executor's
//! [`observer`](crate::Executor::observer), and the end of an idle poll and the handle's drop test a bit.
//!
//! # What an observer may do
//!
//! Its methods are called on the thread where the event happens, as part of it: a slow observer slows the program. They are
//! called under no lock of an executor. They may spawn and wake, but what they cause is observed, too. Should one panic, the
//! panic hook hears of it and the program goes on. Without `std`, which couldn't contain the panic, nothing is observed.
//!
//! # Examples
//!
//! Counts the polls of each task:
//!
//! ```
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
//!
//! use polyexec_core::observe::{End, Observer, PollWaker, Spawned, TaskObserver};
//!
//! struct PrintPolls;
//!
//! impl Observer for PrintPolls {
//!     fn spawned(&self, task: &Spawned<'_>) -> Option<Arc<dyn TaskObserver>> {
//!         let name = task.name().unwrap_or("a task").to_owned();
//!         Some(Arc::new(Polls { name, polls: AtomicU64::new(0) }))
//!     }
//! }
//!
//! struct Polls {
//!     name: String,
//!     polls: AtomicU64,
//! }
//!
//! impl TaskObserver for Polls {
//!     fn poll_began(&self) -> PollWaker {
//!         self.polls.fetch_add(1, Relaxed);
//!         PollWaker::Usual
//!     }
//!
//!     fn ended(&self, _end: End) {
//!         println!("{} was polled {} times", self.name, self.polls.load(Relaxed));
//!     }
//! }
//! ```

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::panic::Location;

use crate::TaskId;
use crate::unwind::{catch, contain, discard};

/// Is told of every task that an executor spawns, and of what its workers do. [The module](self) has the rules.
pub trait Observer: Send + Sync + 'static {
    /// A task is being spawned on this thread. Returns the task's observer; `None`: the task isn't observed.
    ///
    /// The executor hasn't been given the task yet. If it refuses the task, that [ends](TaskObserver::ended) as
    /// [`Refused`](End::Refused).
    fn spawned(&self, task: &Spawned<'_>) -> Option<Arc<dyn TaskObserver>> {
        let _ = task;
        None
    }

    /// A thread that runs the executor's tasks has done something. The call is on that thread.
    ///
    /// `worker` counts the executor's workers from zero. A worker moves to another thread when its thread blocks in a task,
    /// so the two threads use its number at the same time until that task's poll has ended.
    ///
    /// It shouldn't spawn or wake: what it makes ready in [`WorkerEvent::Parked`] may wait until something else wakes the
    /// worker.
    fn worker(&self, worker: usize, event: WorkerEvent) {
        let _ = (worker, event);
    }
}

/// Is told what happens to one task.
///
/// Threads may call it at the same time: one polls the task, others wake it. Its owner keeps it until the last waker and the last
/// handle of the task are gone, so a wake may come after the [end](TaskObserver::ended).
pub trait TaskObserver: Send + Sync + 'static {
    /// A poll begins on this thread. Returns the waker that the future gets.
    fn poll_began(&self) -> PollWaker {
        PollWaker::Usual
    }

    /// The poll that began last has ended, on the same thread.
    fn poll_ended(&self, outcome: PollOutcome) {
        let _ = outcome;
    }

    /// The task was woken on this thread. If that made it ready, this comes before the executor queues it.
    fn woken(&self, wake: Wake) {
        let _ = wake;
    }

    /// A waker of the task was cloned on this thread.
    fn waker_cloned(&self) {}

    /// A clone of the task's waker was dropped on this thread, or used up by a wake.
    fn waker_dropped(&self) {}

    /// The task's handle was polled on this thread before the task has ended. `by`: in this task.
    fn awaited(&self, by: Option<TaskId>) {
        let _ = by;
    }

    /// The task's handle was dropped.
    fn handle_dropped(&self) {}

    /// The task has ended: its future is gone. Its handle doesn't know yet. Comes once, and last but for
    /// [`woken`](TaskObserver::woken), the wakers and the handle.
    fn ended(&self, end: End) {
        let _ = end;
    }
}

/// A task that is being spawned, for [`Observer::spawned`].
#[derive(Clone, Copy)]
pub struct Spawned<'a> {
    pub(crate) id: TaskId,
    pub(crate) name: Option<&'a str>,
    pub(crate) location: &'static Location<'static>,
}

impl<'a> Spawned<'a> {
    /// The task's id.
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// The name given to [`task::Builder::name`](crate::task::Builder::name), if any.
    pub fn name(&self) -> Option<&'a str> {
        self.name
    }

    /// The place in the source that spawns it.
    pub fn location(&self) -> &'static Location<'static> {
        self.location
    }

    /// The task that spawns it; `None` outside of tasks.
    #[cfg(feature = "std")]
    pub fn parent(&self) -> Option<TaskId> {
        TaskId::current()
    }
}

impl fmt::Debug for Spawned<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, name, location } = self;
        f.debug_struct("Spawned").field("id", id).field("name", name).field("location", location).finish()
    }
}

/// Which waker a poll gives to the future.
///
/// Exhaustive on purpose: an observer chooses one, and needn't match it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum PollWaker {
    /// The task's own.
    #[default]
    Usual,
    /// One that [`will_wake`](core::task::Waker::will_wake) tells from the task's earlier ones, so that whatever the task waits
    /// for clones it anew. A backtrace taken in [`TaskObserver::waker_cloned`] has the whole chain of awaits.
    ///
    /// The clones are the task's usual waker.
    Fresh,
}

/// How a poll ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PollOutcome {
    /// The future waits.
    Pending,
    /// The future waits, and was woken during its poll, on its own thread: it goes to the queue's end.
    WokeItself,
    /// The future returned its output.
    Ready,
    /// The future panicked.
    Panicked,
}

impl PollOutcome {
    pub(crate) fn pending(woke_itself: bool) -> Self {
        if woke_itself { Self::WokeItself } else { Self::Pending }
    }
}

/// A wake of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wake {
    pub(crate) by: Option<TaskId>,
    pub(crate) effect: WakeEffect,
}

impl Wake {
    /// By the task that this thread polls.
    pub(crate) fn here(effect: WakeEffect) -> Self {
        Self { by: current_task(), effect }
    }

    /// The task that this thread polls: it called the waker. `None`: the waker was called outside of tasks.
    pub fn by(&self) -> Option<TaskId> {
        self.by
    }

    /// What came of the wake.
    pub fn effect(&self) -> WakeEffect {
        self.effect
    }
}

/// What came of a wake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WakeEffect {
    /// The task was idle. Now its executor queues it.
    Queued,
    /// The task woke itself during its poll. It will be queued when the poll ends.
    OwnPoll,
    /// The task was queued already, or its poll had not quite ended on another thread: it will be polled again. Or the task has
    /// ended.
    Noted,
}

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// The future returned its output.
    Ready,
    /// The future, or its destructor, panicked.
    Panicked,
    /// It was aborted.
    Aborted,
    /// Its executor shut down.
    ShutDown,
    /// Its executor couldn't take it.
    Refused,
    /// Nothing could have woken it: it waited without a waker, and no table kept it.
    Unreachable,
}

/// What a thread that runs tasks has done, for [`Observer::worker`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkerEvent {
    /// It began to run tasks.
    Started,
    /// It won't run tasks any more.
    Stopped,
    /// It goes to sleep, having found no task. It may wake up at once.
    Parked,
    /// It woke up.
    Unparked,
    /// It took tasks from another worker's queue.
    Stole {
        /// The other worker.
        from: usize,
        /// How many.
        tasks: usize,
    },
    /// It took tasks from the queue that all workers share.
    TookShared {
        /// How many.
        tasks: usize,
    },
    /// It blocks in a task. Another thread goes on as this worker, and this one runs no further task.
    HandedOver,
}

/// Calls an observer, if there is one. It is user code, so it is contained.
#[inline(always)]
pub(crate) fn tell(observer: Option<&dyn TaskObserver>, what: impl FnOnce(&dyn TaskObserver)) {
    if let Some(observer) = observer {
        contain(|| what(observer));
    }
}

/// The task that this thread polls.
pub(crate) fn current_task() -> Option<TaskId> {
    #[cfg(feature = "std")]
    return TaskId::current();
    #[cfg(not(feature = "std"))]
    return None;
}

/// As [`TaskObserver::poll_began`].
pub(crate) fn tell_poll_began(observer: &dyn TaskObserver) -> PollWaker {
    caught(|| observer.poll_began())
}

/// The end of a poll that ended the task.
pub(crate) fn tell_last_poll(observer: &dyn TaskObserver, outcome: PollOutcome, end: End) {
    contain(|| observer.poll_ended(outcome));
    observer.ended(end);
}

/// As [`Observer::spawned`].
pub(crate) fn tell_spawned<O: Observer + ?Sized>(observer: &O, task: &Spawned<'_>) -> Option<Arc<dyn TaskObserver>> {
    caught(|| observer.spawned(task))
}

fn caught<T: Default>(call: impl FnOnce() -> T) -> T {
    catch(call).unwrap_or_else(|payload| {
        discard(payload);
        T::default()
    })
}

/// Both observe, each as if it were alone. Combine more by nesting pairs, or in a `Vec`.
///
/// A poll has a [`Fresh`](PollWaker::Fresh) waker if one of them asks for it.
impl<A: Observer, B: Observer> Observer for (A, B) {
    fn spawned(&self, task: &Spawned<'_>) -> Option<Arc<dyn TaskObserver>> {
        All::of(tell_spawned(&self.0, task).into_iter().chain(tell_spawned(&self.1, task)))
    }

    fn worker(&self, worker: usize, event: WorkerEvent) {
        contain(|| self.0.worker(worker, event));
        contain(|| self.1.worker(worker, event));
    }
}

/// All of them observe, each as if it were alone.
impl<O: Observer> Observer for Vec<O> {
    fn spawned(&self, task: &Spawned<'_>) -> Option<Arc<dyn TaskObserver>> {
        All::of(self.iter().filter_map(|observer| tell_spawned(observer, task)))
    }

    fn worker(&self, worker: usize, event: WorkerEvent) {
        for observer in self {
            contain(|| observer.worker(worker, event));
        }
    }
}

impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn spawned(&self, task: &Spawned<'_>) -> Option<Arc<dyn TaskObserver>> {
        (**self).spawned(task)
    }

    fn worker(&self, worker: usize, event: WorkerEvent) {
        (**self).worker(worker, event);
    }
}

/// As [`Observer::worker`], contained.
#[cfg(feature = "std")]
pub fn tell_worker(observer: &dyn Observer, worker: usize, event: WorkerEvent) {
    contain(|| observer.worker(worker, event));
}

/// Several observers of one task.
struct All(Box<[Arc<dyn TaskObserver>]>);

impl All {
    fn of(observers: impl Iterator<Item = Arc<dyn TaskObserver>>) -> Option<Arc<dyn TaskObserver>> {
        let mut observers: Vec<_> = observers.collect();
        match observers.len() {
            0 | 1 => observers.pop(),
            _ => Some(Arc::new(Self(observers.into()))),
        }
    }

    fn tell(&self, what: impl Fn(&dyn TaskObserver)) {
        for observer in &self.0 {
            tell(Some(&**observer), &what);
        }
    }
}

impl TaskObserver for All {
    fn poll_began(&self) -> PollWaker {
        // All hear of it, whatever the first one answers.
        let wish = |answer, observer: &Arc<_>| match tell_poll_began(&**observer) {
            PollWaker::Usual => answer,
            PollWaker::Fresh => PollWaker::Fresh,
        };
        self.0.iter().fold(PollWaker::Usual, wish)
    }

    fn poll_ended(&self, outcome: PollOutcome) {
        self.tell(|observer| observer.poll_ended(outcome));
    }

    fn woken(&self, wake: Wake) {
        self.tell(|observer| observer.woken(wake));
    }

    fn waker_cloned(&self) {
        self.tell(TaskObserver::waker_cloned);
    }

    fn waker_dropped(&self) {
        self.tell(TaskObserver::waker_dropped);
    }

    fn awaited(&self, by: Option<TaskId>) {
        self.tell(|observer| observer.awaited(by));
    }

    fn handle_dropped(&self) {
        self.tell(TaskObserver::handle_dropped);
    }

    fn ended(&self, end: End) {
        self.tell(|observer| observer.ended(end));
    }
}
