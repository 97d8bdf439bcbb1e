//! What is told of a poll that doesn't end.

use std::time::Duration;

use polyexec_core::{AbortHandle, TaskInfo};

/// A task whose poll takes long: it blocks, or computes. Comes to the hook of [`on_stall`](crate::Builder::on_stall).
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
    /// The task's id, name and place.
    pub fn task(&self) -> TaskInfo {
        self.task.task()
    }

    /// How long its poll has taken so far, at least.
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// Aborts the task, which is in force when its poll ends.
    pub fn abort_handle(&self) -> &AbortHandle {
        &self.task
    }
}
