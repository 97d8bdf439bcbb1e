//! The jobs of one thread, as an iterator. Decides when an idle thread leaves.

use std::fmt;

use crate::pool::{Shared, ThreadPool};

/// The jobs of one thread. Ends when the thread should leave.
pub struct Jobs<J> {
    pub(crate) pool: ThreadPool<J>,
    /// The job that the thread was started for.
    pub(crate) first: Option<J>,
}

impl<J> Iterator for Jobs<J> {
    type Item = J;

    /// Waits for the next job, for as long as [`keep_alive`](crate::Settings::keep_alive) says.
    fn next(&mut self) -> Option<J> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        let Shared { settings, queue, changed, .. } = &*self.pool.0;
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
        f.debug_struct("Jobs").field("pool", &self.pool).finish()
    }
}
