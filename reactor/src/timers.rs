//! Who is to be woken when. Knows no time but that which it is told, and calls nobody.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::task::Waker;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The timers that are set, in the order of their deadlines.
#[derive(Default)]
pub(crate) struct Timers {
    set: Mutex<Set>,
    /// Whether there are any. Changed under the lock.
    are_any: AtomicBool,
}

#[derive(Default)]
struct Set {
    wakers: BTreeMap<Key, Waker>,
    /// Timers set so far.
    so_far: u64,
    /// A thread waits, for so long at most.
    waiting: Option<Until>,
}

type Key = (Instant, u64);

#[derive(Clone, Copy)]
enum Until {
    Deadline(Instant),
    AnEvent,
}

impl Until {
    fn is_before(self, deadline: Instant) -> bool {
        matches!(self, Self::Deadline(until) if until <= deadline)
    }
}

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
    /// Whether there are timers, or there have been some just now.
    pub(crate) fn are_any(&self) -> bool {
        // SeqCst: read after the fence of the reactor's alarm, too.
        self.are_any.load(SeqCst)
    }

    /// Sets a timer, and gives its number.
    pub(crate) fn set(&self, deadline: Instant, waker: Waker) -> (u64, OnSet) {
        let mut set = self.set.lock();
        set.so_far += 1;
        let number = set.so_far;
        set.wakers.insert((deadline, number), waker);
        if !self.are_any.load(Relaxed) {
            self.are_any.store(true, SeqCst);
        }
        let owed = match set.waiting {
            None => OnSet::Announce,
            Some(until) if until.is_before(deadline) => OnSet::Nothing,
            Some(_) => {
                // Once is enough.
                set.waiting = Some(Until::Deadline(deadline));
                OnSet::Interrupt
            }
        };
        (number, owed)
    }

    /// Replaces the waker of a timer that is still set, and gives back the one that isn't needed.
    ///
    /// # Errors
    ///
    /// It isn't set any more.
    pub(crate) fn renew(&self, key: Key, waker: Waker) -> Result<Waker, Waker> {
        match self.set.lock().wakers.get_mut(&key) {
            Some(place) if place.will_wake(&waker) => Ok(waker),
            Some(place) => Ok(std::mem::replace(place, waker)),
            None => Err(waker),
        }
    }

    pub(crate) fn cancel(&self, key: Key) -> Option<Waker> {
        let mut set = self.set.lock();
        let waker = set.wakers.remove(&key);
        self.look_if_any(&set);
        waker
    }

    /// How long a thread may wait that begins to. `None`: for as long as it takes.
    pub(crate) fn begin_wait(&self, now: impl FnOnce() -> Instant) -> Option<Duration> {
        let mut set = self.set.lock();
        let first = set.wakers.first_key_value().map(|((deadline, _), _)| *deadline);
        set.waiting = Some(first.map_or(Until::AnEvent, Until::Deadline));
        first.map(|deadline| deadline.saturating_duration_since(now()))
    }

    /// The thread waits no longer. Adds to `woken` who is to be woken by now.
    pub(crate) fn end_wait(&self, now: impl FnOnce() -> Instant, woken: &mut Vec<Waker>) {
        let mut set = self.set.lock();
        set.waiting = None;
        if set.wakers.is_empty() {
            return;
        }
        let later = set.wakers.split_off(&(now(), u64::MAX));
        let due = std::mem::replace(&mut set.wakers, later);
        self.look_if_any(&set);
        drop(set);
        woken.extend(due.into_values());
    }

    fn look_if_any(&self, set: &Set) {
        if set.wakers.is_empty() {
            self.are_any.store(false, SeqCst);
        }
    }
}

#[cfg(test)]
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
        let (timers, now) = (Timers::default(), Instant::now());
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
        let (timers, now) = (Timers::default(), Instant::now());
        let mut set = |seconds| timers.set(now + Duration::from_secs(seconds), Waker::noop().clone()).1;
        assert_eq!(timers.begin_wait(|| now), None);
        let owed = [5, 6, 5, 4].map(&mut set);
        assert_eq!(owed, [OnSet::Interrupt, OnSet::Nothing, OnSet::Nothing, OnSet::Interrupt]);
    }

    #[test]
    fn the_newest_waker_is_called_and_none_after_a_cancellation() {
        let (timers, now) = (Timers::default(), Instant::now());
        let [old, new, cancelled] = [(); 3].map(|()| Arc::new(Calls::default()));
        let (number, _) = timers.set(now, old.clone().into());
        timers.renew((now, number), new.clone().into()).unwrap();
        let (other, _) = timers.set(now, cancelled.clone().into());
        assert!(timers.cancel((now, other)).is_some());
        assert!(timers.cancel((now, other)).is_none());
        let mut woken = Vec::new();
        timers.end_wait(|| now, &mut woken);
        woken.into_iter().for_each(Waker::wake);
        let calls = [old, new, cancelled].map(|calls| calls.0.load(Relaxed));
        assert_eq!(calls, [0, 1, 0]);
        assert!(timers.renew((now, number), Waker::noop().clone()).is_err());
    }
}
