//! Which timers are set, and which are due. Reads no clock, and calls no waker: its callers do.
//!
//! Time is counted in ticks. A timer is due at the first tick that isn't before its deadline. All timers of one tick are in one
//! bucket. So setting a timer finds its tick among those that have timers. These are few: many timers are mostly set for similar
//! times.
//!
//! The timers are sharded. Each shard has a lock, and a thread always sets its timers in the same shard, so threads rarely meet.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::driver::sync::{AtomicU64, Mutex};

use self::bucket::Bucket;
use self::next_wake::NextWake;
pub(crate) use self::next_wake::OnSet;

mod bucket;
#[cfg(all(test, polyexec_loom))]
mod models;
mod next_wake;

/// Ticks since the timers were made, plus one. Never zero.
type Tick = u64;
/// Later than the tick of any timer.
const NEVER: Tick = Tick::MAX;

/// The length of a tick in nanoseconds: 66 µs, a sixteenth of the millisecond that the system's wait is exact to.
const TICK: u64 = 1 << 16;

/// How many shards there are. A power of two.
const SHARDS: usize = if cfg!(polyexec_loom) { 2 } else { 16 };

/// The timers that are set.
pub(crate) struct Timers {
    begin: Instant,
    shards: [Shard; SHARDS],
    next_wake: NextWake,
    /// A tick that has passed. Later ones may have, too.
    passed: Line<AtomicU64>,
}

/// Has a cache line of its own. (Two, since processors fetch them in pairs.)
#[derive(Default)]
#[repr(align(128))]
struct Line<T>(T);

struct Shard {
    set: Line<Mutex<Set>>,
    marks: Line<Marks>,
}

#[derive(Default)]
struct Set {
    /// No bucket is empty.
    buckets: BTreeMap<Tick, Bucket>,
    /// An empty bucket, for reuse.
    spare: Bucket,
    /// How many timers were set in this shard so far.
    count: u64,
}

/// What is known of a shard without its lock. Changed under it.
struct Marks {
    /// The tick before which no timer is due. `NEVER` if there is no timer.
    first: AtomicU64,
    /// The last tick whose timers were taken out.
    taken: AtomicU64,
}

/// A bit in the number of a timer that was due already when it was set. The shard comes next, then the count.
const LATE: u64 = 1;

impl Timers {
    pub(crate) fn new() -> Self {
        /// A forked child inherits its parent's timers. Their numbers differ from its own.
        static PROCESSES: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        // A model makes many `Timers`.
        const TIMERS_PER_PROCESS: u64 = if cfg!(polyexec_loom) { 0 } else { 1 << 40 };

        let count = PROCESSES.fetch_add(TIMERS_PER_PROCESS, Relaxed);
        let marks = || Marks { first: AtomicU64::new(NEVER), taken: AtomicU64::new(0) };
        let shard = |_| Shard { set: Line(Mutex::new(Set { count, ..Set::default() })), marks: Line(marks()) };
        Self {
            begin: Instant::now(),
            shards: std::array::from_fn(shard),
            next_wake: NextWake::default(),
            passed: Line::default(),
        }
    }

    /// Whether any timer is set.
    pub(crate) fn are_any(&self) -> bool {
        self.first() != NEVER
    }

    /// Whether `deadline` is known to have passed. If not, it may have passed all the same.
    pub(crate) fn is_known_to_be_over(&self, deadline: Instant) -> bool {
        // Relaxed: time passes everywhere.
        self.due_at(deadline) <= self.passed.0.load(Relaxed)
    }

    /// Sets a timer. Returns its number, and what the caller owes.
    pub(crate) fn set(&self, deadline: Instant, waker: Waker) -> (u64, OnSet) {
        self.set_in(own_shard(), deadline, waker)
    }

    fn set_in(&self, index: usize, deadline: Instant, waker: Waker) -> (u64, OnSet) {
        let due = self.due_at(deadline);
        let shard = &self.shards[index];
        let number = {
            let mut set = shard.set.0.lock();
            set.count += 1;
            let is_late = due <= shard.marks.0.taken.load(Relaxed);
            let number = (set.count * SHARDS as u64 + index as u64) * 2 + if is_late { LATE } else { 0 };
            set.bucket(due).push(number, waker);
            if due < shard.marks.0.first.load(Relaxed) {
                // Relaxed: before the fence in `on_set`, and that of the driver's alarm.
                shard.marks.0.first.store(due, Relaxed);
            }
            number
        };
        (number, self.next_wake.on_set(due))
    }

