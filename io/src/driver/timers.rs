//! Who is to be woken when. Knows no time but that which it is told, and calls nobody.
//!
//! Time is counted in ticks. A timer is due at the first tick that isn't before its deadline, and in a bucket with others of that
//! tick: so to set one takes a look at the ticks that have any, which are few where many timers are set for much the same time.
//! And they are in parts, each with a lock of its own, where a thread sets its timers in the same part each time: so threads that
//! set many rarely meet.

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

/// Ticks since the timers' beginning, and one more. Never zero.
type Tick = u64;
/// One that doesn't come, and that no timer has.
const NEVER: Tick = Tick::MAX;

/// Nanoseconds: a sixteenth of what the system's wait is exact to.
const TICK: u64 = 1 << 16;

/// A power of two.
const PARTS: usize = if cfg!(polyexec_loom) { 2 } else { 16 };

/// The timers that are set.
pub(crate) struct Timers {
    begin: Instant,
    parts: [Part; PARTS],
    next_wake: NextWake,
    /// It is that late, or later.
    passed: Line<AtomicU64>,
}

/// On a cache line of its own (two, since processors fetch them in pairs).
#[derive(Default)]
#[repr(align(128))]
struct Line<T>(T);

struct Part {
    set: Line<Mutex<Set>>,
    marks: Line<Marks>,
}

#[derive(Default)]
struct Set {
    /// None is empty.
    buckets: BTreeMap<Tick, Bucket>,
    /// An empty one, to be used again.
    spare: Bucket,
    /// Timers set so far.
    so_far: u64,
}

/// What can be known of a part without its lock. Changed under it.
struct Marks {
    /// No timer is due before that. `NEVER`: there is none.
    first: AtomicU64,
    /// What was due by then has been taken out.
    taken: AtomicU64,
}

/// In the number of a timer that was due already when it was set. The part comes next, and then how many there were before.
const LATE: u64 = 1;

impl Timers {
    pub(crate) fn new() -> Self {
        /// A child keeps the timers of the process it was forked from. Their numbers are none of the child's own.
        static PROCESSES: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        // Models begin anew many times.
        const TIMERS_A_PROCESS: u64 = if cfg!(polyexec_loom) { 0 } else { 1 << 40 };

        let so_far = PROCESSES.fetch_add(TIMERS_A_PROCESS, Relaxed);
        let marks = || Marks { first: AtomicU64::new(NEVER), taken: AtomicU64::new(0) };
        let part = |_| Part { set: Line(Mutex::new(Set { so_far, ..Set::default() })), marks: Line(marks()) };
        Self {
            begin: Instant::now(),
            parts: std::array::from_fn(part),
            next_wake: NextWake::default(),
            passed: Line::default(),
        }
    }

    /// Whether there are timers.
    pub(crate) fn are_any(&self) -> bool {
        self.first() != NEVER
    }

    /// Whether that is known to have passed by now. If not, it may have nevertheless.
    pub(crate) fn is_known_to_be_over(&self, deadline: Instant) -> bool {
        // Relaxed: time passes everywhere.
        self.due_at(deadline) <= self.passed.0.load(Relaxed)
    }

    /// Sets a timer, and gives its number.
    pub(crate) fn set(&self, deadline: Instant, waker: Waker) -> (u64, OnSet) {
        self.set_in(own_part(), deadline, waker)
    }

    fn set_in(&self, place: usize, deadline: Instant, waker: Waker) -> (u64, OnSet) {
        let due = self.due_at(deadline);
        let part = &self.parts[place];
        let number = {
            let mut set = part.set.0.lock();
            set.so_far += 1;
            let is_late = due <= part.marks.0.taken.load(Relaxed);
            let number = (set.so_far * PARTS as u64 + place as u64) * 2 + if is_late { LATE } else { 0 };
            set.bucket(due).push(number, waker);
            if due < part.marks.0.first.load(Relaxed) {
                // Relaxed: before the fence of the next_wake, and that of the driver's alarm.
                part.marks.0.first.store(due, Relaxed);
            }
            number
        };
        (number, self.next_wake.on_set(due))
    }

