//! Names a task to people: id, name and place. Holds on to no task.

use alloc::boxed::Box;
use core::fmt;
use core::panic::Location;

use super::TaskId;
use super::cell::Label;

/// Names a task: its id, its name if it has one, and the place that spawned it.
///
/// Errors and handles of a task give one. It is a copy, so it outlives the task; it allocates only for a name.
///
/// # What dropping does
///
/// Nothing to the task.
///
/// # Examples
///
/// ```
/// let handle = polyexec_core::spawn(async {});
/// let task = handle.task();
/// assert_eq!(task.id(), handle.id());
/// assert_eq!(task.name(), None);
/// assert!(task.to_string().starts_with("task "));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct TaskInfo {
    id: TaskId,
    name: Option<Box<str>>,
    location: &'static Location<'static>,
}

impl TaskInfo {
    pub(crate) fn new(id: TaskId, label: &Label) -> Self {
        Self { id, name: label.name().map(Into::into), location: label.location() }
    }

    /// The id of the task.
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// The name given to [`task::Builder`](crate::task::Builder::name), if any.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The place in the source that spawned the task.
    pub fn location(&self) -> &'static Location<'static> {
        self.location
    }
}

/// `` task 7 `reader` (spawned at src/main.rs:3:5) ``
impl fmt::Display for TaskInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {}", self.id)?;
        if let Some(name) = self.name() {
            write!(f, " `{name}`")?;
        }
        write!(f, " (spawned at {})", self.location)
    }
}

impl fmt::Debug for TaskInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The task that this thread is polling; of nested ones, the innermost. `None` outside of tasks, and in a `block_on` outside of
/// tasks.
///
/// For a log that names its task. [`TaskId::current`] costs less, since a name is copied.
///
/// # Examples
///
/// ```
/// use polyexec_core::task;
/// # use polyexec_core::{Executor, JoinError};
///
/// async fn name(executor: &(impl Executor + Clone)) -> Result<Option<String>, JoinError> {
///     let reader = task::Builder::new().name("reader");
///     let named = reader.spawn_on(executor, async { task::current()?.name().map(String::from) });
///     named.await
/// }
/// assert_eq!(task::current(), None);
/// ```
#[cfg(feature = "std")]
pub fn current() -> Option<TaskInfo> {
    super::cell::with_current(super::cell::TaskRef::info)
}
