//! What the monitor asks of a pool. `handoff` answers.

use std::time::Instant;

/// A pool, as the monitor sees it.
pub(crate) trait Watched: Send {
    /// Identifies the pool: the address of what it shares.
    fn pool(&self) -> usize;

    /// Whether the next tick may find something. Called after a fence; a worker has one after it started, or after it was left
    /// without a thread.
    fn is_due(&self) -> bool;

    fn tick(&mut self, now: Instant) -> Tick;

    /// Ends the tasks of detached workers: the pool shuts down.
    fn end_tasks(self: Box<Self>);
}

/// What a tick has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tick {
    /// Every worker is idle, and each detached one knows of it or will.
    Idle,
    /// A worker runs tasks, or waits for a thread.
    Busy,
}
