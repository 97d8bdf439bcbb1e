//! Two observers: `LegalOrder` checks the order of the events, and `Notes` writes them down.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use polyexec_core::executor::{Clock, Rejected, Task};
use polyexec_core::observe::{End, Observer, PollOutcome, PollWaker, Spawned, TaskObserver, Wake};
use polyexec_core::{Executor, TaskId};

/// Ends the process if it is told of something that can't have happened. Give it to an executor's builder, and run the suite.
#[derive(Clone, Copy, Debug, Default)]
pub struct LegalOrder;

impl Observer for LegalOrder {
    fn spawned(&self, task: &Spawned<'_>) -> Option<Arc<dyn TaskObserver>> {
        Some(Arc::new(Checked { id: task.id(), seen: Mutex::default() }))
    }
}

struct Checked {
    id: TaskId,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    polled_on: Option<ThreadId>,
    end: Option<End>,
    wakers: u64,
}

impl Checked {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Panics of an observer are contained, so nothing less would fail a test.
    fn require(&self, holds: bool, what: &str) {
        if !holds {
            eprintln!("task {}: {what}", self.id);
            std::process::abort();
        }
    }
}

impl TaskObserver for Checked {
    fn poll_began(&self) -> PollWaker {
        let mut seen = self.seen();
        self.require(seen.polled_on.is_none(), "two polls at a time");
        self.require(seen.end.is_none(), "a poll after the end");
        seen.polled_on = Some(thread::current().id());
        PollWaker::Usual
    }

    fn poll_ended(&self, _outcome: PollOutcome) {
        let begun_on = self.seen().polled_on.take();
        self.require(begun_on == Some(thread::current().id()), "the end of a poll that didn't begin here");
    }

    fn waker_cloned(&self) {
        self.seen().wakers += 1;
    }

    fn waker_dropped(&self) {
        let mut seen = self.seen();
        self.require(seen.wakers > 0, "more wakers were dropped than cloned");
        seen.wakers -= 1;
    }

    fn ended(&self, end: End) {
        let mut seen = self.seen();
        self.require(seen.polled_on.is_none(), "the end during a poll");
        self.require(seen.end.is_none(), "a second end");
        seen.end = Some(end);
    }
}

impl Drop for Checked {
    fn drop(&mut self) {
        let seen = self.seen();
        self.require(seen.end.is_some(), "it is gone, and has not ended");
        self.require(seen.wakers == 0, "it is gone, and there are wakers");
    }
}

/// Writes down what each task does. Clones share the notes.
#[derive(Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Vec<(TaskId, Event)>>>);

/// As the methods of [`TaskObserver`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Spawned { parent: Option<TaskId> },
    PollBegan,
    PollEnded(PollOutcome),
    Woken(Wake),
    WakerCloned,
    WakerDropped,
    Awaited(Option<TaskId>),
    HandleDropped,
    Ended(End),
}

impl Notes {
    fn add(&self, task: TaskId, event: Event) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((task, event));
    }

    /// The events of one task, of those that `keep` keeps.
    pub(crate) fn of(&self, task: TaskId, keep: impl Fn(&Event) -> bool) -> Vec<Event> {
        let notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        notes.iter().filter(|(of, event)| *of == task && keep(event)).map(|(_, event)| *event).collect()
    }
}

impl Observer for Notes {
    fn spawned(&self, task: &Spawned<'_>) -> Option<Arc<dyn TaskObserver>> {
        self.add(task.id(), Event::Spawned { parent: task.parent() });
        Some(Arc::new(NotesOf { task: task.id(), notes: self.clone() }))
    }
}

struct NotesOf {
    task: TaskId,
    notes: Notes,
}

impl NotesOf {
    fn add(&self, event: Event) {
        self.notes.add(self.task, event);
    }
}

impl TaskObserver for NotesOf {
    fn poll_began(&self) -> PollWaker {
        self.add(Event::PollBegan);
        PollWaker::Usual
    }

    fn poll_ended(&self, outcome: PollOutcome) {
        self.add(Event::PollEnded(outcome));
    }

    fn woken(&self, wake: Wake) {
        self.add(Event::Woken(wake));
    }

    fn waker_cloned(&self) {
        self.add(Event::WakerCloned);
    }

    fn waker_dropped(&self) {
        self.add(Event::WakerDropped);
    }

    fn awaited(&self, by: Option<TaskId>) {
        self.add(Event::Awaited(by));
    }

    fn handle_dropped(&self) {
        self.add(Event::HandleDropped);
    }

    fn ended(&self, end: End) {
        self.add(Event::Ended(end));
    }
}

/// Any executor, with an observer of the tasks that are spawned through this.
#[derive(Clone)]
pub(crate) struct Observed {
    executor: Arc<dyn Executor>,
    observer: Arc<dyn Observer>,
}

impl Observed {
    pub(crate) fn new(executor: Arc<dyn Executor>, observer: impl Observer) -> Self {
        Self { executor, observer: Arc::new(observer) }
    }
}

impl Executor for Observed {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        self.executor.submit(task)
    }

    fn schedule(&self, task: Task) {
        self.executor.schedule(task);
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        self.executor.drive(future);
    }

    fn wait(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        self.executor.wait(future);
    }

    fn block_in_place(&self, work: &mut dyn FnMut()) {
        self.executor.block_in_place(work);
    }

    fn clock(&self) -> Option<Arc<dyn Clock>> {
        self.executor.clock()
    }

    fn runs_only_here(&self) -> bool {
        self.executor.runs_only_here()
    }

    fn observer(&self) -> Option<&dyn Observer> {
        Some(&*self.observer)
    }
}
