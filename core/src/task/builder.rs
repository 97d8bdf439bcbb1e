//! Spawns a task with a name. `spawn` does the rest.

use alloc::boxed::Box;

use super::cell::Label;
use super::large::{Boxed, is_large};
use super::spawn;
use crate::error::SpawnError;
use crate::{Executor, JoinHandle};

/// Spawns a task with a name, which its errors show.
///
/// # Examples
///
/// ```
/// use polyexec_core::{block_on, task};
///
/// // No executor runs on this thread, so the task is refused; the error names it.
/// let handle = task::Builder::new().name("reader").spawn(async { 1 });
/// let error = block_on(handle).unwrap_err();
/// assert_eq!(error.task().name(), Some("reader"));
/// ```
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until it spawns"]
pub struct Builder {
    name: Option<Box<str>>,
}

impl Builder {
    /// A task without a name.
    pub const fn new() -> Self {
        Self { name: None }
    }

    /// Names the task: see [`TaskInfo::name`](crate::TaskInfo::name).
    pub fn name(self, name: impl Into<Box<str>>) -> Self {
        Self { name: Some(name.into()) }
    }

    /// Spawns `future` on the executor that runs on this thread, as [`spawn`](crate::spawn) does.
    #[cfg(feature = "std")]
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        if const { is_large::<F>() } {
            return self.spawn_on_own(crate::executor::context::here(), Boxed::from(Box::new(future)));
        }
        self.spawn_on_own(crate::executor::context::here(), future)
    }

    /// Spawns `future` on `executor`, as [`Executor::spawn`] does.
    #[track_caller]
    pub fn spawn_on<E, F>(self, executor: &E, future: F) -> JoinHandle<F::Output>
    where
        E: Executor + Clone,
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        if const { is_large::<F>() } {
            return self.spawn_on_own(executor.clone(), Boxed::from(Box::new(future)));
        }
        self.spawn_on_own(executor.clone(), future)
    }

    /// As [`spawn_on`](Builder::spawn_on); the executor is the task's own.
    #[track_caller]
    fn spawn_on_own<E, F>(self, executor: E, future: F) -> JoinHandle<F::Output>
    where
        E: Executor,
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        spawn::spawn(executor, future, self.label())
    }

    /// Spawns `future` on the executor that runs on this thread, as [`try_spawn`](crate::try_spawn) does.
    ///
    /// # Errors
    ///
    /// The executor refused the task, or there is no executor. The error has the future.
    #[cfg(feature = "std")]
    #[track_caller]
    pub fn try_spawn<F>(self, future: F) -> Result<JoinHandle<F::Output>, SpawnError<F>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        if const { is_large::<F>() } {
            return self
                .try_spawn_on_own(crate::executor::context::here(), Boxed::from(Box::new(future)))
                .map_err(SpawnError::unboxed);
        }
        self.try_spawn_on_own(crate::executor::context::here(), future)
    }

    /// Spawns `future` on `executor`, as [`Executor::try_spawn`] does.
    ///
    /// # Errors
    ///
    /// The executor refused the task. The error has the future.
    #[track_caller]
    pub fn try_spawn_on<E, F>(self, executor: &E, future: F) -> Result<JoinHandle<F::Output>, SpawnError<F>>
    where
        E: Executor + Clone,
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        if const { is_large::<F>() } {
            return self.try_spawn_on_own(executor.clone(), Boxed::from(Box::new(future))).map_err(SpawnError::unboxed);
        }
        self.try_spawn_on_own(executor.clone(), future)
    }

    /// As [`try_spawn_on`](Builder::try_spawn_on); the executor is the task's own.
    #[track_caller]
    fn try_spawn_on_own<E, F>(self, executor: E, future: F) -> Result<JoinHandle<F::Output>, SpawnError<F>>
    where
        E: Executor,
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        spawn::try_spawn(executor, future, self.label())
    }

    #[track_caller]
    fn label(self) -> Label {
        let label = Label::here();
        match self.name {
            None => label,
            Some(name) => label.named(name),
        }
    }
}
