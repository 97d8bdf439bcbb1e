//! The owner of an async-executor and of the threads that run it. Leaves tasks to `handle`.

use std::sync::Arc;
use std::thread::{self, JoinHandle as Thread};
use std::{fmt, io};

use async_channel::{Receiver, Sender};
use async_executor::Executor as AsyncExecutor;
use polyexec_core::executor::process::Process;
use polyexec_core::executor::{Boxed, is_large, park_on};
use polyexec_core::task::Scope;
use polyexec_core::{Executor, JoinHandle, SpawnError, block_in_place};

use crate::SmolHandle;

/// Owns an async-executor and the threads that run its tasks.
///
/// # What dropping does
///
/// Shuts down: drops every future, resolves every handle, and joins every thread, after the polls that run. In one of its own
/// tasks it joins nothing: the threads end by themselves.
///
/// # Examples
///
/// ```
/// use polyexec_smol::Smol;
///
/// let smol = Smol::with_threads(2)?;
/// let task = smol.spawn(async { std::thread::current().name().map(str::to_owned) });
/// assert!(smol.block_on(task).unwrap().unwrap().starts_with("smol-"));
/// # std::io::Result::Ok(())
/// ```
pub struct Smol {
    handle: SmolHandle,
    /// `None` during the drop.
    executor: Option<Arc<AsyncExecutor<'static>>>,
    /// Closed to end the threads.
    run: Sender<()>,
    threads: Vec<Thread<()>>,
    made_in: Process,
}

impl Smol {
    /// As many threads as the system has processors.
    ///
    /// # Errors
    ///
    /// The system has no thread.
    pub fn new() -> io::Result<Self> {
        Self::with_threads(thread::available_parallelism().map_or(1, usize::from))
    }

    /// This many threads, called `smol-0` and so on.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: zero threads. Else the system's reason for not starting a thread.
    pub fn with_threads(threads: usize) -> io::Result<Self> {
        if threads == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "an executor needs a thread at least"));
        }
        let executor = Arc::new(AsyncExecutor::new());
        let (run, end) = async_channel::bounded(1);
        let handle = SmolHandle::with_threads(&executor);
        // Dropped with an error, it ends the threads that have started.
        let mut smol =
            Self { handle, executor: Some(executor.clone()), run, threads: Vec::new(), made_in: Process::current() };
        for number in 0..threads {
            let (executor, end) = (executor.clone(), end.clone());
            let thread = thread::Builder::new().name(format!("smol-{number}")).spawn(|| work(executor, end))?;
            smol.threads.push(thread);
        }
        Ok(smol)
    }

    /// A handle, for other threads, and for code that takes any executor.
    pub fn handle(&self) -> SmolHandle {
        self.handle.clone()
    }

    /// Spawns `future`. See [`Executor::spawn`].
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

    /// Spawns `future`, or gives it back. See [`Executor::try_spawn`].
    ///
    /// # Errors
    ///
    /// None while the executor lives.
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

/// What each thread does: runs tasks until the owner's drop.
fn work(executor: Arc<AsyncExecutor<'static>>, end: Receiver<()>) {
    _ = park_on(executor.run(end.recv()));
}

impl Drop for Smol {
    fn drop(&mut self) {
        let executor = self.executor.take();
        if !self.made_in.is_current() {
            // A forked child has none of its parent's threads: leave the executor as it is.
            return std::mem::forget((executor, self.run.clone()));
        }
        self.handle.close();
        self.run.close();
        let this = thread::current().id();
        if !self.threads.iter().any(|thread| thread.thread().id() == this) {
            // The caller may be a task of another executor, whose other tasks the polls here may wait for.
            block_in_place(|| {
                for thread in self.threads.drain(..) {
                    // The panic hook has reported a panic.
                    _ = thread.join();
                }
            });
        }
        // The last reference ends the tasks that are queued.
        drop(executor);
    }
}

// A task's panic stays with the task.
impl std::panic::UnwindSafe for Smol {}
impl std::panic::RefUnwindSafe for Smol {}

impl fmt::Debug for Smol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smol").field("handle", &self.handle).field("threads", &self.threads.len()).finish()
    }
}
