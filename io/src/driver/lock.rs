//! Who is inside of the driver, and who gives way to whom. Knows nothing of what is done there.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use polyexec_core::executor::driver::Wait;

/// How long a thread waits for one that is to give way. That one has been told already, so this is for a system where no
/// processor is free; who has waited in vain does without.
const PATIENCE: Duration = Duration::from_micros(200);

/// Nobody waits inside.
const NOBODY: u8 = 0;

/// The place where one thread at a time may be.
#[derive(Default)]
pub(crate) struct DriverLock<T> {
    inside: Mutex<T>,
    /// How the thread waits that is inside, as a number. Set and cleared by that thread.
    waits: AtomicU8,
    /// How many threads want it to give way. Each counts itself in and out.
    claims: AtomicUsize,
    /// A busy thread wants it to leave. Cleared by the next thread that waits inside.
    dismissed: AtomicBool,
}

/// The thread is inside; dropped, it isn't any more.
pub(crate) struct Guard<'a, T> {
    place: &'a DriverLock<T>,
    pub(crate) guard: MutexGuard<'a, T>,
}

impl<T> DriverLock<T> {
    pub(crate) fn new(inside: T) -> Self {
        Self {
            inside: Mutex::new(inside),
            waits: AtomicU8::new(NOBODY),
            claims: AtomicUsize::new(0),
            dismissed: AtomicBool::new(false),
        }
    }

    /// Whether a thread waits inside.
    pub(crate) fn is_attended(&self) -> bool {
        // SeqCst: read after the fence of the driver's alarm, too.
        self.waits.load(SeqCst) != NOBODY
    }

    /// Whether the thread that waits inside does so for want of another.
    pub(crate) fn is_left_to_attendant(&self) -> bool {
        // Relaxed: a hint.
        self.waits.load(Relaxed) == rank(Wait::AsAttendant)
    }

    /// Enters for a look, if nobody is inside. Else a thread that waits there leaves soon, if it is less important than a busy
    /// thread of this kind: `interrupt` tells it.
    pub(crate) fn look(&self, wait: Wait, interrupt: impl FnOnce()) -> Option<Guard<'_, T>> {
        match self.inside.try_lock() {
            Some(guard) => Some(Guard { place: self, guard }),
            None => {
                self.dismiss(wait, interrupt);
                None
            }
        }
    }

    #[cold]
    fn dismiss(&self, wait: Wait, interrupt: impl FnOnce()) {
        // Relaxed: should it be another one by now, that one may leave for nothing, and the attendant sees to what it would have.
        let holder = self.waits.load(Relaxed);
        let is_less = holder < rank(wait) || holder == rank(wait) && wait == Wait::AsRunLoop;
        if holder != NOBODY && is_less && !self.dismissed.swap(true, SeqCst) {
            interrupt();
        }
    }

    /// Enters to wait, if nobody is inside, or a thread that gives way to one of this kind: `interrupt` tells it.
    pub(crate) fn enter(&self, wait: Wait, interrupt: impl FnOnce()) -> Option<Guard<'_, T>> {
        let guard = match self.inside.try_lock() {
            Some(guard) => guard,
            None => self.claim(wait, interrupt)?,
        };
        self.dismissed.store(false, SeqCst);
        self.waits.store(rank(wait), SeqCst);
        Some(Guard { place: self, guard })
    }

    #[cold]
    fn claim(&self, wait: Wait, interrupt: impl FnOnce()) -> Option<MutexGuard<'_, T>> {
        // Relaxed: should it be another one by now, who doesn't give way, this waits in vain.
        let holder = self.waits.load(Relaxed);
        if holder == NOBODY || holder >= rank(wait) {
            return None;
        }
        self.claims.fetch_add(1, SeqCst);
        interrupt();
        let guard = self.inside.try_lock_for(PATIENCE);
        self.claims.fetch_sub(1, SeqCst);
        guard
    }
}

impl<T> Guard<'_, T> {
    /// Whether this thread, which waits, is to give way.
    pub(crate) fn is_claimed(&self) -> bool {
        let DriverLock { waits, claims, dismissed, .. } = self.place;
        // Relaxed: it is this thread that has set it. A worker is never dismissed, but for one that was here before.
        claims.load(SeqCst) > 0 || dismissed.load(SeqCst) && waits.load(Relaxed) < rank(Wait::AsWorker)
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        // SeqCst: before the fence of the driver's alarm, which is rung afterwards.
        self.place.waits.store(NOBODY, SeqCst);
    }
}

fn rank(wait: Wait) -> u8 {
    match wait {
        Wait::AsAttendant => 1,
        Wait::AsCaller => 2,
        Wait::AsRunLoop => 3,
        Wait::AsWorker => 4,
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
        let place = DriverLock::new(());
        let (interrupt, interrupted) = mpsc::channel();
        thread::scope(|threads| {
            let inside = place.enter(Wait::AsCaller, || unreachable!()).unwrap();
            assert!(place.is_attended() && !inside.is_claimed());
            for wait in [Wait::AsAttendant, Wait::AsCaller] {
                assert!(place.enter(wait, || unreachable!("{wait:?} makes nobody give way")).is_none());
                assert!(place.look(wait, || unreachable!("{wait:?} makes nobody leave")).is_none());
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

    #[test]
    fn a_busy_thread_has_an_idle_one_leave_and_says_so_once() {
        polyexec_conformance::watched!();
        use Wait::{AsAttendant, AsCaller, AsRunLoop, AsWorker};
        let all = [AsAttendant, AsCaller, AsRunLoop, AsWorker];
        for (holder, leaves_for) in [
            (AsAttendant, &[AsCaller, AsRunLoop, AsWorker][..]),
            (AsCaller, &[AsRunLoop, AsWorker]),
            // It would take the other's events one by one.
            (AsRunLoop, &[AsRunLoop, AsWorker]),
            (AsWorker, &[]),
        ] {
            for busy in all {
                let place = DriverLock::new(());
                let inside = place.enter(holder, || unreachable!()).unwrap();
                let mut told = 0;
                for _ in 0..3 {
                    assert!(place.look(busy, || told += 1).is_none());
                }
                assert_eq!(told > 0, leaves_for.contains(&busy), "{holder:?} inside, {busy:?} looks");
                assert_eq!((told, inside.is_claimed()), (i32::from(told > 0), told > 0));
                drop(inside);
                assert!(place.look(busy, || unreachable!()).is_some());
                assert!(!place.enter(holder, || unreachable!()).unwrap().is_claimed(), "that was another one");
            }
        }
    }
}