    /// Replaces the waker of a timer. Returns `false` if the timer isn't set any more.
    pub(crate) fn renew(&self, deadline: Instant, number: u64, waker: &Waker) -> bool {
        let due = self.due_at(deadline);
        let set = &self.shard(number).set.0;
        match set.lock().find(due, number) {
            Some(before) if before.will_wake(waker) => return true,
            Some(_) => (),
            None => return false,
        }
        // User code: cloned and dropped outside of the lock.
        let mut waker = waker.clone();
        let mut set = set.lock();
        let place = set.find(due, number);
        let is_set = place.is_some();
        place.into_iter().for_each(|place| std::mem::swap(place, &mut waker));
        drop(set);
        is_set
    }

    /// Takes a timer out. `None` if its waker was called, or is about to be.
    pub(crate) fn cancel(&self, deadline: Instant, number: u64) -> Option<Waker> {
        let (due, shard) = (self.due_at(deadline), self.shard(number));
        // Relaxed: a stale value only costs the lock.
        if number & LATE == 0 && due <= shard.marks.0.taken.load(Relaxed) {
            // It was set before that tick was taken, so it was taken out with it.
            return None;
        }
        let mut set = shard.set.0.lock();
        let Entry::Occupied(mut bucket) = set.buckets.entry(due) else { return None };
        let waker = bucket.get_mut().remove(number);
        if bucket.get().is_empty() {
            // With other timers left, `first` stays: one fruitless look costs less than to find the first each time.
            set.spare = bucket.remove();
            if set.buckets.is_empty() {
                shard.marks.0.first.store(NEVER, Relaxed);
            }
        }
        waker
    }

    /// Begins a wait. Returns how long it may last; `None` is for ever.
    pub(crate) fn begin_wait(&self, now: impl FnOnce() -> Instant) -> Option<Duration> {
        self.next_wake.begin();
        let first = self.first();
        if first == NEVER {
            return None;
        }
        self.next_wake.lasts_until(first);
        let since = now().saturating_duration_since(self.begin);
        Some(Duration::from_nanos((first - 1).saturating_mul(TICK)).saturating_sub(since))
    }

    /// Ends the wait.
    pub(crate) fn end_wait(&self) {
        self.next_wake.end();
    }

    /// Takes out what is due by now. Adds the wakers to `woken` in the order of the ticks.
    pub(crate) fn take_due(&self, now: impl FnOnce() -> Instant, woken: &mut Vec<Waker>) {
        let first = self.first();
        if first == NEVER {
            return;
        }
        let now = self.nanoseconds(now()) / TICK + 1;
        if first > now {
            return;
        }
        // Relaxed: one thread at a time takes what is due, and a stale tick has passed, too.
        self.passed.0.store(now, Relaxed);
        let mut due: Vec<_> = self.shards.iter().filter_map(|shard| shard.take_due(now)).flatten().collect();
        due.sort_by_key(|(tick, _)| *tick);
        due.into_iter().for_each(|(_, bucket)| bucket.empty_into(woken));
    }

    /// The tick before which no timer is due. `NEVER` if there is no timer.
    fn first(&self) -> Tick {
        // Relaxed: after the fence in `begin`, or that of the driver's alarm.
        self.shards.iter().map(|shard| shard.marks.0.first.load(Relaxed)).min().unwrap_or(NEVER)
    }

    fn shard(&self, number: u64) -> &Shard {
        &self.shards[(number / 2) as usize % SHARDS]
    }

    fn due_at(&self, deadline: Instant) -> Tick {
        self.nanoseconds(deadline).div_ceil(TICK) + 1
    }

    /// Nanoseconds since the timers were made: five centuries at most.
    fn nanoseconds(&self, instant: Instant) -> u64 {
        let since = instant.saturating_duration_since(self.begin);
        since.as_secs().saturating_mul(1_000_000_000).saturating_add(since.subsec_nanos().into())
    }
}

