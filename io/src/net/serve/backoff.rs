//! Pauses a server that can't accept, and limits how often it reports that.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::time::{Sleep, now, sleep};

/// The first pause. A short burst of open files is over by then.
const SHORTEST: Duration = Duration::from_millis(10);

/// The longest pause. Another process may have caused the shortage, and its end goes unnoticed.
const LONGEST: Duration = Duration::from_secs(1);

/// How often a lasting shortage is reported.
const REMIND: Duration = Duration::from_secs(10);

/// Pauses, each twice as long as the one before.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    /// Runs during a pause.
    pause: Option<Sleep>,
    /// The error that was reported last, and when.
    reported: Option<(Option<i32>, Instant)>,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { next: SHORTEST, pause: None, reported: None }
    }

    /// Begins a pause. Returns whether to report the error, which has the system's `number` if it is one of those: the first
    /// time, and after a while.
    #[must_use]
    pub(super) fn begin(&mut self, number: Option<i32>) -> bool {
        self.pause = Some(sleep(self.next));
        self.next = LONGEST.min(2 * self.next);
        let now = now();
        let again = self
            .reported
            .is_some_and(|(reported, at)| reported == number && now.saturating_duration_since(at) < REMIND);
        if !again {
            self.reported = Some((number, now));
        }
        !again
    }

    /// Ready while there is no pause.
    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(pause) = &mut self.pause else { return Poll::Ready(()) };
        let over = Pin::new(pause).poll(cx);
        if over.is_ready() {
            self.pause = None;
        }
        over
    }

    /// A connection has ended, so there may be room.
    pub(super) fn end(&mut self) {
        self.pause = None;
    }

    /// A connection was accepted: the shortage is over.
    pub(super) fn reset(&mut self) {
        self.next = SHORTEST;
    }
}
