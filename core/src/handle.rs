//! A handle of any executor, and how to spawn on the one that runs on this thread.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::sync::Arc;

use crate::error::{Rejected, SpawnError};
use crate::executor::{Boxed, Clock, Executor, Task, context};
use crate::{JoinHandle, task};

/// Any executor, its type forgotten: what [`Handle::current`] gives to code that doesn't care which one it runs on.
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
    /// Forgets the type of `executor`.
    pub fn new(executor: impl Executor) -> Self {
        Self(Arc::new(executor))
    }

    /// The executor whose task, or whose `block_on`, runs on this thread now. `None` outside of them, and while the
    /// thread's locals are being destroyed.
    ///
    /// In the destructor of a task that a shutdown ends, it is the executor that shuts down, on whatever thread that runs.
    pub fn current() -> Option<Self> {
        context::current()
    }
}

// What an executor leaves half done by a panic, it has to mend for its other callers anyway.
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
/// Outside of any executor there is nobody to run it: the handle resolves as rejected. (The facade crate `polyexec` has
/// a function of this name that starts a default executor instead.)
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

/// As [`spawn`], but gives the future back if no executor takes it.
///
/// # Errors
///
/// The executor's reason for not taking the task, or that there is no executor; and the future.
#[track_caller]
pub fn try_spawn<F>(future: F) -> Result<JoinHandle<F::Output>, SpawnError<F>>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    if const { task::is_large::<F>() } {
        return task::Builder::new()
            .try_spawn_on(&context::here(), Boxed::from(Box::new(future)))
            .map_err(SpawnError::unboxed);
    }
    task::Builder::new().try_spawn_on(&context::here(), future)
}
