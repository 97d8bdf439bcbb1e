//! The owner and the handle.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use futures_task::{FutureObj, SpawnError as SpawnObjError};
use polyexec_core::{Executor, Handle, JoinHandle, Rejected, SpawnError, Task, block_on, context};

use crate::Builder;
use crate::shared::Shared;
use crate::worker;

/// Runs tasks on a fixed number of workers that steal from each other.
///
/// # What dropping does
///
/// Shuts down: every future is dropped, on this thread or, if it is being polled, when that poll ends; every handle
/// resolves; every thread is waited for. A poll that doesn't end makes this wait for ever. Dropped in one of its own
/// tasks, it doesn't wait: the threads end by themselves.
///
/// # Examples
///
/// ```
/// use polyexec_pool::Pool;
///
/// let pool = Pool::new()?;
/// let answer = pool.block_on(async {
///     let half = pool.spawn(async { 21 });
///     2 * half.await.unwrap()
/// });
/// assert_eq!(answer, 42);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Pool(PoolHandle);

/// Spawns tasks on a [`Pool`], from anywhere.
///
/// # What dropping does
///
/// Nothing to the executor. A handle that outlives it refuses tasks.
pub struct PoolHandle(Arc<Reference>);

/// Counts some of the references to a pool: those from the tasks of one worker, or from outside. Each task has one, so a
/// count for all would go back and forth between the processors with each spawn. On a cache line of its own (two, since
/// processors fetch them in pairs).
#[repr(align(128))]
struct Reference(Arc<Shared>);

impl Pool {
    /// A pool with as many workers as there are processors.
    ///
    /// # Errors
    ///
    /// As for [`Builder::build`].
    pub fn new() -> io::Result<Self> {
        Self::builder().build()
    }

    /// Configures a pool.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Owns what `shared` is from now on.
    pub(crate) fn own(shared: Arc<Shared>) -> Self {
        Self(PoolHandle::new(shared))
    }

    /// A handle, for other threads and for code that takes any executor.
    pub fn handle(&self) -> PoolHandle {
        self.0.clone()
    }

    /// How many workers there are, and so how many tasks can be polled at the same time.
    pub fn worker_threads(&self) -> usize {
        self.0.shared().desks.len()
    }

    /// Spawns `future` as a task. See [`Executor::spawn`].
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.spawn(future)
    }

    /// Spawns `future` as a task, or gives it back. See [`Executor::try_spawn`].
    ///
    /// # Errors
    ///
    /// None while the pool lives.
    #[track_caller]
    pub fn try_spawn<F>(&self, future: F) -> Result<JoinHandle<F::Output>, SpawnError<F>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.try_spawn(future)
    }

    /// Polls `future` on this thread until it is ready. See [`Executor::block_on`].
    ///
    /// # Panics
    ///
    /// If `future` does.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.0.shared().shut_down();
    }
}

impl PoolHandle {
    /// A handle with a count of its own.
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self(Arc::new(Reference(shared)))
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.0.0
    }

    /// A handle with the same count.
    pub(crate) fn share(&self) -> Self {
        Self(self.0.clone())
    }
}

/// On a worker of the pool, the clone has the worker's count; else the same as the original.
impl Clone for PoolHandle {
    fn clone(&self) -> Self {
        worker::handle(self.shared()).unwrap_or_else(|| self.share())
    }
}

impl Executor for PoolHandle {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        worker::schedule(self.shared(), self.shared().live.admit(task)?).map_err(Rejected::shut_down)
    }

    fn schedule(&self, task: Task) {
        // Not taken, it is ended here, if the shutdown hasn't ended it.
        drop(worker::schedule(self.shared(), task));
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        let _context = context::enter(Handle::new(self.clone()));
        block_on(future);
    }

    /// Another thread becomes this one's worker, so that its tasks go on. This thread has none from then on: it
    /// finishes its task, and is a spare.
    fn block_in_place(&self, work: &mut dyn FnMut()) {
        if let Some(worker) = worker::take(self.shared()) {
            // Without a thread to be had the pool is slower, until one is free: this one, at the latest.
            if let Err(refused) = self.shared().crew.queue(worker) {
                // It has shut down. The tasks in the worker's queue end here: `work` may wait for one of them.
                drop(refused);
            }
        }
        work();
    }
}

impl futures_task::Spawn for PoolHandle {
    fn spawn_obj(&self, future: FutureObj<'static, ()>) -> Result<(), SpawnObjError> {
        context::spawn_obj(self, future)
    }
}

impl futures_task::Spawn for Pool {
    fn spawn_obj(&self, future: FutureObj<'static, ()>) -> Result<(), SpawnObjError> {
        context::spawn_obj(&self.0, future)
    }
}

impl fmt::Debug for PoolHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolHandle")
            .field("worker_threads", &self.shared().desks.len())
            .field("crew", &self.shared().crew)
            .field("live", &self.shared().live)
            .finish()
    }
}
