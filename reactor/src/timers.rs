//! Who is to be woken when. Knows no time but that which it is told, and calls nobody.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::task::Waker;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The timers that are set, in the order of their deadlines.
pub(crate) struct Timers {
    /// Where the moments begin.
    begin: Instant,
    set: Mutex<Set>,
    /// Whether there are any. Changed under the lock.
    are_any: AtomicBool,
    /// What was due by then has been taken out. Changed under the lock.
    passed: AtomicU64,
}

#[derive(Default)]
struct Set {
    wakers: BTreeMap<Key, Waker>,
    /// Timers set so far.
    so_far: u64,
    /// A thread waits, until then at most.
    waiting: Option<Moment>,
}

/// Nanoseconds since the timers' beginning: half as long as an `Instant`, and quicker to compare.
type Moment = u64;
/// A moment that doesn't come, five centuries away.
const NEVER: Moment = Moment::MAX;

/// A deadline, and the timer's number.
type Key = (Moment, u64);

/// In the number of a timer that was due already when it was set.
const LATE: u64 = 1;

/// What whoever has set a timer owes.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OnSet {
    /// The thread that waits would wait for too long: interrupt it.
    Interrupt,
    /// Nobody waits: see that somebody will.
    Announce,
    /// Nothing: the thread that waits does so for less.
    Nothing,
}

impl Timers {
    pub(crate) fn new() -> Self {
        let (begin, set) = (Instant::now(), Mutex::default());
        Self { begin, set, are_any: AtomicBool::new(false), passed: AtomicU64::new(0) }
    }

    /// Whether there are timers, or there have been some just now.
    pub(crate) fn are_any(&self) -> bool {
        // SeqCst: read after the fence of the reactor's alarm, too.
        self.are_any.load(SeqCst)
    }

    /// Whether what is due then has been taken out by now. If not, it may be due nevertheless.
    pub(crate) fn is_known_to_be_over(&self, deadline: Instant) -> bool {
        // Relaxed: time passes everywhere.
        self.moment(deadline) <= self.passed.load(Relaxed)
    }

    /// Sets a timer, and gives its number.
    pub(crate) fn set(&self, deadline: Instant, waker: Waker) -> (u64, OnSet) {
        let moment = self.moment(deadline);
        let mut set = self.set.lock();
        set.so_far += 1;
        let is_late = moment <= self.passed.load(Relaxed);
        let number = set.so_far * 2 + if is_late { LATE } else { 0 };
        set.wakers.insert((moment, number), waker);
        if !self.are_any.load(Relaxed) {
            self.are_any.store(true, SeqCst);
        }
        let owed = match set.waiting {
            None => OnSet::Announce,
            Some(until) if until <= moment => OnSet::Nothing,
            Some(_) => {
                // Once is enough.
                set.waiting = Some(moment);
                OnSet::Interrupt
            }
        };
        (number, owed)
    }

    /// Replaces the waker of a timer. `false`: it isn't set any more.
    pub(crate) fn renew(&self, deadline: Instant, number: u64, waker: &Waker) -> bool {
        let key = (self.moment(deadline), number);
        match self.set.lock().wakers.get(&key) {
            Some(before) if before.will_wake(waker) => return true,
            Some(_) => (),
            None => return false,
        }
        // Cloned and dropped outside of the lock: both are code of somebody's.
        let mut waker = waker.clone();
        let mut set = self.set.lock();
        let place = set.wakers.get_mut(&key);
        let is_set = place.is_some();
        place.into_iter().for_each(|place| std::mem::swap(place, &mut waker));
        drop(set);
        is_set
    }

    /// Takes a timer out, if it is still set.
    pub(crate) fn cancel(&self, deadline: Instant, number: u64) -> Option<Waker> {
        if number & LATE == 0 && self.is_known_to_be_over(deadline) {
            // It was set before that moment had passed, so it was taken out then.
            return None;
        }
        let mut set = self.set.lock();
        let waker = set.wakers.remove(&(self.moment(deadline), number));
        self.look_if_any(&set);
        waker
    }

    /// How long a thread may wait that begins to. `None`: for as long as it takes.
    pub(crate) fn begin_wait(&self, now: impl FnOnce() -> Instant) -> Option<Duration> {
        let mut set = self.set.lock();
        let first = set.wakers.first_key_value().map(|((moment, _), _)| *moment);
        set.waiting = Some(first.unwrap_or(NEVER));
        first.map(|moment| Duration::from_nanos(moment.saturating_sub(self.moment(now()))))
    }

    /// The thread waits no longer, if one did. Adds to `woken` who is to be woken by now.
    pub(crate) fn end_wait(&self, now: impl FnOnce() -> Instant, woken: &mut Vec<Waker>) {
        let mut set = self.set.lock();
        set.waiting = None;
        let Some(((first, _), _)) = set.wakers.first_key_value() else { return };
        let now = self.moment(now());
        if *first > now {
            return;
        }
        let later = set.wakers.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut set.wakers, later);
        self.passed.store(now, Relaxed);
        self.look_if_any(&set);
        drop(set);
        woken.extend(due.into_values());
    }

    fn look_if_any(&self, set: &Set) {
        if set.wakers.is_empty() {
            self.are_any.store(false, SeqCst);
        }
    }

    fn moment(&self, instant: Instant) -> Moment {
        let since = instant.saturating_duration_since(self.begin);
        since.as_secs().saturating_mul(1_000_000_000).saturating_add(since.subsec_nanos().into())
    }
}

