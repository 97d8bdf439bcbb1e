//! What the system has of this process: threads and file descriptors.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// How many threads there are; `None` where the system doesn't say.
pub(crate) fn threads() -> Option<u64> {
    entries("/proc/self/task")
}

/// How many file descriptors are open; `None` where the system doesn't say.
pub(crate) fn descriptors() -> Option<u64> {
    entries("/proc/self/fd")
}

fn entries(directory: &str) -> Option<u64> {
    Some(fs::read_dir(directory).ok()?.count() as u64)
}

/// By how much `count` is above `before`. A thread that was joined is listed for a moment more, so it is given time.
pub(crate) fn above(before: Option<u64>, count: impl Fn() -> Option<u64>) -> u64 {
    const PATIENCE: Duration = Duration::from_secs(2);
    let begin = Instant::now();
    loop {
        let (Some(now), Some(before)) = (count(), before) else { return 0 };
        if now <= before || begin.elapsed() > PATIENCE {
            return now.saturating_sub(before);
        }
        thread::sleep(Duration::from_millis(1));
    }
}
