//! A slot for one task, which any thread may put in or take out. Doesn't say whether one is in there.

use core::fmt;

use super::Task;
use super::cell::AtomicDropGuard;

/// Holds at most one task, without a lock: a queue of capacity one.
///
/// For the next task of an executor's worker, which other workers may steal.
///
/// # What dropping does
///
/// Drops the [`Task`] in it, which ends that.
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
    /// An empty slot.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts `task` in, and returns the one before.
    #[inline]
    pub fn swap(&self, task: Task) -> Option<Task> {
        self.0.swap(Some(task.0)).map(Task)
    }

    /// Takes the task out, if there is one. Sees what the thread that put it in did before.
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
