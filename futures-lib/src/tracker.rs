//! Counts futures, so that a shutdown can wait until they are gone. Keeps neither their results nor their handles.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use polyexec_core::executor::{Boxed, is_large};
use polyexec_core::task::poll_proceed;
use polyexec_core::{Executor, JoinHandle};

use crate::waiters::{Waiter, Waiters, wake_all};

/// Waits until all futures that it tracks are gone. Clones are handles of the same tracker.
///
/// Unlike a [`JoinSet`](crate::JoinSet), it keeps no results, so tasks that end leave no memory behind. It aborts nothing: a
/// [`CancellationToken`](crate::CancellationToken) tells the tasks to stop.
///
/// # What dropping does
///
/// Nothing to what it tracks.
///
/// # Examples
///
/// ```
/// use polyexec_futures::{CancellationToken, TaskTracker};
///
/// async fn serve(token: CancellationToken) {
///     let tracker = TaskTracker::new();
///     for _ in 0..10 {
///         let token = token.clone();
///         drop(tracker.spawn(async move { token.cancelled().await }));
///     }
///     token.cancel();
///     tracker.close();
///     tracker.wait().await;
///     assert!(tracker.is_empty());
/// }
/// # polyexec_local::Local::new().block_on(serve(CancellationToken::new()));
/// ```
#[derive(Clone, Default)]
pub struct TaskTracker(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// The number of tokens, in units of `TOKEN`, and `CLOSED`.
    state: AtomicUsize,
    waiters: Waiters,
}

/// Set by `close`, never cleared.
const CLOSED: usize = 1;
const TOKEN: usize = 2;

impl Inner {
    fn is_over(&self) -> bool {
        // Acquire pairs with the Release of the tokens' drops: what the futures wrote is visible.
        self.state.load(Acquire) == CLOSED
    }
}

impl TaskTracker {
    /// Tracks nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Spawns `future` on the current executor, and tracks it. See [`polyexec_core::spawn`].
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        if const { is_large::<F>() } {
            return polyexec_core::spawn(self.track_future(Boxed::from(Box::new(future))));
        }
        polyexec_core::spawn(self.track_future(future))
    }

    /// Spawns `future` on `executor`, and tracks it. See [`Executor::spawn`].
    #[track_caller]
    pub fn spawn_on<E, F>(&self, executor: &E, future: F) -> JoinHandle<F::Output>
    where
        E: Executor + Clone,
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        if const { is_large::<F>() } {
            return executor.spawn(self.track_future(Boxed::from(Box::new(future))));
        }
        executor.spawn(self.track_future(future))
    }

    /// The same future, tracked until it is dropped. For what [`spawn`](TaskTracker::spawn) can't spawn, or isn't a task.
    pub fn track_future<F: Future>(&self, future: F) -> TrackedFuture<F> {
        TrackedFuture { future, token: self.token() }
    }

    /// Counts as a future until it is dropped.
    pub fn token(&self) -> TaskTrackerToken {
        // Relaxed: it only matters that it is counted before it is dropped.
        self.0.state.fetch_add(TOKEN, Relaxed);
        TaskTrackerToken(self.clone())
    }

    /// Lets [`wait`](TaskTracker::wait) end once nothing is tracked. Futures can be tracked after that, too.
    pub fn close(&self) {
        // AcqRel: as for a token that is dropped.
        if self.0.state.fetch_or(CLOSED, AcqRel) == 0 {
            wake_all(self.0.waiters.take());
        }
    }

    /// Whether [`close`](TaskTracker::close) was called.
    pub fn is_closed(&self) -> bool {
        // Relaxed: it says nothing of what is tracked.
        self.0.state.load(Relaxed) & CLOSED != 0
    }

    /// The number of futures that are tracked: those that weren't dropped yet.
    pub fn len(&self) -> usize {
        // Acquire pairs with the Release of the tokens' drops.
        self.0.state.load(Acquire) / TOKEN
    }

    /// Whether nothing is tracked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until the tracker is closed and tracks nothing.
    ///
    /// If it tracks something new before this is polled again, it is ready nevertheless.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn wait(&self) {
        struct Wait<'a>(&'a Inner, Waiter);

        impl Future for Wait<'_> {
            type Output = ();

            fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
                let Self(inner, waiter) = &mut *self;
                ready!(inner.waiters.poll(waiter, cx, || inner.is_over()));
                ready!(poll_proceed(cx)).made_progress();
                Poll::Ready(())
            }
        }

        impl Drop for Wait<'_> {
            fn drop(&mut self) {
                self.0.waiters.remove(&mut self.1);
            }
        }

        Wait(&self.0, Waiter::default()).await;
    }
}

impl fmt::Debug for TaskTracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskTracker").field("len", &self.len()).field("is_closed", &self.is_closed()).finish()
    }
}

/// Counts as a tracked future. Made by [`TaskTracker::token`].
///
/// # What dropping does
///
/// Ends the count. The last one wakes those that wait, if the tracker is closed.
#[derive(Debug)]
#[must_use = "dropped, it counts no more"]
pub struct TaskTrackerToken(TaskTracker);

impl Drop for TaskTrackerToken {
    fn drop(&mut self) {
        let inner = &*self.0.0;
        // Release pairs with the Acquire in `is_over`, on any thread that sees the count.
        if inner.state.fetch_sub(TOKEN, AcqRel) == TOKEN + CLOSED {
            wake_all(inner.waiters.take());
        }
    }
}

pin_project! {
    /// A future that a tracker counts. Made by [`TaskTracker::track_future`].
    ///
    /// # What dropping does
    ///
    /// Drops the future, then ends the count.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct TrackedFuture<F> {
        #[pin]
        future: F,
        // Dropped after the future.
        token: TaskTrackerToken,
    }
}

impl<F: Future> Future for TrackedFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}
