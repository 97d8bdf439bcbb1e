//! Reports each poll of a future to an observer. Changes nothing else.

use core::future::poll_fn;
use core::pin::pin;

/// A moment that [`watch`] reports to its observer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The future is about to be polled.
    Polling,
    /// The poll has returned pending.
    Pending,
    /// The poll has returned ready.
    Ready,
}

/// Runs `future`, and calls `observer` before and after each of its polls.
///
/// # Examples
///
/// `await` adds no poll: a nested future is polled when the outer one is.
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
/// If the future or the observer panics.
///
/// # Cancel safety
///
/// That of `future`, which is dropped without a report.
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
