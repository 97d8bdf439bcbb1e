//! Puts a thread to sleep until another one unparks it. Unlike `std::thread::park`, each [`Parker`] has its own token, so no
//! call is mistaken for another's. Where there is a [driver](crate::executor::driver), the thread waits for events meanwhile.

use std::cell::Cell;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Instant;

use futures_task::ArcWake;

use crate::executor::driver::{self, Driver, Polled, Priority, ReadyWakers};
use crate::sync::{AtomicU8, Condvar, Mutex, thread_local};

/// No call since the last `park`.
const EMPTY: u8 = 0;
/// Its thread sleeps, or is about to. Set and cleared by that thread under the lock.
const PARKED: u8 = 1;
/// A call was made. Set by the caller, cleared by the next `park`.
const CALLED: u8 = 2;
/// Its thread polls the driver, or is about to. Set and cleared by that thread.
const POLLING: u8 = 3;
/// The bit that PARKED and POLLING share: the caller must wake the thread.
const WAITS: u8 = 1;

/// Looks for a call while `spin_then_park` stays awake: about four microseconds, the time that another processor takes for a short
/// task and its answer.
const SPINS: u32 = if cfg!(polyexec_loom) { 1 } else { 32 };
/// Pauses between two looks.
const PAUSES: u32 = 6;
/// After a few fruitless attempts in a row, one wait in eight begins awake.
const MOST_SKIPPED: u8 = 7;

thread_local! {
    /// Whether spinning pays, as this thread has found.
    static BACKOFF: Cell<Backoff> = const { Cell::new(Backoff { to_skip: 1, next_skip: 1 }) };
}

#[derive(Clone, Copy)]
struct Backoff {
    /// Waits to begin asleep, until one begins awake.
    to_skip: u8,
    /// How many to skip if that one is fruitless.
    next_skip: u8,
}

/// Whether another thread can run while this one spins. Looked up once.
fn has_processors() -> bool {
    static MORE_THAN_ONE: OnceLock<bool> = OnceLock::new();
    *MORE_THAN_ONE.get_or_init(|| std::thread::available_parallelism().is_ok_and(|processors| processors.get() > 1))
}

/// Blocks a thread until another one calls [`unpark`](Parker::unpark). An `Arc<Parker>` is also a waker.
///
/// Calls before a [`park`](Parker::park) make that one return at once; several count as one. The algorithm is `std`'s generic
/// parker: a call costs one atomic swap, and takes the lock only to wake a thread that sleeps.
#[derive(Debug, Default)]
pub struct Parker {
    state: AtomicU8,
    lock: Mutex<()>,
    called: Condvar,
    /// A model's, in place of the process's.
    #[cfg(polyexec_loom)]
    driver: Option<ModelledDriver>,
}

#[cfg(polyexec_loom)]
type ModelledDriver = crate::modelled::Shown<Arc<dyn Driver + Send + Sync>>;

impl Parker {
    /// A parker without a call.
    #[cfg(not(polyexec_loom))]
    pub const fn new() -> Self {
        Self { state: AtomicU8::new(EMPTY), lock: Mutex::new(()), called: Condvar::new() }
    }

