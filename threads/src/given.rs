//! What becomes of a job that somebody gives to a crew.

use std::{fmt, io};

/// What becomes of a job that was [given or queued](crate::Crew::give_or_queue).
#[must_use = "somebody should try again to start threads if the crew is behind"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// It has a thread, or there are as many threads as may be, and the first that is free comes to it.
    Taken,
    /// It, or one that came before it, waits for the first thread that is free, though there may be more: the system has
    /// none now. Unless somebody calls [`catch_up`](crate::Crew::catch_up) until that says `false`, it waits as long as those that
    /// there are have other jobs.
    Behind,
}

/// A job that wasn't taken.
pub struct Refused<J> {
    /// The job.
    pub job: J,
    /// Why no thread could be had for it. `None` if the crew was closed.
    pub cause: Option<io::Error>,
}

impl<J> fmt::Debug for Refused<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused").field("cause", &self.cause).finish_non_exhaustive()
    }
}
