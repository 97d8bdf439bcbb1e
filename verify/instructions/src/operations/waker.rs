//! A task's waker.

use std::future::poll_fn;
use std::hint::black_box;
use std::task::Poll;

use polyexec::Local;

/// Clones it and drops the clone.
pub(super) fn clone_drop(times: u64) {
    let local = Local::new();
    let task = local.spawn(poll_fn(move |cx| {
        for _ in 0..times {
            drop(black_box(cx.waker().clone()));
        }
        Poll::Ready(times)
    }));
    assert_eq!(local.block_on(task).unwrap(), times);
}
