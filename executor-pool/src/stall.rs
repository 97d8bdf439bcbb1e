//! The report of a poll that doesn't end.

use std::panic::Location;
use std::time::Duration;

use polyexec_core::{AbortHandle, TaskId};

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
    /// The id of the task.
    pub fn id(&self) -> TaskId {
        self.task.id()
    }

    /// The name that the task was spawned with, if any.
    pub fn name(&self) -> Option<&str> {
        self.task.name()
    }

    /// The place in the source that spawned the task.
    pub fn location(&self) -> &'static Location<'static> {
        self.task.location()
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