impl Set {
    fn bucket(&mut self, due: Tick) -> &mut Bucket {
        self.buckets.entry(due).or_insert_with(|| std::mem::take(&mut self.spare))
    }

    fn find(&mut self, due: Tick, number: u64) -> Option<&mut Waker> {
        self.buckets.get_mut(&due)?.get_mut(number)
    }
}

impl Shard {
    fn take_due(&self, now: Tick) -> Option<BTreeMap<Tick, Bucket>> {
        // Relaxed: a timer that is being set has its setter interrupt the wait, or announce the timer.
        if self.marks.0.first.load(Relaxed) > now {
            return None;
        }
        let mut set = self.set.0.lock();
        let later = set.buckets.split_off(&(now + 1));
        let due = std::mem::replace(&mut set.buckets, later);
        self.marks.0.taken.store(now, Relaxed);
        let first = set.buckets.first_key_value().map_or(NEVER, |(tick, _)| *tick);
        self.marks.0.first.store(first, Relaxed);
        Some(due)
    }
}

/// The shard in which this thread sets its timers. Assigned round-robin.
fn own_shard() -> usize {
    thread_local! {
        static SHARD: Cell<usize> = const { Cell::new(SHARDS) };
    }
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    SHARD.with(|shard| {
        if shard.get() == SHARDS {
            shard.set(THREADS.fetch_add(1, Relaxed) % SHARDS);
        }
        shard.get()
    })
}

#[cfg(all(test, not(polyexec_loom)))]
mod tests {
    use super::*;

    use std::sync::Arc;
    use std::task::Wake;
    use std::thread;

    /// Counts its calls.
    #[derive(Default)]
    struct Calls(AtomicUsize);

    impl Wake for Calls {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    /// The time that many ticks after the timers were made.
    fn after(timers: &Timers, ticks: u32) -> Instant {
        timers.begin + ticks * Duration::from_nanos(TICK)
    }

    fn due(timers: &Timers, now: Instant) -> usize {
        let mut woken = Vec::new();
        timers.end_wait();
        timers.take_due(|| now, &mut woken);
        woken.len()
    }

    #[test]
    fn timers_are_due_in_their_order_and_once() {
        let timers = Timers::new();
        for ticks in [3, 1, 2, 2] {
            let (_, owed) = timers.set(after(&timers, ticks), Waker::noop().clone());
            assert_eq!(owed, OnSet::Announce);
        }
        assert_eq!(timers.begin_wait(|| timers.begin), Some(Duration::from_nanos(TICK)));
        let counts = [0, 1, 2, 3, 3].map(|ticks| due(&timers, after(&timers, ticks)));
        assert_eq!(counts, [0, 1, 2, 1, 0]);
        assert!(!timers.are_any());
    }

    #[test]
    fn a_deadline_between_ticks_is_due_at_the_later_one() {
        let (timers, moment) = (Timers::new(), Duration::from_nanos(1));
        let deadline = after(&timers, 1) + moment;
        let (number, _) = timers.set(deadline, Waker::noop().clone());
        assert_eq!(timers.begin_wait(|| timers.begin), Some(Duration::from_nanos(2 * TICK)));
        assert_eq!(due(&timers, after(&timers, 2) - moment), 0);
        assert!(!timers.is_known_to_be_over(deadline));
        assert_eq!(due(&timers, after(&timers, 2)), 1);
        assert!(timers.is_known_to_be_over(after(&timers, 2)));
        assert!(!timers.is_known_to_be_over(after(&timers, 2) + moment));
        assert!(timers.cancel(deadline, number).is_none());
    }

    #[test]
    fn threads_set_their_timers_in_different_shards_and_all_are_found() {
        polyexec_conformance::watched!();
        let timers = Timers::new();
        let [first, second] = [2, 1].map(|ticks| {
            let set = || timers.set(after(&timers, ticks), Waker::noop().clone()).0;
            thread::scope(|threads| threads.spawn(set).join().unwrap())
        });
        assert_ne!(first / 2 % SHARDS as u64, second / 2 % SHARDS as u64);
        assert_eq!(timers.begin_wait(|| timers.begin), Some(Duration::from_nanos(TICK)));
        assert!(timers.renew(after(&timers, 2), first, Waker::noop()));
        assert_eq!([1, 2].map(|ticks| due(&timers, after(&timers, ticks))), [1, 1]);
    }

