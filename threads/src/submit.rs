//! The words of [`ThreadPool::submit`](crate::ThreadPool::submit): what a caller asks for, and what it learns.

use std::{fmt, io};

/// What becomes of a job if no thread is idle and no new one can be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenBusy {
    /// The job comes back.
    Refuse,
    /// The job waits for the first free thread, behind earlier jobs. It comes back only if the pool has no thread at all.
    Wait,
    /// Like [`Wait`](WhenBusy::Wait), but the job waits even if the pool has no thread at all.
    ///
    /// Submitting never waits for another thread, not even for one that is ending. So it is safe in a thread that another
    /// thread's destructors may wait for.
    WaitAlways,
}

/// A job that a [`ThreadPool`](crate::ThreadPool) has accepted.
#[must_use = "if the pool is short of threads, call `retry` later"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// The job has a thread, or waits in a pool that has all the threads it may have.
    Accepted,
    /// A job waits although the pool is below its limit: the system refused a thread.
    ///
    /// Call [`retry`](crate::ThreadPool::retry) until it returns `false`. Otherwise the job waits until a running one ends.
    ShortOfThreads,
}

/// A job that was not accepted.
pub struct Refused<J> {
    pub(crate) job: J,
    pub(crate) cause: Option<io::Error>,
}

impl<J> Refused<J> {
    pub(crate) fn closed(job: J) -> Self {
        Self { job, cause: None }
    }

    pub(crate) fn because(job: J, cause: io::Error) -> Self {
        Self { job, cause: Some(cause) }
    }

    /// Why there is no thread for the job. `None` if the pool is closed.
    pub fn cause(&self) -> Option<&io::Error> {
        self.cause.as_ref()
    }

    /// The job.
    pub fn into_job(self) -> J {
        self.job
    }

    /// The job, and why there is no thread for it: `None` if the pool is closed.
    pub fn into_parts(self) -> (J, Option<io::Error>) {
        (self.job, self.cause)
    }
}

impl<J> fmt::Debug for Refused<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused").field("cause", &self.cause).finish_non_exhaustive()
    }
}
