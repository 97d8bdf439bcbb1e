//! What time it is, and who is woken when: the one thing that timers need of whoever runs them.

use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use crate::executor::context;

/// Tells the time, and wakes whoever waits for a moment.
///
/// An executor may have a clock of its own, and say so in [`Executor::clock`](crate::Executor::clock): a simulated one, whose
/// time goes on when nobody has anything to do. The timers of `polyexec-futures` use that of the executor that they are made
/// on, or else a real one.
///
/// # Writing a clock
///
/// Wakers are code of somebody's: they are called, cloned and dropped under none of the clock's locks.
pub trait Clock: Send + Sync + 'static {
    /// The time.
    fn now(&self) -> Instant;

    /// Whether it is `deadline`, or later. A clock may know that without a look at the time.
    fn has_passed(&self, deadline: Instant) -> bool {
        self.now() >= deadline
    }

    /// Has `waker` called once, at `deadline` or later. The number is this timer's alone among those of the same deadline.
    fn set(&self, deadline: Instant, waker: &Waker) -> u64;

    /// Has `waker` called in place of the one before, if that wasn't called yet. Whether that is so.
    fn renew(&self, deadline: Instant, timer: u64, waker: &Waker) -> bool;

    /// Takes a timer's waker out, if it wasn't called yet. The clock won't call it any more: a timer that is reset sets it again.
    fn cancel(&self, deadline: Instant, timer: u64) -> Option<Waker>;
}

/// The clock of the executor whose task, or whose `block_on`, runs on this thread now, if it has one of its own. The executor
/// was asked for it when the thread [entered](crate::executor::context::enter) its context.
pub fn clock() -> Option<Arc<dyn Clock>> {
    context::clock()
}
