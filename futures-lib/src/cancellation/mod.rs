//! Tokens that cancel work, and futures that wait for that. `tree` knows which token is whose child.

use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use polyexec_core::task::poll_proceed;

use crate::waiters::{Waiter, wake_all};
use tree::Node;

mod tree;

/// Tells any number of tasks to stop. Clones are handles of the same token.
///
/// A [child](CancellationToken::child_token) is cancelled with its parent, and can be cancelled by itself. Cancelled once, a token
/// stays so.
///
/// # What dropping does
///
/// Nothing to its clones and children, and it doesn't cancel: [`drop_guard`](CancellationToken::drop_guard) does.
///
/// # Examples
///
/// ```
/// use polyexec_futures::{CancellationToken, JoinSet, yield_now};
///
/// async fn work_until(token: CancellationToken) -> u64 {
///     let mut done = 0;
///     while !token.is_cancelled() {
///         done += 1;
///         yield_now().await;
///     }
///     done
/// }
///
/// # let local = polyexec_local::Local::new();
/// # local.block_on(async {
/// let token = CancellationToken::new();
/// let mut set = JoinSet::new();
/// set.spawn(work_until(token.clone()));
/// set.spawn(work_until(token.child_token()));
/// token.cancel();
/// assert_eq!(set.join_all().await.len(), 2);
/// # });
/// ```
#[derive(Clone)]
pub struct CancellationToken(Arc<Node>);

impl CancellationToken {
    /// A token without a parent.
    pub fn new() -> Self {
        Self(Node::root())
    }

    /// A token that is cancelled when this one is. To cancel it leaves this one alone.
    ///
    /// Of a cancelled token, it is cancelled from the start. Any depth will do.
    ///
    /// # Examples
    ///
    /// ```
    /// use polyexec_futures::CancellationToken;
    ///
    /// let server = CancellationToken::new();
    /// let [one, other] = [server.child_token(), server.child_token()];
    /// one.cancel();
    /// assert!(one.is_cancelled() && !server.is_cancelled());
    /// server.cancel();
    /// assert!(other.is_cancelled());
    /// ```
    pub fn child_token(&self) -> Self {
        Self(self.0.child())
    }

    /// Cancels this token and its descendants, and wakes all that wait for that. Does nothing if it was cancelled before.
    ///
    /// The wakers are called on this thread while nothing is locked, so that one that blocks or calls back here harms no token.
    ///
    /// # Panics
    ///
    /// If a waker does, as no task's does. All are called first.
    pub fn cancel(&self) {
        wake_all(self.0.cancel().iter().flat_map(|node| node.waiters.take()));
    }

    /// Whether this token or an ancestor was cancelled. Costs a load.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until the token is cancelled. Ready at once if it was.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. Dropped early, it leaves nothing behind.
    pub fn cancelled(&self) -> Cancelled<'_> {
        Cancelled { token: self, waiter: Waiter::default() }
    }

    /// Runs `future` until it is ready, or drops it when the token is cancelled and returns `None`.
    ///
    /// If the token was cancelled before, `future` is dropped without a poll. If both happen before a poll, the token wins.
    ///
    /// # Examples
    ///
    /// ```
    /// use polyexec_futures::CancellationToken;
    ///
    /// # polyexec_core::block_on(async {
    /// let token = CancellationToken::new();
    /// assert_eq!(token.run_until_cancelled(async { 42 }).await, Some(42));
    /// token.cancel();
    /// assert_eq!(token.run_until_cancelled(async { 42 }).await, None);
    /// # });
    /// ```
    ///
    /// # Panics
    ///
    /// If `future` does.
    ///
    /// # Cancel safety
    ///
    /// As `future`'s.
    pub async fn run_until_cancelled<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut cancelled = self.cancelled();
        let mut future = pin!(future);
        poll_fn(|cx| match cancelled.poll_cancelled(cx) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => future.as_mut().poll(cx).map(Some),
        })
        .await
    }

    /// A guard that cancels the token when it is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use polyexec_futures::CancellationToken;
    ///
    /// let token = CancellationToken::new();
    /// let guard = token.clone().drop_guard();
    /// drop(guard);
    /// assert!(token.is_cancelled());
    /// ```
    pub fn drop_guard(self) -> CancelOnDrop {
        CancelOnDrop(Some(self))
    }
}

impl Default for CancellationToken {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CancellationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancellationToken").field("is_cancelled", &self.is_cancelled()).finish()
    }
}

/// Waits until a token is cancelled. Made by [`CancellationToken::cancelled`].
///
/// Polled after it was ready, it is ready again.
#[must_use = "futures do nothing unless they are awaited"]
pub struct Cancelled<'a> {
    token: &'a CancellationToken,
    waiter: Waiter,
}

impl Cancelled<'_> {
    /// As `poll`, without a budget.
    fn poll_cancelled(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.token.is_cancelled() {
            return Poll::Ready(());
        }
        // Most polls bring the waker that is in the list, and need no lock. The token stays cancelled, so none is missed.
        if self.waiter.will_wake(cx.waker()) {
            return Poll::Pending;
        }
        self.token.0.waiters.poll(&mut self.waiter, cx, || self.token.is_cancelled())
    }
}

impl Future for Cancelled<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.poll_cancelled(cx));
        ready!(poll_proceed(cx)).made_progress();
        Poll::Ready(())
    }
}

impl Drop for Cancelled<'_> {
    fn drop(&mut self) {
        // The wakers of a cancelled token were taken, or will be.
        if !self.token.is_cancelled() {
            self.token.0.waiters.remove(&mut self.waiter);
        }
    }
}

impl fmt::Debug for Cancelled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cancelled").field(self.token).finish()
    }
}

/// Cancels a token when it is dropped. Made by [`CancellationToken::drop_guard`].
///
/// # What dropping does
///
/// Cancels the token, also in a task that is aborted or panics.
#[derive(Debug)]
#[must_use = "dropping this cancels its token"]
pub struct CancelOnDrop(Option<CancellationToken>);

impl CancelOnDrop {
    /// The token again, which the guard leaves alone.
    pub fn disarm(mut self) -> CancellationToken {
        self.0.take().expect("only this takes it, and it ends the guard")
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(token) = &self.0 {
            token.cancel();
        }
    }
}
