//! `block_on` outside of any executor.

use std::hint::black_box;

use polyexec::block_on;
use polyexec_futures::count;

/// Polls one future so many times.
pub(super) fn poll(times: u64) {
    assert_eq!(block_on(count(times)), times);
}

/// Calls it so many times.
pub(super) fn ready(times: u64) {
    for n in 0..times {
        assert_eq!(block_on(std::future::ready(black_box(n))), n);
    }
}

/// As [`ready`], with the facade's.
pub(super) fn ready_facade(times: u64) {
    for n in 0..times {
        assert_eq!(polyexec::block_on(std::future::ready(black_box(n))), n);
    }
}