#[cfg(all(test, not(polyexec_loom)))]
mod tests {
    use super::*;

    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    /// Counts its calls.
    #[derive(Default)]
    struct Calls(AtomicUsize);

    impl Wake for Calls {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    fn due(timers: &Timers, now: Instant) -> usize {
        let mut woken = Vec::new();
        timers.end_wait(|| now, &mut woken);
        woken.len()
    }

    #[test]
    fn timers_are_due_in_their_order_and_once() {
        let (timers, now) = (Timers::new(), Instant::now());
        let after = |seconds| now + Duration::from_secs(seconds);
        for seconds in [3, 1, 2, 2] {
            let (_, owed) = timers.set(after(seconds), Waker::noop().clone());
            assert_eq!(owed, OnSet::Announce);
        }
        assert_eq!(timers.begin_wait(|| now), Some(Duration::from_secs(1)));
        let counts = [0, 1, 2, 3, 3].map(|seconds| due(&timers, after(seconds)));
        assert_eq!(counts, [0, 1, 2, 1, 0]);
        assert!(!timers.are_any());
    }

    #[test]
    fn only_a_timer_before_all_others_ends_a_wait() {
        let (timers, now) = (Timers::new(), Instant::now());
        let mut set = |seconds| timers.set(now + Duration::from_secs(seconds), Waker::noop().clone()).1;
        assert_eq!(timers.begin_wait(|| now), None);
        let owed = [5, 6, 5, 4].map(&mut set);
        assert_eq!(owed, [OnSet::Interrupt, OnSet::Nothing, OnSet::Nothing, OnSet::Interrupt]);
    }

    #[test]
    fn the_newest_waker_is_called_and_none_after_a_cancellation() {
        let (timers, now) = (Timers::new(), Instant::now());
        let [old, new, cancelled] = [(); 3].map(|()| Arc::new(Calls::default()));
        let (number, _) = timers.set(now, old.clone().into());
        assert!(timers.renew(now, number, &new.clone().into()));
        let (other, _) = timers.set(now, cancelled.clone().into());
        assert!(timers.cancel(now, other).is_some());
        assert!(timers.cancel(now, other).is_none());
        let mut woken = Vec::new();
        timers.end_wait(|| now, &mut woken);
        woken.into_iter().for_each(Waker::wake);
        let calls = [old, new, cancelled].map(|calls| calls.0.load(Relaxed));
        assert_eq!(calls, [0, 1, 0]);
        assert!(!timers.renew(now, number, Waker::noop()));
    }

    #[test]
    fn a_timer_that_came_too_late_for_a_look_is_cancelled_nevertheless() {
        let (timers, now) = (Timers::new(), Instant::now());
        let [in_time, _] = [(); 2].map(|()| timers.set(now, Waker::noop().clone()).0);
        assert!(!timers.is_known_to_be_over(now));
        assert_eq!(due(&timers, now), 2);
        assert!(timers.is_known_to_be_over(now) && !timers.is_known_to_be_over(now + Duration::from_nanos(1)));
        // Whoever looked at the time before that look, and was slow.
        let (late, _) = timers.set(now, Waker::noop().clone());
        assert!(timers.cancel(now, in_time).is_none());
        assert!(timers.cancel(now, late).is_some());
        assert!(!timers.are_any());
    }

    #[test]
    fn a_deadline_centuries_away_never_comes() {
        let (timers, now) = (Timers::new(), Instant::now());
        let far = now + Duration::from_secs(1_000 * 365 * 24 * 60 * 60);
        let (number, _) = timers.set(far, Waker::noop().clone());
        assert!(timers.begin_wait(|| now).is_some_and(|time| time > Duration::from_secs(u32::MAX.into())));
        assert_eq!(due(&timers, now), 0);
        assert!(timers.renew(far, number, Waker::noop()) && timers.cancel(far, number).is_some());
    }

    /// Sets a timer when it is dropped.
    struct Restless(Arc<Timers>);

    impl Wake for Restless {
        fn wake(self: Arc<Self>) {}
    }

    impl Drop for Restless {
        fn drop(&mut self) {
            let _ = self.0.set(Instant::now(), Waker::noop().clone());
        }
    }

    #[test]
    fn wakers_are_dropped_outside_of_the_lock() {
        polyexec_conformance::watched!();
        let (timers, now) = (Arc::new(Timers::new()), Instant::now());
        let restless = || Waker::from(Arc::new(Restless(timers.clone())));
        let (number, _) = timers.set(now, restless());
        assert!(timers.renew(now, number, &restless()));
        drop(timers.cancel(now, number));
        // One for each.
        assert_eq!(due(&timers, Instant::now()), 2);
    }
}
