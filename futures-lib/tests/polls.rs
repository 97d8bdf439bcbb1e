//! The futures poll by poll, with a waker that counts its calls.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Wake};

use polyexec_futures::{Counter, Moment, count, watch, yield_now};

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// What one poll answered, and how often it called its waker.
fn poll<F: Future + Unpin>(future: &mut F) -> (Poll<F::Output>, usize) {
    let wakes = Arc::new(Wakes::default());
    let answer = Pin::new(future).poll(&mut Context::from_waker(&wakes.clone().into()));
    (answer, wakes.0.load(Relaxed))
}

#[test]
fn a_counter_is_pending_and_wakes_itself_until_its_last_poll() {
    let mut three = count(3);
    assert_eq!([0, 1, 2].map(|_| poll(&mut three)), [(Poll::Pending, 1), (Poll::Pending, 1), (Poll::Ready(3), 0)]);
}

#[test]
fn a_counter_of_zero_or_one_is_ready_at_its_first_poll() {
    assert_eq!(poll(&mut count(0)), (Poll::Ready(1), 0));
    assert_eq!(poll(&mut count(1)), (Poll::Ready(1), 0));
}

#[test]
fn a_ready_counter_counts_on() {
    let mut one = count(1);
    assert_eq!([0, 1].map(|_| poll(&mut one)), [(Poll::Ready(1), 0), (Poll::Ready(2), 0)]);
}

#[test]
fn a_shared_counter_advances_all_who_share_it() {
    let counter = Arc::new(AtomicU64::new(0));
    let [mut first, mut second] = [4, 3].map(|max| Counter::sharing(counter.clone(), max));
    assert_eq!(poll(&mut first).0, Poll::Pending);
    assert_eq!(poll(&mut second).0, Poll::Pending);
    assert_eq!(poll(&mut second).0, Poll::Ready(3));
    assert_eq!(poll(&mut first).0, Poll::Ready(4));
    assert_eq!(first.counter().load(Relaxed), 4);
    assert_eq!((first.max(), second.max()), (4, 3));
}

#[test]
fn an_observer_sees_each_poll_and_changes_nothing() {
    let mut seen = Vec::new();
    let mut three = count(3).inspect(|value| seen.push(value));
    assert_eq!([0, 1, 2].map(|_| poll(&mut three)), [(Poll::Pending, 1), (Poll::Pending, 1), (Poll::Ready(3), 0)]);
    assert_eq!(seen, [1, 2, 3]);
}

#[test]
fn yield_now_is_pending_once() {
    let mut turn = yield_now();
    assert_eq!([0, 1, 2].map(|_| poll(&mut turn)), [(Poll::Pending, 1), (Poll::Ready(()), 0), (Poll::Ready(()), 0)]);
}

#[test]
fn watch_tells_of_each_poll_and_of_no_other() {
    let mut seen = Vec::new();
    let sum = async { count(2).await + count(2).await };
    let mut watched = Box::pin(watch(sum, |moment| seen.push(moment)));
    // The second count begins in the poll that ends the first.
    assert_eq!([0, 1, 2].map(|_| poll(&mut watched)), [(Poll::Pending, 1), (Poll::Pending, 1), (Poll::Ready(4), 0)]);
    drop(watched);
    let [polling, pending, ready] = [Moment::Polling, Moment::Pending, Moment::Ready];
    assert_eq!(seen, [polling, pending, polling, pending, polling, ready]);
}

#[test]
fn all_run_in_the_plainest_executor() {
    let sum = async {
        yield_now().await;
        count(10).await + count(23).await
    };
    assert_eq!(polyexec_core::block_on(sum), 33);
}