    /// As above; what is modelled can't be `const`.
    #[cfg(polyexec_loom)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits in a model's driver.
    #[cfg(polyexec_loom)]
    pub fn with_driver(driver: Arc<dyn Driver + Send + Sync>) -> Self {
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
    /// Waits in the process's [driver](crate::executor::driver), unless another thread or a [worker](driver::work) does, and
    /// calls the wakers of its events.
    pub fn park(&self) {
        if !self.take_call() {
            self.wait_for_call();
        }
    }

    #[inline(never)]
    fn wait_for_call(&self) {
        loop {
            let (is_called, woken) = self.park_for_events(Priority::Caller);
            drop(woken);
            if is_called {
                return;
            }
        }
    }

    /// As [`park`](Parker::park), but also returns when events have come. Says whether there was a call, and returns the wakers
    /// of the events: both may come together.
    pub fn park_for_events(&self, priority: Priority) -> (bool, ReadyWakers) {
        match self.driver() {
            // A worker would have to interrupt this thread to poll the driver itself.
            Some(driver) if !driver::leaves_it_to_others(priority) => self.park_in(driver, priority),
            _ => (self.park_until(None), ReadyWakers::default()),
        }
    }

    /// Polls `driver` if it may, and else waits for a call alone.
    fn park_in(&self, driver: &dyn Driver, priority: Priority) -> (bool, ReadyWakers) {
        loop {
            if self.take_call() {
                return (true, ReadyWakers::default());
            }
            // AcqRel: as in `park_until`. Fails if there was a call.
            let mut begin = || self.state.compare_exchange(EMPTY, POLLING, AcqRel, Acquire).is_ok();
            let (woken, gave_way) = match driver.poll(priority, &mut begin) {
                Polled::Refused => return (self.park_until(None), ReadyWakers::default()),
                Polled::Done(woken) => (woken, false),
                Polled::GaveWay(woken) => (woken, true),
            };
            // A call in between counts: this forgets only our own POLLING.
            let is_called = self.state.swap(EMPTY, AcqRel) == CALLED;
            if is_called || !woken.is_empty() {
                return (is_called, woken);
            }
            if gave_way {
                return (self.park_until(None), woken);
            }
        }
    }

    /// As [`park`](Parker::park), but returns `false` when `deadline` passes without a call. Doesn't wait for events.
    pub fn park_until(&self, deadline: Option<Instant>) -> bool {
        if self.take_call() {
            return true;
        }
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        // Acquire: pairs with the Release in `unpark`, should it have come first.
        if self.state.compare_exchange(EMPTY, PARKED, AcqRel, Acquire).is_err() {
            // Only this thread parks, and it holds the lock: so the state is CALLED.
            self.state.swap(EMPTY, AcqRel);
            return true;
        }
        loop {
            lock = match deadline {
                None => self.called.wait(lock).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        // A call in between counts: this forgets only our own PARKED.
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

    /// As [`park`](Parker::park), but spins for a few microseconds first. Most calls of a busy program come in that time, and
    /// neither side then needs the system.
    ///
    /// After a fruitless spin the thread skips the next one, then two, four and so on. With a single processor it never
    /// spins.
    pub fn spin_then_park(&self) {
        if !self.spin_for_call() {
            self.park();
        }
    }

    /// Spins for a while, if that has paid lately. Takes the call, and says whether there was one.
    pub(crate) fn spin_for_call(&self) -> bool {
        let backoff = BACKOFF.get();
        if backoff.to_skip > 0 || !has_processors() {
            BACKOFF.set(Backoff { to_skip: backoff.to_skip.saturating_sub(1), ..backoff });
            return false;
        }
        let is_called = self.spin();
        BACKOFF.set(match is_called {
            true => Backoff { to_skip: 0, next_skip: 1 },
            false => Backoff { to_skip: backoff.next_skip, next_skip: MOST_SKIPPED.min(2 * backoff.next_skip) },
        });
        is_called
    }

    /// Takes a call that comes soon, and says whether one did.
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

    /// Wakes the thread from PARKED or POLLING.
    #[cold]
    fn call(&self, state: u8) {
        if state == PARKED {
            // The thread holds the lock from PARKED until it waits, so it can't miss the notification.
            drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
            self.called.notify_one();
        } else if let Some(driver) = self.driver() {
            // If that wait ends just now, the next one is interrupted instead, which costs a turn.
            driver.interrupt();
        }
    }

    /// Hint: whether the next [`park`](Parker::park) would return at once. May miss a call that was just made.
    #[inline]
    pub(crate) fn was_called(&self) -> bool {
        self.state.load(Relaxed) == CALLED
    }

    /// Makes the next [`park`](Parker::park) wait for another call.
    pub(crate) fn forget_call(&self) {
        self.take_call();
    }

    /// Clears CALLED, and says whether it was set.
    #[inline]
    fn take_call(&self) -> bool {
        // The load first: a thread that spins leaves the cache line to the caller.
        // Acquire: pairs with the Release in `unpark`. Relaxed on failure: there was no call.
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
    fn two_threads_wake_each_other() {
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

    /// Each wait ends with an event and a call at the same time.
    struct Both {
        parker: Arc<Parker>,
        event: Arc<Parker>,
    }

    impl Driver for Both {
        fn poll(&self, _: Priority, begin: &mut dyn FnMut() -> bool) -> Polled {
            assert!(begin());
            self.parker.unpark();
            let mut woken = ReadyWakers::new();
            woken.wakers().push(futures_task::waker(self.event.clone()));
            Polled::Done(woken)
        }

        fn look(&self, _: Priority) -> ReadyWakers {
            ReadyWakers::default()
        }

        fn is_left_to_fallback(&self) -> bool {
            false
        }

        fn interrupt(&self) {}
    }

    #[test]
    fn events_that_come_with_a_call_are_not_lost() {
        let [parker, event] = [(); 2].map(|()| Arc::new(Parker::new()));
        let both = Both { parker: parker.clone(), event: event.clone() };
        let (is_called, woken) = parker.park_in(&both, Priority::Caller);
        assert!(is_called && !woken.is_empty());
        drop(woken);
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
