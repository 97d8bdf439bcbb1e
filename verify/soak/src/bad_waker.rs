//! Join wakers that panic, when they are woken or when they are dropped.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Wake, Waker};
use std::thread;

use crate::faults::Fault;
use crate::log::Log;
use crate::outcome::Planned;
use crate::plan::BadWaker;

struct Panics {
    log: Arc<Log>,
    index: u32,
    when: BadWaker,
}

/// A waker for the handle of the task `index`.
pub(crate) fn waker(log: Arc<Log>, index: u32, when: BadWaker) -> Waker {
    log.bad_wakers.fetch_add(1, Relaxed);
    Arc::new(Panics { log, index, when }).into()
}

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        // Dropped after it has panicked: only one of them does.
        if self.when == BadWaker::Wake {
            self.log.faults.add(Fault::PanicInWake);
            Planned::panic(self.index);
        }
    }
}

impl Drop for Panics {
    fn drop(&mut self) {
        self.log.bad_wakers.fetch_sub(1, Relaxed);
        if self.when == BadWaker::Drop && !thread::panicking() {
            self.log.faults.add(Fault::PanicInWakerDrop);
            Planned::panic(self.index);
        }
    }
}
