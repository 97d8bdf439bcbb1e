//! A place for one task, which any thread may put in or take out. Says nothing of whether one is in there.

use core::fmt;

use super::Task;
use super::cell::AtomicDropGuard;

/// Holds one task at most; threads put one in and take it out without a lock.
///
/// For an executor's worker and its next task, which others may steal: a queue of one place.
///
/// # What dropping does
///
/// Drops the [`Task`] that is in there, which ends it.
///
/// # Examples
///
/// ```
/// use polyexec_core::executor::{Task, TaskSlot};
/// # use polyexec_core::{Executor, executor::Rejected};
/// # use std::pin::Pin;
/// # struct MyExecutor;
/// # impl Executor for MyExecutor {
/// #     fn submit(&self, task: Task) -> Result<(), Rejected> { Err(Rejected::shut_down(task)) }
/// #     fn schedule(&self, _: Task) {}
/// #     fn drive(&self, _: Pin<&mut dyn Future<Output = ()>>) {}
/// # }
///
/// let next = TaskSlot::new();
/// let (task, handle) = Task::new(async { 7 }, MyExecutor);
/// assert!(next.swap(task).is_none());
/// std::thread::scope(|threads| {
///     threads.spawn(|| next.take().map(Task::run));
/// });
/// assert!(next.take().is_none());
/// assert!(handle.is_finished());
/// ```
#[derive(Default)]
pub struct TaskSlot(AtomicDropGuard);

impl TaskSlot {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts `task` in here, and returns the one that was.
    #[inline]
    pub fn swap(&self, task: Task) -> Option<Task> {
        self.0.swap(Some(task.0)).map(Task)
    }

    /// Takes the task out, if there is one. What whoever put it did before that is visible then.
    #[inline]
    pub fn take(&self) -> Option<Task> {
        self.0.swap(None).map(Task)
    }
}

impl fmt::Debug for TaskSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskSlot").finish_non_exhaustive()
    }
}
