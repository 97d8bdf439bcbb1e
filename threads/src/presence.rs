//! Counts the threads of a crew that there are, to their very end, so that somebody can wait for that with a limit.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use crate::room::Place;

/// How many threads there are: those included that run the destructors of their locals.
#[derive(Default)]
pub(crate) struct Presence {
    threads: Mutex<usize>,
    changed: Condvar,
}

thread_local! {
    /// The first local with a destructor that the thread has, so that it is the last to be destroyed where locals are
    /// destroyed in the reverse order of their making.
    static PRESENT: Cell<Option<Present>> = const { Cell::new(None) };
}

/// One that is counted.
///
/// # What dropping does
///
/// Counts one less, and makes room for another thread.
pub(crate) struct Present {
    presence: Arc<Presence>,
    _place: Place,
}

impl Presence {
    /// Counts one more.
    pub(crate) fn add(self: &Arc<Self>, place: Place) -> Present {
        *self.threads.lock() += 1;
        Present { presence: self.clone(), _place: place }
    }

    pub(crate) fn threads(&self) -> usize {
        *self.threads.lock()
    }

    /// Waits until there are none, at most until `deadline`. How many there are then.
    pub(crate) fn none_until(&self, deadline: Option<Instant>) -> usize {
        let mut threads = self.threads.lock();
        while *threads > 0 {
            match deadline {
                Some(deadline) if self.changed.wait_until(&mut threads, deadline).timed_out() => break,
                Some(_) => {}
                None => self.changed.wait(&mut threads),
            }
        }
        *threads
    }
}

impl Present {
    /// Counts the calling thread until it ends.
    pub(crate) fn stay(self) {
        PRESENT.set(Some(self));
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        let mut threads = self.presence.threads.lock();
        *threads -= 1;
        if *threads == 0 {
            self.presence.changed.notify_all();
        }
    }
}
