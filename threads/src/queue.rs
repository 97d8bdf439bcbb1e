//! The jobs that wait for a thread, how many threads there are, and what that means for another job. Starts none.

use std::collections::VecDeque;

use crate::Settings;

pub(crate) struct Queue<J> {
    /// Jobs for threads that are idle, or for the next one to be.
    pub(crate) jobs: VecDeque<J>,
    /// Threads that wait for a job.
    pub(crate) idle: usize,
    /// Threads that have not decided to leave, those included that are being started.
    pub(crate) threads: usize,
    /// Threads that are being started, and may yet turn out not to be had.
    pub(crate) starting: usize,
    pub(crate) closed: bool,
}

/// What whoever has a job owes.
#[must_use]
pub(crate) enum OnJob {
    /// Put it in the queue: a thread waits for it.
    Queue,
    /// Start a thread for it, which is counted already.
    StartThread,
    /// Wait: there are as many threads as may be, if those that are being started are to be had.
    Undecided,
    /// Nothing: there are as many threads as may be, and all have a job.
    Busy,
    /// Nothing: no more jobs are taken.
    Closed,
}

impl<J> Queue<J> {
    /// Whether there are more jobs than threads that are about to take them, and not all threads that there may be: those
    /// come to the jobs by themselves.
    pub(crate) fn is_behind(&self, settings: &Settings) -> bool {
        self.jobs.len() > self.idle && (self.threads < settings.max_threads || self.starting > 0)
    }

    pub(crate) fn welcome(&mut self, settings: &Settings) -> OnJob {
        if self.closed {
            OnJob::Closed
        } else if self.idle > self.jobs.len() {
            OnJob::Queue
        } else if self.threads < settings.max_threads {
            self.count_in();
            OnJob::StartThread
        } else if self.starting > 0 {
            OnJob::Undecided
        } else {
            OnJob::Busy
        }
    }

    /// Whether a thread is there that comes to a job in the queue, whatever becomes of those that are being started. One
    /// of these may have left already: then this is cautious.
    pub(crate) fn is_manned(&self) -> bool {
        self.threads > self.starting
    }

    /// Counts a thread that is about to be started.
    pub(crate) fn count_in(&mut self) {
        self.threads += 1;
        self.starting += 1;
    }
}
