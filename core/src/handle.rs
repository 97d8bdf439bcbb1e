//! A handle of any executor, and the ways to spawn on the current one. `executor/context` knows which one that is.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::sync::Arc;

use crate::error::{Rejected, SpawnError};
use crate::executor::{Boxed, Clock, Executor, Task, context};
use crate::observe::Observer;
use crate::task::cell::Label;
use crate::{JoinHandle, task};

/// A handle of any executor, its type erased. [`Handle::current`] returns the executor of the calling code.
///
/// # What dropping does
///
/// Nothing to the executor, which belongs to its owner.
///
/// # Examples
///
/// ```
/// use polyexec_core::{Executor, Handle};
///
/// async fn both() {
///     if let Some(executor) = Handle::current() {
///         let other = executor.spawn(async { /* … */ });
///         other.await.unwrap();
///     }
/// }
/// ```
#[derive(Clone)]
pub struct Handle(Arc<dyn Executor>);

impl Handle {
    /// Erases the type of `executor`.
    pub fn new(executor: impl Executor) -> Self {
        Self(Arc::new(executor))
    }

    /// The executor whose task or `block_on` this thread runs now. `None` outside of them, and while the thread's locals are
    /// destroyed.
    ///
    /// While a shutdown drops a future, it is the executor that shuts down, on any thread.
    pub fn current() -> Option<Self> {
        context::current()
    }
}

// An executor must survive a panic for its other callers anyway.
impl UnwindSafe for Handle {}
impl RefUnwindSafe for Handle {}

impl<E: Executor> From<Arc<E>> for Handle {
    fn from(executor: Arc<E>) -> Self {
        Self(executor)
    }
}

impl Executor for Handle {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        self.0.submit(task)
    }

    fn schedule(&self, task: Task) {
        self.0.schedule(task);
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        self.0.drive(future);
    }

    fn wait(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        self.0.wait(future);
    }

    fn block_in_place(&self, work: &mut dyn FnMut()) {
        self.0.block_in_place(work);
    }

    fn clock(&self) -> Option<Arc<dyn Clock>> {
        self.0.clock()
    }

    fn runs_only_here(&self) -> bool {
        self.0.runs_only_here()
    }

    fn observer(&self) -> Option<&dyn Observer> {
        self.0.observer()
    }
}

impl futures_task::Spawn for Handle {
    fn spawn_obj(&self, future: futures_task::FutureObj<'static, ()>) -> Result<(), futures_task::SpawnError> {
        context::spawn_obj(self, future)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

/// Spawns `future` on the executor that runs on this thread.
///
/// Outside of any executor, the handle resolves as rejected. (The facade's function of this name starts a default executor
/// instead.)
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    if const { task::is_large::<F>() } {
        return task::Builder::new().spawn(Boxed::from(Box::new(future)));
    }
    task::Builder::new().spawn(future)
}

/// As [`spawn`], but returns the future in its error if no executor takes it.
///
/// # Errors
///
/// The executor refused the task, or there is no executor.
#[track_caller]
pub fn try_spawn<F>(future: F) -> Result<JoinHandle<F::Output>, SpawnError<F>>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    if const { task::is_large::<F>() } {
        return task::Builder::new().try_spawn(Boxed::from(Box::new(future))).map_err(SpawnError::unboxed);
    }
    task::Builder::new().try_spawn(future)
}

/// Spawns a future that need not be `Send` on the executor that runs on this thread, which must be of one thread, as
/// `polyexec_local::Local` is.
///
/// # Examples
///
/// ```
/// use polyexec_core::{JoinError, spawn_local};
/// use std::rc::Rc;
///
/// /// For tasks of a `Local`.
/// async fn length(text: Rc<str>) -> Result<usize, JoinError> {
///     spawn_local(async move { text.len() }).await
/// }
/// ```
///
/// # Panics
///
/// Outside of any executor, and where the current one doesn't run [all its tasks here](Executor::runs_only_here).
#[track_caller]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let Some(executor) = Handle::current() else {
        panic!("`spawn_local` was called outside of any executor: call it in a task or `block_on` of a `Local`")
    };
    if const { task::is_large::<F>() } {
        return task::thread_bound::spawn(executor, Boxed::from(Box::new(future)), Label::here());
    }
    task::thread_bound::spawn(executor, future, Label::here())
}
