//! A future that counts its polls. Prints nothing: an observer can.

use alloc::sync::Arc;
use core::fmt;
use core::pin::Pin;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::task::{Context, Poll};

/// Returns a future that is ready at its `max`th poll. Its output is the number of polls.
///
/// Short for [`Counter::new`].
///
/// # Examples
///
/// ```
/// use polyexec_futures::count;
///
/// assert_eq!(polyexec_core::block_on(count(3)), 3);
/// // No future is ready before its first poll.
/// assert_eq!(polyexec_core::block_on(count(0)), 1);
/// ```
pub fn count(max: u64) -> Counter {
    Counter::new(max)
}

/// Counts its polls, and is ready once the count reaches `max`. Its output is the count.
///
/// Each pending poll wakes the task by reference, so its executor polls it again soon. A new `Counter` is pending `max - 1`
/// times. With a `max` of zero it is ready at its first poll, and returns one.
///
/// Polled after it was ready, it counts on, and is ready again.
///
/// # What dropping does
///
/// Nothing: the count is shared, and outlives the future.
///
/// # Cancel safety
///
/// Cancel safe: polls stay counted.
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct Counter {
    counter: Arc<AtomicU64>,
    max: u64,
}

impl Counter {
    /// Counts from zero.
    pub fn new(max: u64) -> Self {
        Self::sharing(Arc::default(), max)
    }

    /// Counts in `counter`, which other futures may share.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::{Arc, atomic::AtomicU64};
    /// use polyexec_futures::Counter;
    ///
    /// let counter = Arc::new(AtomicU64::new(7));
    /// assert_eq!(polyexec_core::block_on(Counter::sharing(counter, 10)), 10);
    /// ```
    pub fn sharing(counter: Arc<AtomicU64>, max: u64) -> Self {
        Self { counter, max }
    }

    /// The count of polls. Any thread may read it at any time.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::atomic::Ordering::Relaxed;
    /// use polyexec_futures::count;
    ///
    /// let ten = count(10);
    /// let polls = ten.counter().clone();
    /// assert_eq!(polls.load(Relaxed), 0);
    /// polyexec_core::block_on(ten);
    /// assert_eq!(polls.load(Relaxed), 10);
    /// ```
    pub fn counter(&self) -> &Arc<AtomicU64> {
        &self.counter
    }

    /// The count at which this is ready.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// Calls `observer` with the count at each poll, including the last.
    ///
    /// # Examples
    ///
    /// ```
    /// use polyexec_futures::count;
    ///
    /// let mut seen = Vec::new();
    /// polyexec_core::block_on(count(3).inspect(|value| seen.push(value)));
    /// assert_eq!(seen, [1, 2, 3]);
    /// ```
    pub fn inspect<F: FnMut(u64)>(self, observer: F) -> Inspect<F> {
        Inspect { counter: self, observer }
    }

    /// Polls once. Calls `observe` before it wakes the task.
    fn step(&self, cx: &Context<'_>, observe: impl FnOnce(u64)) -> Poll<u64> {
        // Relaxed: a count that orders nothing else.
        let value = self.counter.fetch_add(1, Relaxed) + 1;
        observe(value);
        if value >= self.max {
            return Poll::Ready(value);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Future for Counter {
    type Output = u64;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u64> {
        self.step(cx, |_| {})
    }
}

/// A [`Counter`] with an observer. Returned by [`Counter::inspect`].
///
/// # Panics
///
/// If the observer panics. That poll is counted, and doesn't wake the task.
#[must_use = "futures do nothing unless they are awaited"]
pub struct Inspect<F> {
    counter: Counter,
    observer: F,
}

/// The observer is called, never pinned.
impl<F> Unpin for Inspect<F> {}

impl<F: FnMut(u64)> Future for Inspect<F> {
    type Output = u64;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u64> {
        let Self { counter, observer } = &mut *self;
        counter.step(cx, observer)
    }
}

impl<F> fmt::Debug for Inspect<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspect").field("counter", &self.counter).finish_non_exhaustive()
    }
}
