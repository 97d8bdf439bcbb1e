//! Puts a thread to sleep until somebody calls. Unlike `std::thread::park` it takes nobody else's call for its own, and
//! nobody else takes its. Where there is a [driver](crate::executor::driver), the thread waits for events there meanwhile.

use std::cell::Cell;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::sync::{Arc, OnceLock, PoisonError};
use std::task::Waker;
use std::time::Instant;

use futures_task::ArcWake;

use crate::executor::driver::{self, Driver, Turn, Wait};
use crate::sync::{AtomicU8, Condvar, Mutex, thread_local};

/// Nobody called since the last `park`.
const EMPTY: u8 = 0;
/// Its thread sleeps, or is about to. Set and cleared by that thread under the lock.
const PARKED: u8 = 1;
/// Somebody called. Set by the caller, cleared by the next `park`.
const CALLED: u8 = 2;
/// Its thread is inside of the driver, or is about to wait there. Set and cleared by that thread.
const INSIDE: u8 = 3;
/// In PARKED and in INSIDE: whoever calls has to wake the thread.
const WAITS: u8 = 1;

/// Looks for a call between pauses, while `park_soon` stays awake: about four microseconds, the time that another
/// processor takes for a short task and its answer.
const SPINS: u32 = if cfg!(polyexec_loom) { 1 } else { 32 };
/// Pauses between two looks.
const PAUSES: u32 = 6;
/// After a few vain attempts in a row, one wait in eight is begun awake.
const MOST_SKIPPED: u8 = 7;

thread_local! {
    /// Whether it pays to stay awake, as this thread has found.
    static HOPE: Cell<Hope> = const { Cell::new(Hope { to_skip: 1, if_vain: 1 }) };
}

#[derive(Clone, Copy)]
struct Hope {
    /// Waits to begin asleep, until one is begun awake.
    to_skip: u8,
    /// How many to skip if that one is in vain.
    if_vain: u8,
}

/// Whether another thread can call while this one stays awake. Looked up once.
fn has_processors() -> bool {
    static MORE_THAN_ONE: OnceLock<bool> = OnceLock::new();
    *MORE_THAN_ONE.get_or_init(|| std::thread::available_parallelism().is_ok_and(|processors| processors.get() > 1))
}

/// One thread's place to sleep: [`park`](Parker::park) returns once after each [`unpark`](Parker::unpark), or many that
/// came before it. As an `Arc` it is a waker, too.
///
/// The algorithm is the one of `std`'s generic parker: a call costs one atomic swap, and takes the lock only to wake a
/// thread that sleeps.
#[derive(Debug, Default)]
pub struct Parker {
    state: AtomicU8,
    lock: Mutex<()>,
    called: Condvar,
    /// A model's, in place of the process's.
    #[cfg(polyexec_loom)]
    driver: Option<ModelledReactor>,
}

/// One that loom knows of.
#[cfg(polyexec_loom)]
type ModelledReactor = crate::modelled::Shown<Arc<dyn Driver + Send + Sync>>;

impl Parker {
    /// A parker that nobody has called.
    #[cfg(not(polyexec_loom))]
    pub const fn new() -> Self {
        Self { state: AtomicU8::new(EMPTY), lock: Mutex::new(()), called: Condvar::new() }
    }

    /// As above; what is modelled can't be `const`.
    #[cfg(polyexec_loom)]
    pub fn new() -> Self {
        Self::default()
    }

    /// One that waits in a model's driver.
    #[cfg(polyexec_loom)]
    pub fn inside(driver: Arc<dyn Driver + Send + Sync>) -> Self {
        Self { driver: Some(crate::modelled::Shown(driver)), ..Self::default() }
    }

    #[cfg(not(polyexec_loom))]
    fn driver(&self) -> Option<&dyn Driver> {
        driver::installed()
    }

    #[cfg(polyexec_loom)]
    fn driver(&self) -> Option<&dyn Driver> {
        self.driver.as_ref().map(|driver| &*driver.0 as &dyn Driver)
    }

