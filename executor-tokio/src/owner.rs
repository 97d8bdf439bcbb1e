//! The owner of a tokio runtime, which shuts it down. Leaves tasks to `handle`.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use std::{fmt, io};

use polyexec_core::executor::process::Process;
use polyexec_core::executor::{Boxed, is_large};
use polyexec_core::task::Scope;
use polyexec_core::{Executor, JoinHandle, SpawnError, block_in_place};
use tokio::runtime::{Builder, Runtime};

use crate::TokioHandle;

/// Owns a tokio runtime, and runs tasks on it.
///
/// # What dropping does
///
/// Shuts the runtime down: drops every future, tokio's tasks included, resolves every handle, and joins tokio's threads, which
/// finish their polls and their blocking work first.
///
/// Inside the runtime (in a task, or in a future that its `block_on` polls) it waits for nothing: what is being polled ends
/// after its poll.
///
/// # Examples
///
/// ```
/// use polyexec_tokio::Tokio;
///
/// let tokio = Tokio::new()?;
/// let task = tokio.spawn(async { 6 * 7 });
/// assert_eq!(tokio.block_on(task).unwrap(), 42);
/// # std::io::Result::Ok(())
/// ```
pub struct Tokio {
    handle: TokioHandle,
    made_in: Process,
}

impl Tokio {
    /// A multi-threaded runtime with one worker a processor, and with tokio's timers and I/O if their features are on.
    ///
    /// # Errors
    ///
    /// The system has no thread, or no file for the I/O.
    pub fn new() -> io::Result<Self> {
        Builder::new_multi_thread().enable_all().build().map(Self::from)
    }

    /// A current-thread runtime, with tokio's timers and I/O if their features are on. Its tasks run during
    /// [`block_on`](Tokio::block_on).
    ///
    /// # Errors
    ///
    /// The system has no file for the I/O.
    pub fn current_thread() -> io::Result<Self> {
        Builder::new_current_thread().enable_all().build().map(Self::from)
    }

    /// A handle, for other threads, and for code that takes any executor.
    pub fn handle(&self) -> TokioHandle {
        self.handle.clone()
    }

    /// Spawns `future` on the runtime. See [`Executor::spawn`].
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

    /// Spawns `future` on the runtime, or gives it back. See [`Executor::try_spawn`].
    ///
    /// # Errors
    ///
    /// None while the runtime lives.
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

    /// Polls `future` on this thread until it is ready, inside the runtime. See [`Executor::block_on`].
    ///
    /// # Panics
    ///
    /// If `future` does. On a current-thread runtime also inside the `block_on` of another one, as tokio does.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        if const { is_large::<F>() } {
            return self.handle.block_on(Box::pin(future));
        }
        self.handle.block_on(future)
    }

    /// Calls `body`, which may spawn children that borrow, and returns once they have ended. See [`Executor::scope`].
    ///
    /// On a current-thread runtime the children run once `body` has returned, so `body` must not wait for them.
    ///
    /// # Panics
    ///
    /// If `body` or a child does, or where [`block_on`](Tokio::block_on) does.
    #[track_caller]
    pub fn scope<'env, T>(&self, body: impl for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T) -> T {
        self.handle.scope(body)
    }

    /// Shuts down like a drop, but waits until `timeout` at most. Then what is being polled ends after its poll.
    ///
    /// Tokio doesn't tell what still runs.
    ///
    /// # Examples
    ///
    /// ```
    /// use polyexec_tokio::Tokio;
    /// use std::time::Duration;
    ///
    /// let tokio = Tokio::new()?;
    /// let idle = tokio.spawn(std::future::pending::<()>());
    /// tokio.shutdown_timeout(Duration::from_secs(1));
    /// assert!(idle.join().unwrap_err().is_shutdown());
    /// # std::io::Result::Ok(())
    /// ```
    pub fn shutdown_timeout(self, timeout: Duration) {
        self.shut_down(Some(timeout));
    }

    fn shut_down(&self, timeout: Option<Duration>) {
        if !self.made_in.is_current() {
            // A forked child has none of its parent's threads: leave the runtime as it is.
            std::mem::forget(self.handle.clone());
            return;
        }
        let Some(runtime) = self.handle.close() else { return };
        if self.handle.is_inside() {
            return runtime.shutdown_background();
        }
        let end = move |runtime: Runtime| match timeout {
            Some(timeout) => runtime.shutdown_timeout(timeout),
            None => drop(runtime),
        };
        if tokio::runtime::Handle::try_current().is_err() {
            return block_in_place(|| end(runtime));
        }
        // Tokio lets no runtime wait for another one's end, though a thread of its own may.
        let (give, take) = mpsc::channel();
        match thread::Builder::new().name("tokio-shutdown".to_owned()).spawn(move || take.recv().map(end)) {
            Ok(waits) => {
                _ = give.send(runtime);
                _ = block_in_place(|| waits.join());
            }
            Err(_) => runtime.shutdown_background(),
        }
    }
}

/// An executor on `runtime`, of either kind. It is dropped with the executor.
impl From<Runtime> for Tokio {
    fn from(runtime: Runtime) -> Self {
        Self { handle: TokioHandle::owning(runtime), made_in: Process::current() }
    }
}

impl Drop for Tokio {
    fn drop(&mut self) {
        self.shut_down(None);
    }
}

impl fmt::Debug for Tokio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokio").field("handle", &self.handle).finish()
    }
}
