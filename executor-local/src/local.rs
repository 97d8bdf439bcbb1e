//! The owner, which stays on its thread.

use std::marker::PhantomData;

use futures_task::{FutureObj, LocalFutureObj, SpawnError as SpawnObjError};
use polyexec_core::executor::process::Process;
use polyexec_core::executor::{Boxed, context, is_large};
use polyexec_core::{Executor, JoinHandle, SpawnError};

use crate::LocalHandle;

/// Runs tasks on this thread, while it is driven by [`block_on`](Local::block_on) or
/// [`run_until_stalled`](Local::run_until_stalled).
///
/// # What dropping does
///
/// Shuts down: every future is dropped, here and now, and every handle resolves. Dropped in one of its own tasks, that
/// task ends when its poll does. No other is polled at that time, so there is nothing to wait for, and no limit to give.
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
    /// It belongs to its thread.
    not_send: PhantomData<*const ()>,
}

impl Local {
    /// An executor for this thread.
    pub fn new() -> Self {
        Self { handle: LocalHandle::new(), made_in: Process::current(), not_send: PhantomData }
    }

    /// A handle, for other threads and for code that takes any executor.
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

    /// Spawns `future`, which need not be `Send`: it is polled and dropped on this thread only, even if the last of its
    /// wakers dies elsewhere.
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

    /// Polls `future` and runs the tasks, in turns, until `future` is ready; sleeps while there is nothing to do.
    ///
    /// Tasks that aren't finished by then stay where they are, and go on with the next call.
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

    /// Polls `future` and runs the tasks, in turns, until `future` is ready, as a future: so another executor's thread runs them
    /// between its own. Where there is nothing to do it is pending.
    ///
    /// It isn't `Send`: it goes into the `block_on` of whatever runs on this thread, or into a task that stays there.
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
    /// // In place of `block_on`, the loop of a graphical program, say.
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
    /// Dropped before it is ready, it drops `future`. Tasks stay where they are, and go on with the next call.
    pub async fn run_until<F: Future>(&self, future: F) -> F::Output {
        self.handle.run_until(future).await
    }

    /// Runs the tasks until none is left, those that tasks and other threads spawn meanwhile among them. Sleeps while there is
    /// nothing to do.
    ///
    /// A task that never ends keeps this from returning; so does the task that calls it.
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

    /// Ready when no task is left. It runs none itself: await it in [`run_until`](Local::run_until), to run all tasks inside another
    /// executor.
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

    /// Runs the tasks until none of them is ready, and returns instead of sleeping. Those count as ready for which events have
    /// come before this, and some that come meanwhile: so a loop of somebody else's may call this now and then.
    ///
    /// A task that wakes itself for ever keeps this from returning.
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
            // The parent's, whose sockets and timers are the parent's, too.
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
