//! The jobs as they come to one thread.

use std::fmt;

use crate::{Crew, Shared};

/// The jobs that come to one thread; ends when the thread should leave.
pub struct Jobs<J> {
    pub(crate) crew: Crew<J>,
    /// What the thread was started for.
    pub(crate) first: Option<J>,
}

impl<J> Iterator for Jobs<J> {
    type Item = J;

    /// Waits for a job.
    fn next(&mut self) -> Option<J> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        let Shared { settings, queue, changed, .. } = &*self.crew.0;
        let mut queue = queue.lock();
        let mut timed_out = false;
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            let Some(keep_alive) = settings.keep_alive.filter(|_| !queue.closed && !timed_out) else {
                queue.threads -= 1;
                return None;
            };
            queue.idle += 1;
            timed_out = changed.wait_for(&mut queue, keep_alive).timed_out();
            queue.idle -= 1;
        }
    }
}

impl<J> fmt::Debug for Jobs<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs").field("crew", &self.crew).finish()
    }
}
