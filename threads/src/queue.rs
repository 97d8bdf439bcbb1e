//! Waiting jobs and thread counts, and what they mean for one more job. Starts no thread.

use std::collections::VecDeque;

use crate::Settings;

pub(crate) struct Queue<J> {
    /// Jobs for idle threads, or for the next thread that becomes free.
    pub(crate) jobs: VecDeque<J>,
    /// Threads that wait for a job.
    pub(crate) idle: usize,
    /// Threads that have not decided to leave, including those that are being started.
    pub(crate) threads: usize,
    /// Threads that are being started. The system may still refuse them.
    pub(crate) starting: usize,
    pub(crate) closed: bool,
}

/// Where one more job goes.
#[must_use]
pub(crate) enum Admission {
    /// To an idle thread: push it to the queue.
    Idle,
    /// To a new thread, which is counted already: start it.
    Start,
    /// Unknown: the limit is reached only if all threads that are being started do start.
    Undecided,
    /// To no thread yet: the limit is reached, and all threads are busy.
    Busy,
    /// Nowhere: the pool takes no more jobs.
    Closed,
}

impl<J> Queue<J> {
    pub(crate) fn new() -> Self {
        Self { jobs: VecDeque::new(), idle: 0, threads: 0, starting: 0, closed: false }
    }

    pub(crate) fn admit(&mut self, settings: &Settings) -> Admission {
        if self.closed {
            Admission::Closed
        } else if self.idle > self.jobs.len() {
            Admission::Idle
        } else if self.threads < settings.max_threads {
            self.count_start();
            Admission::Start
        } else if self.starting > 0 {
            Admission::Undecided
        } else {
            Admission::Busy
        }
    }

    /// More jobs than idle threads: some job has no thread yet.
    pub(crate) fn has_backlog(&self) -> bool {
        self.jobs.len() > self.idle
    }

    /// A job waits, and another thread could take it. At the limit none could: its threads come to the job by themselves.
    pub(crate) fn is_short_of_threads(&self, settings: &Settings) -> bool {
        self.has_backlog() && (self.threads < settings.max_threads || self.starting > 0)
    }

    /// Some thread will come to a queued job, even if every start in progress fails.
    ///
    /// Errs towards `false`: a thread may have started, and left again, before its start is counted as done.
    pub(crate) fn has_running_thread(&self) -> bool {
        self.threads > self.starting
    }

    /// Counts a thread that is about to be started.
    pub(crate) fn count_start(&mut self) {
        self.threads += 1;
        self.starting += 1;
    }
}
