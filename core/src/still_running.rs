//! What a shutdown with a time limit answers when the time is over.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::error::Error;
use core::fmt;
use core::panic::Location;

use crate::executor::Task;
use crate::{AbortHandle, TaskId};

/// What a task is called: its id, its name if it has one, and the place that spawned it.
///
/// # What dropping does
///
/// Nothing to the task, which this doesn't hold on to.
///
/// # Examples
///
/// ```
/// use polyexec_core::task::Info;
///
/// let handle = polyexec_core::spawn(async {});
/// let info = Info::from(&handle.abort_handle());
/// assert_eq!(info.id(), handle.id());
/// assert!(info.to_string().starts_with("task "));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Info {
    id: TaskId,
    name: Option<Box<str>>,
    location: &'static Location<'static>,
}

impl Info {
    /// The id of the task.
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// The name that the task was spawned with, if any.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The place in the source that spawned the task.
    pub fn location(&self) -> &'static Location<'static> {
        self.location
    }
}

/// Allocates only if the task has a name.
impl From<&Task> for Info {
    fn from(task: &Task) -> Self {
        Self { id: task.id(), name: task.name().map(Into::into), location: task.location() }
    }
}

impl From<&AbortHandle> for Info {
    fn from(task: &AbortHandle) -> Self {
        Self { id: task.id(), name: task.name().map(Into::into), location: task.location() }
    }
}

impl fmt::Display for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {}", self.id)?;
        if let Some(name) = self.name() {
            write!(f, " `{name}`")?;
        }
        write!(f, " (spawned at {})", self.location)
    }
}

impl fmt::Debug for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Not all of an executor's polls had ended when the time for its shutdown was over.
///
/// The executor has shut down all the same: it takes no tasks, and those that didn't run are dropped. What still runs ends
/// by itself: when its poll does, the future is dropped, the handle resolves, and the thread leaves.
///
/// # Examples
///
/// ```
/// # use polyexec_core::StillRunning;
/// fn report(left: &StillRunning) {
///     eprintln!("gave up waiting: {left}");
///     for task in left.tasks() {
///         eprintln!("  see {}", task.location());
///     }
/// }
/// # let _ = report;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StillRunning {
    tasks: Vec<Info>,
    threads: usize,
}

impl StillRunning {
    /// These tasks are polled, and so many threads haven't ended. For those who write an executor.
    pub fn new(tasks: Vec<Info>, threads: usize) -> Self {
        Self { tasks, threads }
    }

    /// The tasks whose polls haven't ended, as far as the executor knows them: its `shutdown_timeout` says how far that is.
    pub fn tasks(&self) -> &[Info] {
        &self.tasks
    }

    /// How many threads there are still: those that poll, and those that do something else at their end, in a hook, say.
    pub fn threads(&self) -> usize {
        self.threads
    }
}

impl fmt::Display for StillRunning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let threads: Cow<'_, str> = match self.threads {
            1 => "1 thread has".into(),
            threads => alloc::format!("{threads} threads have").into(),
        };
        write!(f, "{threads} not ended")?;
        for (place, task) in self.tasks.iter().enumerate() {
            write!(f, "{} {task}", if place == 0 { "; still running:" } else { "," })?;
        }
        Ok(())
    }
}

impl Error for StillRunning {}

#[cfg(all(test, feature = "std", not(polyexec_loom)))]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn it_says_what_runs_and_where_it_came_from() {
        let handle = crate::task::Builder::new().name("reader").spawn(async {});
        let reader = Info::from(&handle.abort_handle());
        assert_eq!(reader.name(), Some("reader"));
        assert!(reader.location().file().ends_with("still_running.rs"));
        let left = StillRunning::new([reader.clone()].into(), 2);
        let told = left.to_string();
        assert!(told.starts_with("2 threads have not ended; still running: task "), "{told}");
        assert!(told.contains("`reader` (spawned at "), "{told}");
        assert_eq!(left.tasks(), [reader]);
        assert_eq!(StillRunning::new(Vec::new(), 1).to_string(), "1 thread has not ended");
    }
}
