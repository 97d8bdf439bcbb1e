//! Other systems than Linux, which answer nothing.

use std::time::Duration;

pub(super) fn own_number() -> Option<u32> {
    None
}

pub(super) fn cpu_time(_thread: u32) -> Option<Duration> {
    None
}

pub(super) fn sleeps(_thread: u32) -> Option<bool> {
    None
}
