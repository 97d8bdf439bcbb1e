//! The report of a poll that doesn't end.

use std::time::Duration;

use polyexec_core::{AbortHandle, TaskInfo};

/// A task whose poll takes long: it blocks or computes. The hook of [`on_stall`](crate::Builder::on_stall) gets it.
///
/// # What dropping does
///
/// Nothing to the task.
#[derive(Debug)]
pub struct Stall {
    pub(crate) task: AbortHandle,
    pub(crate) duration: Duration,
}

impl Stall {
    /// The id, name and location of the task.
    pub fn task(&self) -> TaskInfo {
        self.task.task()
    }

    /// How long the poll has taken so far, at least.
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// Aborts the task, once its poll ends.
    pub fn abort_handle(&self) -> &AbortHandle {
        &self.task
    }
}