    /// Replaces the waker of a timer. `false`: it isn't set any more.
    pub(crate) fn renew(&self, deadline: Instant, number: u64, waker: &Waker) -> bool {
        let due = self.due_at(deadline);
        let set = &self.part(number).set.0;
        match set.lock().find(due, number) {
            Some(before) if before.will_wake(waker) => return true,
            Some(_) => (),
            None => return false,
        }
        // Cloned and dropped outside of the lock: both are code of somebody's.
        let mut waker = waker.clone();
        let mut set = set.lock();
        let place = set.find(due, number);
        let is_set = place.is_some();
        place.into_iter().for_each(|place| std::mem::swap(place, &mut waker));
        drop(set);
        is_set
    }

    /// Takes a timer out, if it is still set. If it isn't, its waker was called, or is about to be.
    pub(crate) fn cancel(&self, deadline: Instant, number: u64) -> Option<Waker> {
        let (due, part) = (self.due_at(deadline), self.part(number));
        // Relaxed: if this doesn't know yet that it was taken out, the lock will.
        if number & LATE == 0 && due <= part.marks.0.taken.load(Relaxed) {
            // It was set before that tick had passed, so it was taken out then.
            return None;
        }
        let mut set = part.set.0.lock();
        let Entry::Occupied(mut bucket) = set.buckets.entry(due) else { return None };
        let waker = bucket.get_mut().remove(number);
        if bucket.get().is_empty() {
            // The mark stays as long as there are others: one look in vain costs less than to find the first for each timer.
            set.spare = bucket.remove();
            if set.buckets.is_empty() {
                part.marks.0.first.store(NEVER, Relaxed);
            }
        }
        waker
    }

    /// A thread is about to wait: for how long it may. `None`: for as long as it takes.
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

    /// The thread waits no longer.
    pub(crate) fn end_wait(&self) {
        self.next_wake.end();
    }

    /// Adds to `woken` who is to be woken by now, in the order of the ticks.
    pub(crate) fn take_due(&self, now: impl FnOnce() -> Instant, woken: &mut Vec<Waker>) {
        let first = self.first();
        if first == NEVER {
            return;
        }
        let now = self.nanoseconds(now()) / TICK + 1;
        if first > now {
            return;
        }
        // Relaxed: one thread at a time takes what is due, and an earlier tick is true as well.
        self.passed.0.store(now, Relaxed);
        let mut due: Vec<_> = self.parts.iter().filter_map(|part| part.take_due(now)).flatten().collect();
        due.sort_by_key(|(tick, _)| *tick);
        due.into_iter().for_each(|(_, bucket)| bucket.empty_into(woken));
    }

    /// No timer is due before that. `NEVER`: there is none.
    fn first(&self) -> Tick {
        // Relaxed: after the fence of the next_wake, or that of the driver's alarm.
        self.parts.iter().map(|part| part.marks.0.first.load(Relaxed)).min().unwrap_or(NEVER)
    }

    fn part(&self, number: u64) -> &Part {
        &self.parts[(number / 2) as usize % PARTS]
    }

    fn due_at(&self, deadline: Instant) -> Tick {
        self.nanoseconds(deadline).div_ceil(TICK) + 1
    }

    /// Since the beginning; five centuries at most.
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

impl Part {
    fn take_due(&self, now: Tick) -> Option<BTreeMap<Tick, Bucket>> {
        // Relaxed: whoever sets a timer just now sees to it that somebody looks again.
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

/// Where this thread sets its timers: the threads take turns.
fn own_part() -> usize {
    thread_local! {
        static PART: Cell<usize> = const { Cell::new(PARTS) };
    }
    static SO_FAR: AtomicUsize = AtomicUsize::new(0);
    PART.with(|part| {
        if part.get() == PARTS {
            part.set(SO_FAR.fetch_add(1, Relaxed) % PARTS);
        }
        part.get()
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

    /// So many ticks after the beginning.
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
    fn threads_set_their_timers_in_different_parts_and_all_are_found() {
        polyexec_conformance::watched!();
        let timers = Timers::new();
        let [first, second] = [2, 1].map(|ticks| {
            let set = || timers.set(after(&timers, ticks), Waker::noop().clone()).0;
            thread::scope(|threads| threads.spawn(set).join().unwrap())
        });
        assert_ne!(first / 2 % PARTS as u64, second / 2 % PARTS as u64);
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
        // It takes over what is left of the others' bucket.
        set(2);
        let set = timers.parts[own_part()].set.0.lock();
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
