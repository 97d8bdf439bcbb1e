//! The owner of a pool, and its handle.

use std::fmt;
use std::io;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_task::{FutureObj, SpawnError as SpawnObjError};
use polyexec_core::executor::process::Process;
use polyexec_core::executor::{Boxed, Rejected, Task, context, is_large};
use polyexec_core::observe::Observer;
use polyexec_core::task::Scope;
use polyexec_core::{Executor, Handle, JoinHandle, SpawnError, StillRunning, block_on};

use crate::shared::Shared;
use crate::{Builder, shutdown, worker};

/// Runs tasks on a fixed number of workers that steal from each other.
///
/// # What dropping does
///
/// Shuts down: every future is dropped, every handle resolves, every thread is joined. A future in its poll is dropped when
/// that ends; a poll that never ends makes this wait for ever. [`shutdown_timeout`](Pool::shutdown_timeout) has a limit.
///
/// Dropped in one of its own tasks, it doesn't wait: the threads end by themselves.
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
pub struct Pool {
    handle: PoolHandle,
    made_in: Process,
    /// It was shut down.
    is_over: bool,
}

/// Spawns tasks on a [`Pool`], from any thread.
///
/// # What dropping does
///
/// Nothing to the pool. A handle that outlives it refuses tasks.
pub struct PoolHandle(Arc<Reference>);

// A task's panic stays with the task, and no user code runs while a queue is changed.
impl UnwindSafe for PoolHandle {}
impl RefUnwindSafe for PoolHandle {}

/// Counts some of the references to a pool: those of one worker's tasks, or those from outside. Each task has one, so the
/// processors would contend for a single count at each spawn. Alone on two cache lines, which processors fetch in pairs.
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

    /// Owns the pool of `shared` from now on.
    pub(crate) fn own(shared: Arc<Shared>) -> Self {
        Self { handle: PoolHandle::new(shared), made_in: Process::current(), is_over: false }
    }

    /// Whether this process was forked from the pool's. If so, its threads aren't here, and its memory is leaked.
    fn is_parents(&self) -> bool {
        let is_parents = !self.made_in.is_current();
        if is_parents {
            std::mem::forget(self.handle.share());
        }
        is_parents
    }

    /// A handle, for other threads and for code that takes any executor.
    pub fn handle(&self) -> PoolHandle {
        self.handle.clone()
    }

    /// The number of workers: this many tasks can be polled at the same time.
    pub fn worker_threads(&self) -> usize {
        self.handle.shared().workers
    }

    /// Spawns `future` as a task. See [`Executor::spawn`].
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        if const { is_large::<F>() } {
            return self.handle.spawn(Boxed::from(Box::new(future)));
        }
        self.handle.spawn(future)
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
        if const { is_large::<F>() } {
            return self.handle.try_spawn(Boxed::from(Box::new(future))).map_err(SpawnError::unboxed);
        }
        self.handle.try_spawn(future)
    }

    /// Shuts down as dropping does, but waits for polls that run for `timeout` at most.
    ///
    /// Waiting futures are dropped on this thread first. A task whose poll ends after the timeout ends then, and so does its
    /// thread. A poll that never ends keeps its thread and its future. Called in one of the pool's own tasks, this doesn't
    /// wait.
    ///
    /// # Examples
    ///
    /// ```
    /// use polyexec_pool::Pool;
    /// use std::time::Duration;
    ///
    /// let pool = Pool::new()?;
    /// # let (has_begun, begin) = std::sync::mpsc::channel();
    /// let (end, is_over) = std::sync::mpsc::channel::<()>();
    /// let blocked = pool.spawn(async move {
    /// #   has_begun.send(()).unwrap();
    ///     is_over.recv().is_err()
    /// });
    /// # begin.recv().unwrap();
    /// let left = pool.shutdown_timeout(Duration::from_millis(10)).unwrap_err();
    /// assert!(left.threads() >= 1, "{left}");
    ///
    /// drop(end);
    /// assert!(blocked.join().unwrap());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Some tasks were still running when the timeout expired. [`StillRunning`] counts their threads, and names the tasks
    /// that had waited for something before. The pool doesn't know the others: to note each would cost more than to run it.
    /// While they run, [`on_stall`](Builder::on_stall) reports them.
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Result<(), StillRunning> {
        self.is_over = true;
        if self.is_parents() {
            return Ok(());
        }
        // A deadline too far away is none.
        shutdown::shut_down_until(self.handle.shared(), Instant::now().checked_add(timeout))
    }

    /// Polls `future` on this thread until it is ready. See [`Executor::block_on`].
    ///
    /// # Panics
    ///
    /// If `future` does.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        if const { is_large::<F>() } {
            return self.handle.block_on(Box::pin(future));
        }
        self.handle.block_on(future)
    }

    /// Calls `body`, which may spawn children that borrow, and returns once they have ended. See [`Executor::scope`].
    ///
    /// # Panics
    ///
    /// If `body` or a child does.
    #[track_caller]
    pub fn scope<'env, T>(&self, body: impl for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T) -> T {
        self.handle.scope(body)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if !self.is_over && !self.is_parents() {
            shutdown::shut_down(self.handle.shared());
        }
    }
}

impl PoolHandle {
    /// A handle with its own count.
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self(Arc::new(Reference(shared)))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.0
    }

    /// A handle that shares the count.
    pub(crate) fn share(&self) -> Self {
        Self(self.0.clone())
    }
}

/// On a worker of the pool, the clone shares the worker's count; elsewhere the original's.
impl Clone for PoolHandle {
    fn clone(&self) -> Self {
        worker::handle(self.shared()).unwrap_or_else(|| self.share())
    }
}

impl Executor for PoolHandle {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        worker::schedule(self.shared(), self.shared().tasks.admit(task)?).map_err(Rejected::shut_down)
    }

    fn schedule(&self, task: Task) {
        // A refused task ends here, unless the shutdown has ended it.
        drop(worker::schedule(self.shared(), task));
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        let _context = context::enter(Handle::new(self.clone()));
        block_on(future);
    }

    #[inline]
    fn observer(&self) -> Option<&dyn Observer> {
        self.shared().hooks.observer.as_deref()
    }

    /// Hands this thread's worker over to another thread, which runs its tasks. This one finishes its task, and is then a
    /// spare.
    fn block_in_place(&self, work: &mut dyn FnMut()) {
        worker::hand_over(self.shared());
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
        context::spawn_obj(&self.handle, future)
    }
}

impl fmt::Debug for PoolHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolHandle")
            .field("worker_threads", &self.shared().workers)
            .field("threads", &self.shared().threads)
            .field("tasks", &self.shared().tasks)
            .finish()
    }
}
