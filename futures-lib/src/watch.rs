//! Tells an observer of each poll of a future, and changes nothing else.

use core::future::poll_fn;
use core::pin::pin;

/// What an observer given to [`watch`] is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The future is about to be polled.
    Polling,
    /// The poll answered that the future isn't ready.
    Pending,
    /// The poll answered that it is.
    Ready,
}

/// Runs `future`, and calls `observer` before and after each of its polls.
///
/// # Examples
///
/// Awaiting is no poll of its own: a nested future is polled when the outer one is.
///
/// ```
/// use polyexec_futures::{Moment, watch};
///
/// async fn inner() -> i32 {
///     42
/// }
///
/// let mut seen = Vec::new();
/// let outer = watch(async { inner().await }, |moment| seen.push(moment));
/// assert_eq!(polyexec_core::block_on(outer), 42);
/// assert_eq!(seen, [Moment::Polling, Moment::Ready]);
/// ```
///
/// # Panics
///
/// When polled, if the future or the observer does.
///
/// # Cancel safety
///
/// As `future`'s. Dropped before it is ready, it drops `future`, and tells nobody.
pub async fn watch<F: Future>(future: F, mut observer: impl FnMut(Moment)) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        observer(Moment::Polling);
        let answer = future.as_mut().poll(cx);
        observer(if answer.is_ready() { Moment::Ready } else { Moment::Pending });
        answer
    })
    .await
}
