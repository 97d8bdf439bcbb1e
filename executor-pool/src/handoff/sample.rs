//! What a worker's thread did between two scans, by the thread's CPU clock.

use std::time::{Duration, Instant};

use crate::policy::MONITOR_INTERVAL;
use crate::remote::Remote;
use crate::system::CpuTime;

/// A poll, as seen at a scan.
#[derive(Clone, Copy)]
pub(super) struct Sample {
    /// The worker's polls, which identify this one.
    pub(super) polls: u32,
    /// When the poll was seen first.
    pub(super) since: Instant,
    /// The thread's clock, and when it was read.
    clock: (Option<CpuTime>, Instant),
}

/// What a thread did from one scan to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Did {
    /// It had no processor at all.
    Nothing,
    /// It had a processor for less than a tenth of the time.
    Little,
    /// One or the other.
    Unknown,
    /// It had a processor for more than half of the time.
    Compute,
}

impl Did {
    fn during(elapsed: Duration, used: Option<Duration>) -> Self {
        match used {
            None => Self::Unknown,
            Some(Duration::ZERO) => Self::Nothing,
            Some(used) if used < elapsed / 10 => Self::Little,
            Some(used) if used > elapsed / 2 => Self::Compute,
            Some(_) => Self::Unknown,
        }
    }
}

impl Sample {
    /// A poll that is seen for the first time.
    pub(super) fn first(remote: &Remote, now: Instant) -> Self {
        Self { polls: remote.polls(), since: now, clock: (remote.thread().cpu_time(), now) }
    }

    /// The sample at this scan, and what the thread did since the last one.
    pub(super) fn next(self, remote: &Remote, now: Instant) -> (Self, Did) {
        if remote.polls() != self.polls {
            return (Self::first(remote, now), Did::Unknown);
        }
        let (before, then) = self.clock;
        if now - then < MONITOR_INTERVAL {
            // An early scan: the monitor was woken though it was awake.
            return (self, Did::Unknown);
        }
        let time = remote.thread().cpu_time();
        let used = time.zip(before).and_then(|(time, before)| time.since(before));
        (Self { clock: (time, now), ..self }, Did::during(now - then, used))
    }

    /// Whether the thread has had a processor since the sample.
    pub(super) fn has_run_since(&self, remote: &Remote) -> bool {
        self.clock.0 != remote.thread().cpu_time()
    }
}
