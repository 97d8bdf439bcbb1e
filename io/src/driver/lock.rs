//! The driver's lock: one thread at a time polls, and gives way to threads of higher priority. Knows nothing of what is polled.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use polyexec_core::executor::driver::Priority;

/// How long a thread waits for a holder that was interrupted. Enough unless no processor is free; then it does without the
/// driver.
const PATIENCE: Duration = Duration::from_micros(200);

/// The priority of a lock that no thread waits under.
const FREE: u8 = 0;

/// Holds what only the polling thread uses.
#[derive(Default)]
pub(crate) struct DriverLock<T> {
    polled: Mutex<T>,
    /// The priority of the thread that waits under the lock. Set and cleared by that thread.
    holder: AtomicU8,
    /// Threads that wait for the holder to give way. Each counts itself in and out.
    claims: AtomicUsize,
    /// A busy thread has asked the holder to leave. Cleared by the next holder.
    preempted: AtomicBool,
}

/// The lock, held. Dropping it releases the lock.
pub(crate) struct Guard<'a, T> {
    lock: &'a DriverLock<T>,
    pub(crate) polled: MutexGuard<'a, T>,
}

impl<T> DriverLock<T> {
    pub(crate) fn new(polled: T) -> Self {
        Self {
            polled: Mutex::new(polled),
            holder: AtomicU8::new(FREE),
            claims: AtomicUsize::new(0),
            preempted: AtomicBool::new(false),
        }
    }

    /// Whether a thread waits under the lock.
    pub(crate) fn is_polled(&self) -> bool {
        // SeqCst: read after the fence of the driver's alarm, too.
        self.holder.load(SeqCst) != FREE
    }

    /// Hint: whether the fallback thread holds the lock.
    pub(crate) fn is_left_to_fallback(&self) -> bool {
        self.holder.load(Relaxed) == rank(Priority::Fallback)
    }

    /// Takes the lock for a look, if it is free. Else interrupts a sleeping holder of lower priority, so that the next look
    /// finds it free.
    pub(crate) fn try_lock(&self, priority: Priority, interrupt: impl FnOnce()) -> Option<Guard<'_, T>> {
        match self.polled.try_lock() {
            Some(polled) => Some(Guard { lock: self, polled }),
            None => {
                self.preempt(priority, interrupt);
                None
            }
        }
    }

    #[cold]
    fn preempt(&self, priority: Priority, interrupt: impl FnOnce()) {
        // Relaxed: if the holder has changed, the new one may leave for nothing, and the fallback thread takes its events.
        let holder = self.holder.load(Relaxed);
        let is_lower = holder < rank(priority) || holder == rank(priority) && priority == Priority::RunLoop;
        if holder != FREE && is_lower && !self.preempted.swap(true, SeqCst) {
            interrupt();
        }
    }

    /// Takes the lock to wait under it, interrupting a holder of lower priority.
    pub(crate) fn lock(&self, priority: Priority, interrupt: impl FnOnce()) -> Option<Guard<'_, T>> {
        let polled = match self.polled.try_lock() {
            Some(polled) => polled,
            None => self.claim(priority, interrupt)?,
        };
        self.preempted.store(false, SeqCst);
        self.holder.store(rank(priority), SeqCst);
        Some(Guard { lock: self, polled })
    }

    #[cold]
    fn claim(&self, priority: Priority, interrupt: impl FnOnce()) -> Option<MutexGuard<'_, T>> {
        // Relaxed: if the holder has changed to one of higher priority, this waits for nothing.
        let holder = self.holder.load(Relaxed);
        if holder == FREE || holder >= rank(priority) {
            return None;
        }
        self.claims.fetch_add(1, SeqCst);
        interrupt();
        let polled = self.polled.try_lock_for(PATIENCE);
        self.claims.fetch_sub(1, SeqCst);
        polled
    }
}

impl<T> Guard<'_, T> {
    /// Whether this thread, which waits, should give way.
    pub(crate) fn is_claimed(&self) -> bool {
        let DriverLock { holder, claims, preempted, .. } = self.lock;
        // Relaxed: this thread set it. No thread preempts a worker: the request was for an earlier holder.
        claims.load(SeqCst) > 0 || preempted.load(SeqCst) && holder.load(Relaxed) < rank(Priority::Worker)
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        // SeqCst: before the fence of the driver's alarm, which is rung afterwards.
        self.lock.holder.store(FREE, SeqCst);
    }
}

fn rank(priority: Priority) -> u8 {
    match priority {
        Priority::Fallback => 1,
        Priority::Caller => 2,
        Priority::RunLoop => 3,
        Priority::Worker => 4,
    }
}

#[cfg(all(test, not(polyexec_loom)))]
mod tests {
    use super::*;

    use std::sync::mpsc;
    use std::thread;

    #[test]
    fn a_higher_priority_gets_the_lock_and_no_other() {
        polyexec_conformance::watched!();
        let lock = DriverLock::new(());
        let (interrupt, interrupted) = mpsc::channel();
        thread::scope(|threads| {
            let held = lock.lock(Priority::Caller, || unreachable!()).unwrap();
            assert!(lock.is_polled() && !held.is_claimed());
            for wait in [Priority::Fallback, Priority::Caller] {
                assert!(lock.lock(wait, || unreachable!("{wait:?} interrupts no holder")).is_none());
                assert!(lock.try_lock(wait, || unreachable!("{wait:?} interrupts no holder")).is_none());
            }
            let worker = threads.spawn(|| {
                let interrupt = interrupt;
                // Patience may end before the other thread has had a processor.
                while lock.lock(Priority::Worker, || interrupt.send(()).unwrap()).is_none() {}
            });
            interrupted.recv().unwrap();
            drop(held);
            worker.join().unwrap();
        });
        assert!(!lock.is_polled());
    }

    #[test]
    fn a_busy_thread_interrupts_an_idle_holder_once() {
        polyexec_conformance::watched!();
        use Priority::{Caller, Fallback, RunLoop, Worker};
        let all = [Fallback, Caller, RunLoop, Worker];
        for (holder, leaves_for) in [
            (Fallback, &[Caller, RunLoop, Worker][..]),
            (Caller, &[RunLoop, Worker]),
            // It would take the other's events one by one.
            (RunLoop, &[RunLoop, Worker]),
            (Worker, &[]),
        ] {
            for busy in all {
                let lock = DriverLock::new(());
                let held = lock.lock(holder, || unreachable!()).unwrap();
                let mut interrupts = 0;
                for _ in 0..3 {
                    assert!(lock.try_lock(busy, || interrupts += 1).is_none());
                }
                assert_eq!(interrupts > 0, leaves_for.contains(&busy), "{holder:?} polls, {busy:?} looks");
                assert_eq!((interrupts, held.is_claimed()), (i32::from(interrupts > 0), interrupts > 0));
                drop(held);
                assert!(lock.try_lock(busy, || unreachable!()).is_some());
                assert!(!lock.lock(holder, || unreachable!()).unwrap().is_claimed(), "it was another holder");
            }
        }
    }
}
