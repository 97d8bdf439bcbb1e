//! No executor at all: futures polled by hand with a waker that does nothing. The limits that the executors are held to.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

/// Polls one future, again and again.
pub fn poll_loop<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
    }
}

/// Boxes the futures, and polls them in turn until all are ready; the sum of what they gave.
pub fn poll_in_turn<F: Future<Output = u64> + Send + 'static>(futures: impl Iterator<Item = F>) -> u64 {
    let mut cx = Context::from_waker(Waker::noop());
    let mut sum = 0;
    let mut futures: Vec<Pin<Box<dyn Future<Output = u64> + Send>>> =
        futures.map(|future| Box::pin(future) as Pin<Box<_>>).collect();
    while !futures.is_empty() {
        futures.retain_mut(|future| match future.as_mut().poll(&mut cx) {
            Poll::Ready(output) => {
                sum += output;
                false
            }
            Poll::Pending => true,
        });
    }
    sum
}
