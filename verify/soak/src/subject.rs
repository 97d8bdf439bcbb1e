//! What the faults need of an executor, so that they are written once for all.

use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::faults::Fault;
use crate::job::Job;
use crate::outcome::{Outcome, Output};

/// The owner of an executor. Its drop shuts the executor down.
pub trait Subject: Sized + 'static {
    /// As the command line and the report have it.
    const NAME: &'static str;
    /// How many tasks the driver spawns ahead of the one that it waits for.
    const WINDOW: usize;
    /// Lifecycles of an epoch on the average, unless told otherwise.
    const EPOCH: u32;
    /// What it does its own way.
    const MANNERS: Manners = Manners::OURS;
    /// Faults that don't apply, and why.
    const LEFT_OUT: &'static [(Fault, &'static str)];
    /// What the report says of its figures.
    const NOTES: &'static [&'static str] = &[];
    /// What spawns on it.
    type Spawner: Spawner;

    /// Starts it.
    ///
    /// # Errors
    ///
    /// There are no threads to be had.
    fn start(threads: Threads) -> io::Result<Self>;

    /// What spawns on it, from any thread.
    fn spawner(&self) -> Self::Spawner;

    /// Polls `future` on this thread until it is ready.
    fn block_on<F: Future>(&self, future: F) -> F::Output;

    /// Frees what a library that the executor uses has put off. Called when the owner is gone, before the memory is
    /// looked at.
    fn tidy() {}
}

/// What its threads are to be like.
#[derive(Clone)]
pub struct Threads {
    /// How many workers.
    pub workers: usize,
    /// To be called on each thread before its first task.
    pub on_start: Hook,
    /// To be called on each thread after its last task.
    pub on_stop: Hook,
}

/// To be called on a thread.
pub type Hook = Arc<dyn Fn() + Send + Sync>;

/// In what executors may differ without being wrong.
#[derive(Clone, Copy, Debug)]
pub struct Manners {
    /// Tasks run on the driver's thread only.
    pub home: bool,
    /// A poll that is ready wins over an abort that came during it. Otherwise, either may win.
    pub ready_beats_abort: bool,
    /// A panic in a future's drop reaches the handle. Otherwise, it may.
    pub tells_drop_panics: bool,
    /// A handle says whether its task was aborted or the executor shut down.
    pub tells_shutdown: bool,
}

impl Manners {
    /// What polyexec promises.
    pub const OURS: Self = Self { home: false, ready_beats_abort: true, tells_drop_panics: true, tells_shutdown: true };
}

/// Spawns, from any thread.
pub trait Spawner: Clone + Send + Sync + 'static {
    /// What it returns.
    type Handle: Handle;

    /// Spawns a task; one that is refused resolves its handle.
    fn spawn(&self, job: Job<Self>) -> Self::Handle;

    /// As `spawn`, for a future that isn't `Send`. Called on the driver's thread only.
    fn spawn_local(&self, job: LocalJob<Self>) -> Self::Handle {
        self.spawn(job.job)
    }
}

/// Waits for a task.
pub trait Handle: Future<Output = Outcome> + Send + Unpin + 'static {
    /// What aborts the task from anywhere. `None`: only the handle itself can, and is gone then.
    fn aborter(&self) -> Option<Box<dyn Fn() + Send>>;

    /// Aborts the task, and drops the handle.
    fn abort(self);

    /// Drops the handle; the task goes on.
    fn detach(self);

    /// Blocks until the task is over, in a task.
    fn join(self) -> Outcome;
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
