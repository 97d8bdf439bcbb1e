//! What the models have in common: an executor that orders nothing, and futures whose readiness is data.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::{Arc as Plain, Mutex as Invisible};
use std::task::{Context, Poll, Waker};

use futures_task::{ArcWake, waker};
use loom::sync::Arc;
use loom::thread;
use polyexec_core::executor::{OwnedTasks, Ran, Rejected, Task, park_on};
use polyexec_core::{
    Executor, JoinError, JoinHandle,
    modelled::{AtomicBool, Drops, Token, check},
};

/// An executor whose queue orders nothing, as far as loom knows: what the models see is ordered by the
/// task alone. A thread that wakes a task runs it. Each cell
/// has one of these, so that loom finds a cell that leaks.
#[derive(Clone)]
pub(crate) struct Queue(Arc<Shared>);

#[derive(Default)]
pub(crate) struct Shared {
    ready: Invisible<Vec<Task>>,
    /// `None`: tasks are run without a table.
    live: Option<OwnedTasks>,
}

impl Queue {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared::default()))
    }

    pub(crate) fn with_table() -> Self {
        Self(Arc::new(Shared { live: Some(OwnedTasks::new()), ..Shared::default() }))
    }

    pub(crate) fn live(&self) -> &OwnedTasks {
        self.0.live.as_ref().unwrap()
    }

    pub(crate) fn take(&self) -> Option<Task> {
        self.0.ready.lock().unwrap().pop()
    }

    pub(crate) fn step(&self, task: Task) -> Ran {
        match &self.0.live {
            Some(live) => live.run(task),
            None => task.run(),
        }
    }

    pub(crate) fn run(&self, mut task: Task) {
        while let Ran::Again(again) = self.step(task) {
            task = again;
        }
    }

    pub(crate) fn run_elsewhere(&self, task: Task) -> thread::JoinHandle<()> {
        let queue = self.clone();
        thread::spawn(move || queue.run(task))
    }

    /// Runs what this thread has woken.
    pub(crate) fn run_woken(&self) {
        while let Some(task) = self.take() {
            self.run(task);
        }
    }

    pub(crate) fn spawn<F>(&self, future: F) -> (Task, JoinHandle<F::Output>)
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Task::new(future, self.clone())
    }

    /// A task that has been polled once, and rests.
    pub(crate) fn rest<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (task, handle) = self.spawn(future);
        assert!(matches!(self.step(task), Ran::Waiting));
        handle
    }

    /// The task, woken.
    pub(crate) fn woken(&self, waker: &Waker) -> Task {
        waker.wake_by_ref();
        self.take().expect("it rests")
    }
}

impl Executor for Queue {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        self.schedule(task);
        Ok(())
    }

    fn schedule(&self, task: Task) {
        self.0.ready.lock().unwrap().push(task);
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        park_on(future);
    }
}

/// Counts how often it was called.
#[derive(Default)]
pub(crate) struct Calls(AtomicUsize);

impl Calls {
    pub(crate) fn new() -> (Plain<Self>, Waker) {
        let calls = Plain::<Self>::default();
        (calls.clone(), waker(calls))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(SeqCst)
    }
}

impl ArcWake for Calls {
    fn wake_by_ref(calls: &Plain<Self>) {
        calls.0.fetch_add(1, SeqCst);
    }
}

/// Where a future leaves its waker.
#[derive(Clone, Default)]
pub(crate) struct Slot(Plain<Invisible<Option<Waker>>>);

impl Slot {
    pub(crate) fn fill(&self, cx: &Context<'_>) {
        // No step of the model under the lock, which loom doesn't see.
        let waker = cx.waker().clone();
        *self.0.lock().unwrap() = Some(waker);
    }

    pub(crate) fn take(&self) -> Waker {
        self.0.lock().unwrap().take().expect("the future has left a waker")
    }

    /// Waits for the poll that fills it.
    pub(crate) fn wait(&self) -> Waker {
        loop {
            if let Some(waker) = self.0.lock().unwrap().take() {
                return waker;
            }
            thread::yield_now();
        }
    }
}

/// Ready with a token when all flags are up, which are data: only a wake that orders them shows them. Leaves its waker in a
/// slot in its first poll.
pub(crate) fn until<const N: usize>(
    flags: [&Arc<AtomicBool>; N],
    slot: &Slot,
    futures: &Drops,
    outputs: &Drops,
) -> impl Future<Output = Token> + Send + use<N> {
    let (flags, slot, future) = (flags.map(Arc::clone), slot.clone(), futures.token());
    let mut output = Some(outputs.token());
    let mut is_first = true;
    poll_fn(move |cx| {
        let _ = &future;
        if std::mem::take(&mut is_first) {
            slot.fill(cx);
        }
        match flags.iter().all(|flag| flag.load(Relaxed)) {
            true => Poll::Ready(output.take().expect("polled after it was ready")),
            false => Poll::Pending,
        }
    })
}

pub(crate) fn flag() -> Arc<AtomicBool> {
    Arc::new(AtomicBool::new(false))
}

pub(crate) fn poll<T>(handle: &mut JoinHandle<T>, waker: &Waker) -> Poll<Result<T, JoinError>> {
    Pin::new(handle).poll(&mut Context::from_waker(waker))
}

/// The result of a task that must be over.
pub(crate) fn result<T>(mut handle: JoinHandle<T>) -> Result<T, JoinError> {
    match poll(&mut handle, Waker::noop()) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("a wake was lost: the task isn't over"),
    }
}

/// Tries the model without a table of live tasks, and with one.
pub(crate) fn check_both(name: &str, model: fn(Queue)) {
    check(name, move || model(Queue::new()));
    check(&format!("{name}, in a table"), move || model(Queue::with_table()));
}
