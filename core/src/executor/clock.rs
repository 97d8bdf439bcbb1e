//! The clock that timers need: the time, and wakes at a given time. An executor may bring its own.

use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use crate::executor::context;

/// Tells the time, and wakes tasks at a given time.
///
/// An executor may return its own in [`Executor::clock`](crate::Executor::clock): a simulated one, say, which advances when
/// all tasks are idle. A timer of `polyexec-io` uses the clock of the executor that it was made on, or else the real one.
///
/// # Writing a clock
///
/// Wakers are user code: call, clone and drop them under none of the clock's locks.
pub trait Clock: Send + Sync + 'static {
    /// The time.
    fn now(&self) -> Instant;

    /// Whether `deadline` has passed. A clock may know that without reading the time.
    fn has_passed(&self, deadline: Instant) -> bool {
        self.now() >= deadline
    }

    /// Sets a timer: calls `waker` once, at `deadline` or later. The returned number is unique among timers of the same deadline.
    fn set(&self, deadline: Instant, waker: &Waker) -> u64;

    /// Replaces a timer's waker. `false`: the one before was called already.
    fn renew(&self, deadline: Instant, timer: u64, waker: &Waker) -> bool;

    /// Cancels a timer, and returns its waker. `None`: it was called already.
    fn cancel(&self, deadline: Instant, timer: u64) -> Option<Waker>;
}

/// The clock of the executor that runs on this thread, if that has its own.
///
/// The executor was asked for it when the thread [entered](crate::executor::context::enter) its context.
pub fn clock() -> Option<Arc<dyn Clock>> {
    context::clock()
}
