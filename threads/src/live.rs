//! The live thread count: threads that exist, to the end of their thread-local destructors. A join with a deadline waits
//! for it.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use crate::limit::Permit;

/// Counts threads, including those that run the destructors of their thread-locals.
#[derive(Default)]
pub(crate) struct LiveThreads {
    count: Mutex<usize>,
    reached_zero: Condvar,
}

thread_local! {
    /// The thread's first local with a destructor. Where locals are destroyed in reverse order, it is the last one.
    static LIVE: Cell<Option<Live>> = const { Cell::new(None) };
}

/// One counted thread.
///
/// # What dropping does
///
/// Counts one thread less, and returns its permit.
pub(crate) struct Live {
    threads: Arc<LiveThreads>,
    _permit: Permit,
}

impl LiveThreads {
    /// Counts one more thread.
    pub(crate) fn add(self: &Arc<Self>, permit: Permit) -> Live {
        *self.count.lock() += 1;
        Live { threads: self.clone(), _permit: permit }
    }

    pub(crate) fn count(&self) -> usize {
        *self.count.lock()
    }

    /// Waits until there are none, or until `deadline`. Returns how many there are.
    pub(crate) fn wait_for_zero(&self, deadline: Option<Instant>) -> usize {
        let mut count = self.count.lock();
        while *count > 0 {
            match deadline {
                Some(deadline) if self.reached_zero.wait_until(&mut count, deadline).timed_out() => break,
                Some(_) => {}
                None => self.reached_zero.wait(&mut count),
            }
        }
        *count
    }
}

impl Live {
    /// Counts the calling thread until it ends.
    pub(crate) fn keep_for_this_thread(self) {
        LIVE.set(Some(self));
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let mut count = self.threads.count.lock();
        *count -= 1;
        if *count == 0 {
            self.threads.reached_zero.notify_all();
        }
    }
}
