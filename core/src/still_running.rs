//! What a shutdown with a time limit answers when the limit has passed.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::error::Error;
use core::fmt;

use crate::TaskInfo;

/// Some tasks were still running when the shutdown timeout expired.
///
/// The executor has shut down all the same: it takes no tasks, and it has dropped those that didn't run. The running ones end
/// by themselves: after the poll, the future is dropped, the handle resolves, and the thread exits.
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
    tasks: Vec<TaskInfo>,
    threads: usize,
}

impl StillRunning {
    /// For the author of an executor: these tasks are being polled, and this many threads haven't exited.
    pub fn new(tasks: Vec<TaskInfo>, threads: usize) -> Self {
        Self { tasks, threads }
    }

    /// The tasks that are still being polled, as far as the executor knows them. Its `shutdown_timeout` says how far.
    pub fn tasks(&self) -> &[TaskInfo] {
        &self.tasks
    }

    /// How many threads haven't exited. Some may poll nothing: they run a hook, say.
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
        let reader = crate::task::Builder::new().name("reader").spawn(async {}).task();
        assert_eq!(reader.name(), Some("reader"));
        assert!(reader.location().file().ends_with("still_running.rs"));
        let left = StillRunning::new([reader.clone()].into(), 2);
        let shown = left.to_string();
        assert!(shown.starts_with("2 threads have not ended; still running: task "), "{shown}");
        assert!(shown.contains("`reader` (spawned at "), "{shown}");
        assert_eq!(left.tasks(), [reader]);
        assert_eq!(StillRunning::new(Vec::new(), 1).to_string(), "1 thread has not ended");
    }
}
