//! What the soak needs of an executor: how to start it, spawn on it, and read its handles.

use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use polyexec_core::{AbortHandle, Executor, JoinError, JoinHandle};

use crate::faults::Fault;
use crate::job::Job;
use crate::outcome::{Outcome, Output};

/// The owner of an executor. Its drop shuts the executor down.
pub trait Subject: Sized + 'static {
    /// As the command line and the report have it.
    const NAME: &'static str;
    /// How many tasks the driver spawns ahead of the task that it waits for.
    const WINDOW: usize;
    /// Lifecycles of an epoch on the average, unless told otherwise.
    const EPOCH: u32;
    /// Whether its tasks run on the driver's thread only.
    const IS_LOCAL: bool = false;
    /// Faults that don't apply, and why.
    const LEFT_OUT: &'static [(Fault, &'static str)];
    /// Spawns on it.
    type Spawner: Spawner;

    /// Starts it.
    ///
    /// # Errors
    ///
    /// The system refuses threads.
    fn start(threads: Threads) -> io::Result<Self>;

    /// Spawns on it, from any thread.
    fn spawner(&self) -> Self::Spawner;

    /// Frees what the executor's libraries free later. Called after the owner's drop, before the memory is measured.
    fn tidy() {}
}

/// What its threads are like.
#[derive(Clone)]
pub struct Threads {
    /// How many workers.
    pub workers: usize,
    /// Called on each thread before its first task.
    pub on_start: Hook,
    /// Called on each thread after its last task.
    pub on_stop: Hook,
}

/// Called on a thread.
pub type Hook = Arc<dyn Fn() + Send + Sync>;

/// Spawns, from any thread.
pub trait Spawner: Executor + Clone {
    /// What it returns.
    type Handle: Handle;

    /// Spawns a task. If the executor refuses it, the handle says so.
    fn spawn_job(&self, job: Job<Self>) -> Self::Handle;

    /// As [`spawn_job`](Spawner::spawn_job), for a future that isn't `Send`. Called on the driver's thread only.
    fn spawn_local_job(&self, job: LocalJob<Self>) -> Self::Handle {
        self.spawn_job(job.job)
    }
}

/// Waits for a task.
pub trait Handle: Future<Output = Outcome> + Send + Unpin + 'static {
    /// Aborts the task from anywhere.
    fn aborter(&self) -> AbortHandle;

    /// Drops the handle; the task goes on.
    fn detach(self);

    /// Blocks until the task is over, in a task.
    fn join(self) -> Outcome;
}

/// A [`JoinHandle`].
pub struct Joined(JoinHandle<Output>);

impl From<JoinHandle<Output>> for Joined {
    fn from(handle: JoinHandle<Output>) -> Self {
        Self(handle)
    }
}

impl Handle for Joined {
    fn aborter(&self) -> AbortHandle {
        self.0.abort_handle()
    }

    fn detach(self) {
        drop(self);
    }

    fn join(self) -> Outcome {
        outcome(self.0.join())
    }
}

impl Future for Joined {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        Pin::new(&mut self.0).poll(cx).map(outcome)
    }
}

fn outcome(result: Result<Output, JoinError>) -> Outcome {
    match result.map_err(JoinError::try_into_panic) {
        Ok(output) => Outcome::Ready(output),
        Err(Ok(payload)) => Outcome::Panicked(payload),
        Err(Err(error)) if error.is_shutdown() => Outcome::ShutDown,
        Err(Err(error)) if error.is_cancelled() => Outcome::Cancelled,
        Err(Err(_)) => Outcome::Other,
    }
}

/// A job that stays on its thread.
pub struct LocalJob<S: Spawner> {
    job: Job<S>,
    stays: PhantomData<Rc<()>>,
}

impl<S: Spawner> LocalJob<S> {
    pub(crate) fn new(job: Job<S>) -> Self {
        Self { job, stays: PhantomData }
    }
}

impl<S: Spawner> Future for LocalJob<S> {
    type Output = Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Output> {
        Pin::new(&mut self.job).poll(cx)
    }
}
