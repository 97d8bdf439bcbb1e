//! A future with a deadline.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;
use polyexec_core::task::poll_proceed;

use super::{Sleep, sleep, sleep_until};

/// Waits for `future`, for `duration` at most.
///
/// # Examples
///
/// ```
/// use std::io;
/// use std::time::Duration;
///
/// use polyexec_io::time::timeout;
///
/// async fn answer() -> io::Result<u32> {
/// # std::future::pending::<()>().await;
///     Ok(42)
/// }
///
/// # polyexec_core::block_on(async {
/// let late = async { timeout(Duration::from_millis(2), answer()).await? };
/// assert_eq!(late.await.unwrap_err().kind(), io::ErrorKind::TimedOut);
/// # });
/// ```
///
/// # Errors
///
/// [`Elapsed`] if the time is over and `future` isn't ready. `future` is polled first, even with a duration of zero. If it is
/// ready in that poll, it isn't late.
///
/// # Panics
///
/// When polled, if `future` panics, or if the timer needs the [driver](crate::clock) and that can't be started.
///
/// # Cancel safety
///
/// That of `future`, which is dropped with the [`Timeout`]. A future that isn't cancel safe loses its progress. To continue
/// with it afterwards, pass a reference to it.
pub fn timeout<F: Future>(duration: Duration, future: F) -> Timeout<F> {
    Timeout { future, sleep: sleep(duration) }
}

/// Waits for `future`, until `deadline` at most.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use polyexec_io::time::{now, timeout_at};
///
/// # polyexec_core::block_on(async {
/// let deadline = now() + Duration::from_millis(2);
/// assert_eq!(timeout_at(deadline, async { 42 }).await, Ok(42));
/// assert!(timeout_at(deadline, std::future::pending::<()>()).await.is_err());
/// # });
/// ```
///
/// # Errors
///
/// As for [`timeout`].
///
/// # Panics
///
/// As for [`timeout`].
///
/// # Cancel safety
///
/// As for [`timeout`].
pub fn timeout_at<F: Future>(deadline: Instant, future: F) -> Timeout<F> {
    Timeout { future, sleep: sleep_until(deadline) }
}

pin_project! {
    /// The future of [`timeout`] and [`timeout_at`].
    ///
    /// # What dropping does
    ///
    /// Drops the inner future, and cancels the timer.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        sleep: Sleep,
    }
}

impl<F> Timeout<F> {
    /// Returns the inner future, without the timeout.
    pub fn into_inner(self) -> F {
        self.future
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let proceed = ready!(poll_proceed(cx));
        let output = match this.future.poll(cx) {
            Poll::Ready(output) => {
                // The drop would do it, too, but may come much later.
                this.sleep.cancel();
                Ok(output)
            }
            // Not subject to the budget: a future that uses all of it times out, too.
            Poll::Pending => {
                ready!(this.sleep.poll_elapsed(cx));
                Err(Elapsed(()))
            }
        };
        proceed.made_progress();
        Poll::Ready(output)
    }
}

/// The deadline came first. As an [`io::Error`], its kind is [`TimedOut`](io::ErrorKind::TimedOut).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed(());

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time allowed has elapsed")
    }
}

impl std::error::Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(elapsed: Elapsed) -> Self {
        Self::new(io::ErrorKind::TimedOut, elapsed)
    }
}
