//! Yields once. The executor decides who runs next.

use core::pin::Pin;
use core::task::{Context, Poll};

/// A future that is pending once: the executor runs the ready tasks first, then this one again.
///
/// It wakes its own task, so it works in any executor and in any `block_on`.
///
/// # Examples
///
/// A long computation that leaves room for others:
///
/// ```
/// use polyexec_core::yield_now;
///
/// async fn checksum(blocks: &[Vec<u8>]) -> u64 {
///     let mut sum = 0;
///     for block in blocks {
///         sum += block.iter().map(|byte| u64::from(*byte)).sum::<u64>();
///         yield_now().await;
///     }
///     sum
/// }
/// # assert_eq!(polyexec_core::block_on(checksum(&[vec![1, 2], vec![3]])), 6);
/// ```
///
/// # Cancel safety
///
/// Cancel safe. Dropped while it is pending, it leaves a wake of its task, which costs at most one poll.
pub fn yield_now() -> YieldNow {
    YieldNow { yielded: false }
}

/// The future of [`yield_now`]. Once ready, it stays ready.
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct YieldNow {
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.yielded {
            return Poll::Ready(());
        }
        self.yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