    /// Blocks until [`unpark`](Parker::unpark) was called since the last return. What the caller did before that is
    /// visible afterwards. Only one thread may park at a time.
    ///
    /// Waits in the process's [driver](crate::executor::driver) if it can, and no [worker](driver::work) does, and calls the wakers for
    /// the events that come.
    pub fn park(&self) {
        self.park_and_wake(|woken| self.park_for_events(Wait::AsCaller, woken));
    }

    /// Calls the wakers that `park` gathers, also those that came together with the call.
    fn park_and_wake(&self, mut park: impl FnMut(&mut Vec<Waker>) -> bool) {
        let mut woken = Vec::new();
        loop {
            let is_called = park(&mut woken);
            driver::wake_all(woken.drain(..));
            if is_called {
                return;
            }
        }
    }

    /// As [`park`](Parker::park), but returns `false`, too, when events have come. Their wakers are added to `woken`, and are
    /// to be [called](driver::wake_all) soon, whatever this returns: events may come together with a call.
    pub fn park_for_events(&self, wait: Wait, woken: &mut Vec<Waker>) -> bool {
        match self.driver() {
            // A worker will be inside, and would have to get this thread out.
            Some(_) if driver::leaves_it_to_others(wait) => self.park_until(None),
            Some(driver) => self.park_inside(driver, wait, woken),
            None => self.park_until(None),
        }
    }

    /// Waits in `driver` if it can, and for a call alone if it can't.
    fn park_inside(&self, driver: &dyn Driver, wait: Wait, woken: &mut Vec<Waker>) -> bool {
        loop {
            if self.take_call() {
                return true;
            }
            // AcqRel: as in `park_until`. On failure somebody has called.
            let mut begin = || self.state.compare_exchange(EMPTY, INSIDE, AcqRel, Acquire).is_ok();
            let turn = driver.turn(wait, &mut begin, woken);
            let is_called = match turn {
                Turn::Refused => return self.park_until(None),
                // Whatever came meanwhile counts: EMPTY forgets nothing but our own INSIDE.
                Turn::Had | Turn::GaveWay => self.state.swap(EMPTY, AcqRel) == CALLED,
            };
            if is_called || !woken.is_empty() {
                return is_called;
            }
            if turn == Turn::GaveWay {
                return self.park_until(None);
            }
        }
    }

