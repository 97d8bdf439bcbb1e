//! What the models share: an executor that orders nothing, and futures whose readiness is data.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::{Arc as Plain, Mutex as Invisible};
use std::task::{Context, Poll, Waker};

use futures_task::{ArcWake, waker};
use loom::sync::Arc;
use loom::thread;
use polyexec_core::executor::{OwnedTasks, Parker, Ran, Rejected, Task, park_on};
use polyexec_core::{
    Executor, JoinError, JoinHandle,
    modelled::{AtomicBool, Drops, Token},
};

/// An executor whose queue orders nothing, as far as loom knows: so the task alone orders what the models see.
///
/// A thread that wakes a task runs it. Each cell has a clone of this, so that loom finds a cell that leaks.
#[derive(Clone)]
pub(crate) struct Queue(Arc<Shared>);

#[derive(Default)]
pub(crate) struct Shared {
    ready: Invisible<Vec<Task>>,
    /// `None`: tasks are run without a table.
    table: Option<OwnedTasks>,
}

impl Queue {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared::default()))
    }

    pub(crate) fn with_table() -> Self {
        Self(Arc::new(Shared { table: Some(OwnedTasks::new()), ..Shared::default() }))
    }

    pub(crate) fn has_table(&self) -> bool {
        self.0.table.is_some()
    }

    pub(crate) fn table(&self) -> &OwnedTasks {
        self.0.table.as_ref().unwrap()
    }

    pub(crate) fn take(&self) -> Option<Task> {
        self.0.ready.lock().unwrap().pop()
    }

    pub(crate) fn step(&self, task: Task) -> Ran {
        match &self.0.table {
            Some(table) => table.run(task),
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

    /// A task that was polled once, and is idle.
    pub(crate) fn idle<F>(&self, future: F) -> JoinHandle<F::Output>
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
        self.take().expect("it was idle")
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

    pub(crate) fn try_take(&self) -> Option<Waker> {
        self.0.lock().unwrap().take()
    }

    pub(crate) fn take(&self) -> Waker {
        self.try_take().expect("the future has left a waker")
    }

    /// Waits for the poll that fills it.
    pub(crate) fn wait(&self) -> Waker {
        loop {
            if let Some(waker) = self.try_take() {
                return waker;
            }
            thread::yield_now();
        }
    }
}

/// Ready with a token when all flags are up. The flags are data, which only a wake that orders them shows. The first poll leaves
/// its waker in the slot.
pub(crate) fn until(
    flags: &[Arc<AtomicBool>],
    slot: &Slot,
    futures: &Drops,
    outputs: &Drops,
) -> impl Future<Output = Token> + Send + use<> {
    let (flags, slot, future) = (flags.to_vec(), slot.clone(), futures.token());
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

/// Raises the flags on another thread, and calls after each.
pub(crate) fn raise(flags: &[Arc<AtomicBool>], call: impl Fn() + 'static) -> thread::JoinHandle<()> {
    let flags = flags.to_vec();
    thread::spawn(move || {
        for flag in flags {
            flag.store(true, Relaxed);
            call();
        }
    })
}

/// Waits until two flags are up, after each of which another thread unparks this one.
pub(crate) fn wait_for_two_calls(parker: Parker, wait: fn(&Parker)) {
    let (parker, flags) = (Arc::new(parker), [flag(), flag()]);
    let caller = raise(&flags, {
        let parker = parker.clone();
        move || parker.unpark()
    });
    while !flags.iter().all(|flag| flag.load(Relaxed)) {
        wait(&parker);
    }
    caller.join().unwrap();
}

pub(crate) fn poll<T>(handle: &mut JoinHandle<T>, waker: &Waker) -> Poll<Result<T, JoinError>> {
    Pin::new(handle).poll(&mut Context::from_waker(waker))
}

/// The result of a task that must have ended.
pub(crate) fn result<T>(mut handle: JoinHandle<T>) -> Result<T, JoinError> {
    match poll(&mut handle, Waker::noop()) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("a wake was lost: the task hasn't ended"),
    }
}
