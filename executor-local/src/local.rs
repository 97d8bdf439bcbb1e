//! The executor itself, which stays on its owner thread. Leaves the queues to `handle`.

use std::marker::PhantomData;

use futures_task::{FutureObj, LocalFutureObj, SpawnError as SpawnObjError};
use polyexec_core::executor::process::Process;
use polyexec_core::executor::{Boxed, context, is_large};
use polyexec_core::task::Scope;
use polyexec_core::{Executor, JoinHandle, SpawnError};

use crate::{Builder, LocalHandle};

/// Runs tasks on the thread that made it, during calls such as [`block_on`](Local::block_on), [`run`](Local::run) and
/// [`run_until_stalled`](Local::run_until_stalled).
///
/// # What dropping does
///
/// Shuts down: drops every future on this thread, and resolves every handle. In one of its own tasks, that task ends when its
/// poll does. There is no shutdown with a timeout, since no other poll can be running.
///
/// # Examples
///
/// ```
/// use polyexec_local::Local;
///
/// let local = Local::new();
/// let handle = local.handle();
/// let from_afar = std::thread::spawn(move || handle.spawn(async { 6 * 7 }));
/// # use polyexec_core::Executor;
/// assert_eq!(local.block_on(from_afar.join().unwrap()).unwrap(), 42);
/// ```
#[derive(Debug)]
pub struct Local {
    handle: LocalHandle,
    made_in: Process,
    /// Not `Send`: it belongs to its thread.
    not_send: PhantomData<*const ()>,
}

impl Local {
    /// An executor that the calling thread owns.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Configures an executor.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn with(handle: LocalHandle) -> Self {
        Self { handle, made_in: Process::current(), not_send: PhantomData }
    }

    /// A handle, for other threads, and for code that takes any executor.
    pub fn handle(&self) -> LocalHandle {
        self.handle.clone()
    }

    /// Spawns a `Send` future. See [`Executor::spawn`].
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

    /// Spawns a `Send` future, or gives it back. See [`Executor::try_spawn`].
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

    /// Spawns a future that need not be `Send`: it is polled and dropped on this thread only, even if another thread drops its
    /// last waker.
    #[track_caller]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        if const { is_large::<F>() } {
            return self.handle.spawn_local(Boxed::from(Box::new(future)));
        }
        self.handle.spawn_local(future)
    }

    /// Runs the tasks until `future` is ready, and polls it in between. Sleeps while none is ready.
    ///
    /// Unfinished tasks go on with the next call.
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
    ///
    /// # Examples
    ///
    /// ```
    /// use polyexec_local::Local;
    ///
    /// let mut numbers = [1, 2, 3];
    /// Local::new().scope(|s| {
    ///     for number in &mut numbers {
    ///         s.spawn(async { *number *= 2 });
    ///     }
    /// });
    /// assert_eq!(numbers, [2, 4, 6]);
    /// ```
    #[track_caller]
    pub fn scope<'env, T>(&self, body: impl for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T) -> T {
        self.handle.scope(body)
    }

    /// Like [`block_on`](Local::block_on), but as a future: pending while no task is ready. So these tasks run inside another
    /// executor that uses this thread.
    ///
    /// The future isn't `Send`. Give it to that executor's `block_on`, or spawn it as a task that stays on this thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use polyexec_core::block_on;
    /// use polyexec_local::Local;
    /// use std::rc::Rc;
    ///
    /// let local = Local::new();
    /// let text = Rc::new("not Send".to_owned());
    /// let length = local.spawn_local(async move { text.len() });
    /// // `block_on` stands for any loop of this thread, such as that of a graphical program.
    /// block_on(async {
    ///     assert_eq!(local.run_until(length).await.unwrap(), 8);
    /// });
    /// ```
    ///
    /// # Panics
    ///
    /// If `future` does.
    ///
    /// # Cancel safety
    ///
    /// Dropping it early drops `future`. The tasks go on with the next call.
    pub async fn run_until<F: Future>(&self, future: F) -> F::Output {
        self.handle.run_until(future).await
    }

    /// Runs the tasks until none is left, including those that are spawned meanwhile. Sleeps while none is ready.
    ///
    /// Never returns if a task never ends, or if one of the tasks calls it.
    ///
    /// # Examples
    ///
    /// ```
    /// use polyexec_local::Local;
    ///
    /// let local = Local::new();
    /// let handle = local.handle();
    /// let outer = local.spawn_local(async move { handle.spawn_local(async { println!("the last one") }) });
    /// local.run();
    /// assert!(outer.is_finished());
    /// ```
    pub fn run(&self) {
        self.block_on(self.finished());
    }

    /// Ready when no task is left. Runs no task itself.
    ///
    /// Await it in [`run_until`](Local::run_until) to run all tasks inside another executor.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it may be awaited again.
    ///
    /// # Examples
    ///
    /// ```
    /// use polyexec_core::block_on;
    /// use polyexec_local::Local;
    ///
    /// let local = Local::new();
    /// let task = local.spawn_local(async { 42 });
    /// block_on(local.run_until(local.finished()));
    /// assert!(task.is_finished());
    /// ```
    pub async fn finished(&self) {
        std::future::poll_fn(|cx| self.handle.poll_finished(cx)).await;
    }

    /// Runs the tasks until none is ready, and returns instead of sleeping. For a loop that is not an executor's:
    /// [`on_ready`](Builder::on_ready) tells it when to call this.
    ///
    /// Also handles I/O events and timers that were due before the call, and some that become due during it. Never returns if
    /// a task wakes itself for ever.
    pub fn run_until_stalled(&self) {
        self.handle.run_until_stalled();
    }
}

impl Default for Local {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        if self.made_in.is_current() {
            self.handle.shut_down();
        } else {
            // In a forked child, leave the executor as it is: its sockets and timers are the parent's.
            std::mem::forget(self.handle.clone());
        }
    }
}

impl futures_task::Spawn for Local {
    fn spawn_obj(&self, future: FutureObj<'static, ()>) -> Result<(), SpawnObjError> {
        context::spawn_obj(&self.handle, future)
    }
}

impl futures_task::LocalSpawn for Local {
    fn spawn_local_obj(&self, future: LocalFutureObj<'static, ()>) -> Result<(), SpawnObjError> {
        self.handle.spawn_local_obj(future)
    }

    fn status_local(&self) -> Result<(), SpawnObjError> {
        self.handle.status_local()
    }
}