    /// As [`park`](Parker::park), but returns `false` when `deadline` has passed and nobody called. Doesn't wait for events.
    pub fn park_until(&self, deadline: Option<Instant>) -> bool {
        if self.take_call() {
            return true;
        }
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        // Acquire: pairs with the Release in `unpark`, should it have come first.
        if self.state.compare_exchange(EMPTY, PARKED, AcqRel, Acquire).is_err() {
            // We hold the lock and are the only one to park, so the state was CALLED.
            self.state.swap(EMPTY, AcqRel);
            return true;
        }
        loop {
            lock = match deadline {
                None => self.called.wait(lock).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        // Whatever came meanwhile counts: EMPTY forgets nothing but our own PARKED.
                        return self.state.swap(EMPTY, AcqRel) == CALLED;
                    }
                    self.called.wait_timeout(lock, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
            if self.take_call() {
                return true;
            }
        }
    }

    /// As [`park`](Parker::park), but stays awake for a few microseconds first, in which most calls of a busy program come:
    /// then neither side needs the system. The thread does so as long as it helps: after an attempt in vain it skips the
    /// next one, then two, four and so on. Where there is one processor only, it sleeps at once.
    pub fn park_soon(&self) {
        if !self.is_called_soon() {
            self.park();
        }
    }

    /// Stays awake for a while, if that helps. Whether there was a call, which this takes.
    pub(crate) fn is_called_soon(&self) -> bool {
        let hope = HOPE.get();
        if hope.to_skip > 0 || !has_processors() {
            HOPE.set(Hope { to_skip: hope.to_skip.saturating_sub(1), ..hope });
            return false;
        }
        let is_called = self.spin();
        HOPE.set(match is_called {
            true => Hope { to_skip: 0, if_vain: 1 },
            false => Hope { to_skip: hope.if_vain, if_vain: MOST_SKIPPED.min(2 * hope.if_vain) },
        });
        is_called
    }

    /// Looks for a call for a while. Whether there was one.
    fn spin(&self) -> bool {
        (0..SPINS).any(|_| {
            let is_called = self.take_call();
            if !is_called {
                (0..PAUSES).for_each(|_| std::hint::spin_loop());
            }
            is_called
        })
    }

    /// Makes the current or the next [`park`](Parker::park) return.
    pub fn unpark(&self) {
        // Release: pairs with the Acquire in `take_call`; what the caller did is visible to the thread that parked.
        let before = self.state.swap(CALLED, AcqRel);
        if before & WAITS != 0 {
            self.call(before);
        }
    }

    /// Wakes the thread, which waits as `state` says.
    #[cold]
    fn call(&self, state: u8) {
        if state == PARKED {
            // The thread holds the lock from PARKED until it waits: after this it can't miss the notification.
            drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
            self.called.notify_one();
        } else if let Some(driver) = self.driver() {
            // If it leaves by itself just now, somebody else leaves in its place, and comes back.
            driver.interrupt();
        }
    }

    /// Whether the next [`park`](Parker::park) would return at once. It may know of a call a bit late.
    #[inline]
    pub(crate) fn was_called(&self) -> bool {
        self.state.load(Relaxed) == CALLED
    }

    /// Has the next [`park`](Parker::park) wait for another call.
    pub(crate) fn forget_call(&self) {
        self.take_call();
    }

    /// Clears CALLED, and says whether it was set.
    #[inline]
    fn take_call(&self) -> bool {
        // A look first, so that whoever spins leaves the cache line where it is.
        // Acquire: pairs with the Release in `unpark`. Relaxed on failure: nothing was said.
        self.state.load(Relaxed) == CALLED && self.state.compare_exchange(CALLED, EMPTY, Acquire, Relaxed).is_ok()
    }
}

impl ArcWake for Parker {
    fn wake_by_ref(parker: &Arc<Self>) {
        parker.unpark();
    }
}

#[cfg(all(test, not(polyexec_loom)))]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn calls_before_the_park_count_once() {
        let parker = Parker::new();
        parker.unpark();
        parker.unpark();
        assert!(parker.park_until(None));
        assert!(!parker.park_until(Some(Instant::now())));
    }

    #[test]
    fn a_deadline_in_the_past_does_not_lose_a_call() {
        let parker = Parker::new();
        parker.unpark();
        assert!(parker.park_until(Some(Instant::now())));
    }

    #[test]
    fn two_threads_hand_the_turn_back_and_forth() {
        let [here, there] = [(); 2].map(|()| Arc::new(Parker::new()));
        let other = {
            let (here, there) = (here.clone(), there.clone());
            std::thread::spawn(move || {
                for _ in 0..10_000 {
                    there.park();
                    here.unpark();
                }
            })
        };
        for _ in 0..10_000 {
            there.unpark();
            here.park();
        }
        other.join().unwrap();
    }

    /// Whenever somebody waits, an event comes, and a call for the thread.
    struct Both {
        parker: Arc<Parker>,
        event: Arc<Parker>,
    }

    impl Driver for Both {
        fn turn(&self, _: Wait, begin: &mut dyn FnMut() -> bool, woken: &mut Vec<Waker>) -> Turn {
            assert!(begin());
            self.parker.unpark();
            woken.push(futures_task::waker(self.event.clone()));
            Turn::Had
        }

        fn look(&self, _: Wait, _: &mut Vec<Waker>) {}

        fn is_left_to_attendant(&self) -> bool {
            false
        }

        fn interrupt(&self) {}
    }

    #[test]
    fn events_that_come_with_a_call_are_not_lost() {
        let [parker, event] = [(); 2].map(|()| Arc::new(Parker::new()));
        let both = Both { parker: parker.clone(), event: event.clone() };
        parker.park_and_wake(|woken| parker.park_inside(&both, Wait::AsCaller, woken));
        assert!(event.park_until(Some(Instant::now())), "its waker was called");
    }

    #[test]
    fn a_deadline_ends_the_wait() {
        let begin = Instant::now();
        let wait = Duration::from_millis(5);
        assert!(!Parker::new().park_until(Some(begin + wait)));
        assert!(begin.elapsed() >= wait);
    }
}