    #[test]
    fn those_that_are_due_at_once_are_woken_in_their_order_whoever_has_set_them() {
        polyexec_conformance::watched!();
        let timers = Timers::new();
        let wakers: [_; 6] = std::array::from_fn(|_| Waker::from(Arc::new(Calls::default())));
        for deadlines in [[4, 0, 2], [3, 1, 5]] {
            let set = || {
                for ticks in deadlines {
                    let _ = timers.set(after(&timers, ticks), wakers[ticks as usize].clone());
                }
            };
            thread::scope(|threads| threads.spawn(set).join().unwrap());
        }
        let mut woken = Vec::new();
        timers.take_due(|| after(&timers, 9), &mut woken);
        assert_eq!(woken.len(), wakers.len());
        assert!(woken.iter().zip(&wakers).all(|(woken, waker)| woken.will_wake(waker)));
    }

    #[test]
    fn what_was_cancelled_leaves_no_mark_and_little_room() {
        let timers = Timers::new();
        let set = |ticks| timers.set(after(&timers, ticks), Waker::noop().clone()).0;
        let all: Vec<_> = (0..10_000).map(|_| set(1)).collect();
        all.into_iter().for_each(|number| drop(timers.cancel(after(&timers, 1), number)));
        assert!(!timers.are_any());
        // Reuses the bucket of the others.
        set(2);
        let set = timers.shards[own_shard()].set.0.lock();
        assert!(set.buckets.values().all(|bucket| bucket.room() <= 64));
    }

    #[test]
    fn only_a_timer_before_all_others_ends_a_wait() {
        let timers = Timers::new();
        let mut set = |ticks| timers.set(after(&timers, ticks), Waker::noop().clone()).1;
        assert_eq!(timers.begin_wait(|| timers.begin), None);
        let owed = [5, 6, 5, 4].map(&mut set);
        assert_eq!(owed, [OnSet::Interrupt, OnSet::Nothing, OnSet::Nothing, OnSet::Interrupt]);
    }

    #[test]
    fn the_newest_waker_is_called_and_none_after_a_cancellation() {
        let timers = Timers::new();
        let now = after(&timers, 1);
        let [old, new, cancelled] = [(); 3].map(|()| Arc::new(Calls::default()));
        let (number, _) = timers.set(now, old.clone().into());
        assert!(timers.renew(now, number, &new.clone().into()));
        let (other, _) = timers.set(now, cancelled.clone().into());
        assert!(timers.cancel(now, other).is_some());
        assert!(timers.cancel(now, other).is_none());
        let mut woken = Vec::new();
        timers.end_wait();
        timers.take_due(|| now, &mut woken);
        woken.into_iter().for_each(Waker::wake);
        let calls = [old, new, cancelled].map(|calls| calls.0.load(Relaxed));
        assert_eq!(calls, [0, 1, 0]);
        assert!(!timers.renew(now, number, Waker::noop()));
    }

    #[test]
    fn a_timer_that_came_too_late_for_a_look_is_cancelled_nevertheless() {
        let timers = Timers::new();
        let now = after(&timers, 1);
        let [in_time, _] = [(); 2].map(|()| timers.set(now, Waker::noop().clone()).0);
        assert!(!timers.is_known_to_be_over(now));
        assert_eq!(due(&timers, now), 2);
        assert!(timers.is_known_to_be_over(now) && !timers.is_known_to_be_over(now + Duration::from_nanos(1)));
        // Set by a slow thread, which has read the clock before that look.
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
            let _ = self.0.set(after(&self.0, 1), Waker::noop().clone());
        }
    }

    #[test]
    fn wakers_are_dropped_outside_of_the_lock() {
        polyexec_conformance::watched!();
        let timers = Arc::new(Timers::new());
        let now = after(&timers, 1);
        let restless = || Waker::from(Arc::new(Restless(timers.clone())));
        let (number, _) = timers.set(now, restless());
        assert!(timers.renew(now, number, &restless()));
        drop(timers.cancel(now, number));
        // One for each.
        assert_eq!(due(&timers, now), 2);
    }
}
