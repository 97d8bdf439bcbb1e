//! Handles that panic when their task has: as an outcome.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use polyexec_soak::outcome::Outcome;

/// Polls a handle; a panic of its task's is an outcome.
pub fn poll(
    poll: impl FnOnce() -> Poll<Outcome>,
    panicked: impl FnOnce(Box<dyn Any + Send>) -> Outcome,
) -> Poll<Outcome> {
    catch_unwind(AssertUnwindSafe(poll)).unwrap_or_else(|payload| Poll::Ready(panicked(payload)))
}
