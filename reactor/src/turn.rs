//! Who is inside of the reactor, and who gives way to whom. Knows nothing of what is done there.

use std::sync::atomic::AtomicU8;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use polyexec_core::reactor::Wait;

/// How long a thread waits for one that is to give way. That one has been told already, so this is for a system where no
/// processor is free; who has waited in vain does without.
const PATIENCE: Duration = Duration::from_micros(200);

/// Nobody waits inside.
const NOBODY: u8 = 0;

/// The place where one thread at a time may be.
#[derive(Default)]
pub(crate) struct Place<T> {
    inside: Mutex<T>,
    /// How the thread waits that is inside, as a number. Set and cleared by that thread.
    waits: AtomicU8,
    /// How many threads want it to give way. Each counts itself in and out.
    claims: AtomicUsize,
}

/// The thread is inside; dropped, it isn't any more.
pub(crate) struct Inside<'a, T> {
    place: &'a Place<T>,
    pub(crate) guard: MutexGuard<'a, T>,
}

impl<T> Place<T> {
    pub(crate) fn new(inside: T) -> Self {
        Self { inside: Mutex::new(inside), waits: AtomicU8::new(NOBODY), claims: AtomicUsize::new(0) }
    }

    /// Whether a thread waits inside.
    pub(crate) fn is_attended(&self) -> bool {
        // SeqCst: read after the fence of the reactor's alarm, too.
        self.waits.load(SeqCst) != NOBODY
    }

    /// Enters, if nobody is inside, or one who gives way to who waits like this: `interrupt` tells him.
    pub(crate) fn enter(&self, wait: Wait, interrupt: impl FnOnce()) -> Option<Inside<'_, T>> {
        let guard = match self.inside.try_lock() {
            Some(guard) => guard,
            None => self.claim(wait, interrupt)?,
        };
        if wait != Wait::No {
            self.waits.store(rank(wait), SeqCst);
        }
        Some(Inside { place: self, guard })
    }

    #[cold]
    fn claim(&self, wait: Wait, interrupt: impl FnOnce()) -> Option<MutexGuard<'_, T>> {
        // Relaxed: should it be another one by now, who doesn't give way, this waits in vain.
        let holder = self.waits.load(Relaxed);
        if wait == Wait::No || holder == NOBODY || holder >= rank(wait) {
            return None;
        }
        self.claims.fetch_add(1, SeqCst);
        interrupt();
        let guard = self.inside.try_lock_for(PATIENCE);
        self.claims.fetch_sub(1, SeqCst);
        guard
    }
}

impl<T> Inside<'_, T> {
    /// Whether somebody wants this thread to give way.
    pub(crate) fn is_claimed(&self) -> bool {
        self.place.claims.load(SeqCst) > 0
    }
}

impl<T> Drop for Inside<'_, T> {
    fn drop(&mut self) {
        // SeqCst: before the fence of the reactor's alarm, which is rung afterwards.
        self.place.waits.store(NOBODY, SeqCst);
    }
}

fn rank(wait: Wait) -> u8 {
    match wait {
        Wait::AsAttendant => 1,
        Wait::AsCaller => 2,
        Wait::AsWorker => 3,
        Wait::No => u8::MAX,
    }
}

#[cfg(all(test, not(polyexec_loom)))]
mod tests {
    use super::*;

    use std::sync::mpsc;
    use std::thread;

    #[test]
    fn the_more_important_enters_and_no_other() {
        polyexec_conformance::watched!();
        let place = Place::new(());
        let (interrupt, interrupted) = mpsc::channel();
        thread::scope(|threads| {
            let inside = place.enter(Wait::AsCaller, || unreachable!()).unwrap();
            assert!(place.is_attended() && !inside.is_claimed());
            for wait in [Wait::AsAttendant, Wait::AsCaller, Wait::No] {
                assert!(place.enter(wait, || unreachable!("{wait:?} makes nobody give way")).is_none());
            }
            let worker = threads.spawn(|| {
                let interrupt = interrupt;
                // Patience may end before the other thread has had a processor.
                while place.enter(Wait::AsWorker, || interrupt.send(()).unwrap()).is_none() {}
            });
            interrupted.recv().unwrap();
            drop(inside);
            worker.join().unwrap();
        });
        assert!(!place.is_attended());
    }
}
