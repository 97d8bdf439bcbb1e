//! Decides when workers sleep, and which one is woken. Never touches a task.
//!
//! The README beside this file argues the protocol. In short: a producer queues a task, fence, reads the counts; a worker
//! registers as asleep, fence, reads the queues. One of the two fences comes first, and the other side sees what was written
//! before it.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use polyexec_core::executor::Parker;
use polyexec_core::executor::driver::{Priority, ReadyWakers};

use crate::sync::{AtomicU64, Mutex, fence};

#[cfg(all(test, polyexec_loom))]
mod models;

pub(crate) struct Sleep {
    /// How many workers search, how many sleep, and whether there is a timed sleeper; see `Counts`. Changed under the lock of
    /// `sleepers` where those change.
    counts: CachePadded<AtomicU64>,
    sleepers: Mutex<Sleepers>,
    parkers: Box<[CachePadded<Parker>]>,
    /// With this many workers awake, the rest may sleep. At most the number of workers.
    processors: u64,
}

/// Workers that sleep or are about to.
#[derive(Debug)]
struct Sleepers {
    /// The last one to fall asleep is woken first: its cache is the warmest.
    untimed: Vec<usize>,
    /// The one that looks by itself after a while. Not in `untimed`.
    timed: Option<usize>,
}

/// The counts in one word, which a producer reads at once.
#[derive(Clone, Copy)]
struct Counts(u64);

/// One worker that searches.
const SEARCHING: u64 = 1;
/// One worker that sleeps, timed or not.
const SLEEPING: u64 = 1 << 24;
/// There is a timed sleeper.
const TIMED: u64 = 1 << 48;
/// The timed sleeper isn't woken for tasks that a worker has queued.
const UNDISTURBED: u64 = 1 << 49;

impl Counts {
    fn searching(self) -> u64 {
        self.0 % SLEEPING
    }

    fn sleeping(self) -> u64 {
        self.0 % TIMED / SLEEPING
    }

    /// Whether to wake a sleeper for a task.
    fn needs_wake(self, queued: Queued, is_full: bool) -> bool {
        let left_to_timed = match queued {
            Queued::Next => TIMED,
            Queued::Plenty => UNDISTURBED,
            Queued::Injected => 0,
        };
        let left_to_timed = if is_full { TIMED } else { left_to_timed };
        self.searching() == 0 && self.sleeping() > 0 && self.0 & left_to_timed == 0
    }
}

/// Where a task was queued, and so who will run it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queued {
    /// On a worker that runs it next.
    Next,
    /// On a worker that has other tasks as well.
    Plenty,
    /// In the injector.
    Injected,
}

/// How a worker sleeps. Only one at a time is timed; the others are untimed whatever they ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SleepKind {
    /// Until it is woken.
    Untimed,
    /// For a while, and not woken for tasks that run next anyway.
    Timed(Duration),
    /// As `Timed`, and not woken for any task that a worker has queued.
    Undisturbed(Duration),
}

/// Proof that a worker is counted as searching.
#[must_use = "while it counts, no other worker is woken"]
#[derive(Debug)]
pub(crate) struct Searching(());

/// A worker after its sleep.
#[must_use = "it counts as searching"]
#[derive(Debug)]
pub(crate) struct Awake {
    pub(crate) searching: Searching,
    /// Whether another thread woke it.
    pub(crate) was_called: bool,
    /// The wakers of the events that ended its sleep.
    pub(crate) woken: ReadyWakers,
}

impl Sleep {
    /// With no worker asleep or searching.
    pub(crate) fn new(workers: usize, processors: usize) -> Self {
        Self {
            counts: CachePadded::default(),
            sleepers: Mutex::new(Sleepers { untimed: Vec::with_capacity(workers), timed: None }),
            parkers: (0..workers).map(|_| CachePadded::default()).collect(),
            processors: processors.min(workers) as u64,
        }
    }

    fn counts(&self) -> Counts {
        Counts(self.counts.load(Relaxed))
    }

    fn change(&self, plus: u64, minus: u64) -> Counts {
        Counts(self.counts.fetch_add(plus.wrapping_sub(minus), SeqCst))
    }

    /// Wakes a sleeper for a task, if one is needed. Call it after the task is where others can take it.
    pub(crate) fn notify(&self, queued: Queued) {
        // Pairs with the fence in `sleep`: see the README.
        fence(SeqCst);
        if self.needs_wake(queued) {
            self.wake_one();
        }
    }

    fn needs_wake(&self, queued: Queued) -> bool {
        let counts = self.counts();
        counts.needs_wake(queued, self.awake(counts) >= self.processors)
    }

    fn awake(&self, counts: Counts) -> u64 {
        self.parkers.len() as u64 - counts.sleeping()
    }

    /// Whether more workers are awake than there are processors for them.
    pub(crate) fn is_crowded(&self) -> bool {
        self.awake(self.counts()) > self.processors
    }

    /// Whether a worker searches or sleeps.
    pub(crate) fn has_idle(&self) -> bool {
        let counts = self.counts();
        counts.searching() + counts.sleeping() > 0
    }

    /// Makes a sleeper a searcher and wakes it, if there still is one.
    #[cold]
    fn wake_one(&self) {
        let woken = {
            let mut sleepers = self.sleepers.lock();
            let woken = self.take_timed(&mut sleepers).or_else(|| sleepers.untimed.pop());
            if woken.is_some() {
                self.change(SEARCHING, SLEEPING);
            }
            woken
        };
        if let Some(worker) = woken {
            self.parkers[worker].unpark();
        }
    }

    fn take_timed(&self, sleepers: &mut Sleepers) -> Option<usize> {
        sleepers.timed.take().inspect(|_| _ = self.counts.fetch_and(!(TIMED | UNDISTURBED), SeqCst))
    }

    /// Counts the calling worker as searching, unless half as many as there are processors do already: more would get in
    /// each other's way.
    pub(crate) fn start_searching(&self) -> Option<Searching> {
        if self.counts().searching() >= self.processors.div_ceil(2) {
            return None;
        }
        self.change(SEARCHING, 0);
        Some(Searching(()))
    }

    /// Stops searching. The last searcher wakes another one if `more` finds tasks for it.
    pub(crate) fn stop_searching(&self, Searching(()): Searching, more: impl FnOnce() -> Option<Queued>) {
        if self.change(0, SEARCHING).searching() == 1 && self.counts().sleeping() > 0 {
            // Pairs with the fence in `notify`, which may have left a task to this searcher.
            fence(SeqCst);
            if more().is_some_and(|queued| self.needs_wake(queued)) {
                self.wake_one();
            }
        }
    }

    /// Sleeps until notified, until events come, or for a while. Returns as a searcher.
    ///
    /// Returns at once if `must_look` finds something after the worker has registered. Its argument is whether there is a lookout:
    /// a searcher or a timed sleeper that watches the workers' queues.
    pub(crate) fn sleep(
        &self,
        worker: usize,
        searching: Option<Searching>,
        kind: SleepKind,
        must_look: impl FnOnce(bool) -> bool,
    ) -> Awake {
        let (time, has_lookout) = {
            let mut sleepers = self.sleepers.lock();
            let (time, flags) = match kind {
                SleepKind::Timed(time) if sleepers.timed.is_none() => (Some(time), TIMED),
                SleepKind::Undisturbed(time) if sleepers.timed.is_none() => (Some(time), TIMED | UNDISTURBED),
                _ => (None, 0),
            };
            match time {
                Some(_) => sleepers.timed = Some(worker),
                None => sleepers.untimed.push(worker),
            }
            let searched = searching.map_or(0, |Searching(())| SEARCHING);
            let before = self.change(SLEEPING + flags, searched);
            (time, sleepers.timed.is_some() || before.searching() > searched)
        };
        // Pairs with the fence in `notify`: see the README.
        fence(SeqCst);
        if must_look(has_lookout) && self.get_up(worker) {
            return Awake { searching: Searching(()), was_called: false, woken: ReadyWakers::default() };
        }
        let parker = &self.parkers[worker];
        let (mut was_called, woken) = match time {
            Some(time) => (parker.park_until(Some(Instant::now() + time)), ReadyWakers::default()),
            None => parker.park_for_events(Priority::Worker),
        };
        if !was_called && !self.get_up(worker) {
            // Woken just now: the call is there or about to come, and must not be left for the next sleep.
            parker.park_until(None);
            was_called = true;
        }
        Awake { searching: Searching(()), was_called, woken }
    }

    /// Unregisters a sleeper, which then searches. `false` if it was woken: then its parker was called, or is about to be.
    fn get_up(&self, worker: usize) -> bool {
        let mut sleepers = self.sleepers.lock();
        if sleepers.timed == Some(worker) {
            self.take_timed(&mut sleepers);
        } else if let Some(index) = sleepers.untimed.iter().position(|sleeper| *sleeper == worker) {
            sleepers.untimed.remove(index);
        } else {
            return false;
        }
        self.change(SEARCHING, SLEEPING);
        true
    }

    /// Wakes every sleeper: the pool shuts down.
    pub(crate) fn wake_all(&self) {
        let woken = {
            let mut sleepers = self.sleepers.lock();
            let mut woken = std::mem::take(&mut sleepers.untimed);
            woken.extend(self.take_timed(&mut sleepers));
            let all = woken.len() as u64;
            self.change(all * SEARCHING, all * SLEEPING);
            woken
        };
        for worker in woken {
            self.parkers[worker].unpark();
        }
    }
}

#[cfg(all(test, not(polyexec_loom)))]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// Whether a worker was woken from a sleep. `must_look` runs when it has registered.
    fn slept(sleep: &Sleep, kind: SleepKind, must_look: impl FnOnce(bool) -> bool) -> bool {
        let searching = sleep.start_searching();
        let awake = sleep.sleep(0, searching, kind, must_look);
        assert_eq!((sleep.counts().searching(), sleep.counts().sleeping()), (1, 0));
        assert_eq!(sleep.counts().0 & (TIMED | UNDISTURBED), 0);
        sleep.stop_searching(awake.searching, || None);
        assert_eq!(sleep.counts().0, 0);
        assert!(!sleep.parkers[0].park_until(Some(Instant::now())), "a call was left over");
        awake.was_called
    }

    #[test]
    fn a_notification_before_the_sleep_is_seen_by_looking_again() {
        let sleep = Sleep::new(2, 2);
        // There is no sleeper yet; the worker finds the task when it looks again.
        sleep.notify(Queued::Injected);
        assert!(!slept(&sleep, SleepKind::Untimed, |_| true));
    }

    #[test]
    fn a_notification_during_the_last_look_is_not_lost() {
        let sleep = Sleep::new(2, 2);
        for queued in [Queued::Injected, Queued::Plenty, Queued::Next] {
            // Registered and woken: the park returns at once, though this look finds nothing.
            assert!(slept(&sleep, SleepKind::Untimed, |has_lookout| {
                assert!(!has_lookout);
                sleep.notify(queued);
                false
            }));
        }
    }

    #[test]
    fn a_worker_that_looks_again_though_woken_takes_the_call() {
        let sleep = Sleep::new(2, 2);
        assert!(slept(&sleep, SleepKind::Untimed, |_| {
            sleep.notify(Queued::Injected);
            true
        }));
    }

    #[test]
    fn a_timed_sleeper_is_woken_for_what_it_may_take() {
        let sleep = Sleep::new(2, 2);
        let woken_for = |kind, queued| {
            slept(&sleep, kind, |has_lookout| {
                assert!(has_lookout);
                sleep.notify(queued);
                // If it isn't woken, it looks at once.
                sleep.counts().searching() == 0
            })
        };
        for (queued, timed, undisturbed) in
            [(Queued::Next, false, false), (Queued::Plenty, true, false), (Queued::Injected, true, true)]
        {
            assert_eq!(woken_for(SleepKind::Timed(MINUTE), queued), timed, "{queued:?}");
            assert_eq!(woken_for(SleepKind::Undisturbed(MINUTE), queued), undisturbed, "{queued:?}");
        }
    }

    #[test]
    fn a_timed_sleeper_wakes_by_itself() {
        let sleep = Sleep::new(2, 2);
        assert!(!slept(&sleep, SleepKind::Timed(Duration::from_millis(1)), |_| false));
        assert!(!slept(&sleep, SleepKind::Undisturbed(Duration::ZERO), |_| false));
    }

    #[test]
    fn there_is_one_timed_sleeper() {
        polyexec_conformance::watched!();
        let sleep = Sleep::new(2, 2);
        std::thread::scope(|threads| {
            let other = threads.spawn(|| sleep.sleep(1, None, SleepKind::Timed(MINUTE), |_| false));
            while sleep.counts().sleeping() == 0 {
                std::hint::spin_loop();
            }
            let must_look = |has_lookout: bool| {
                assert!(has_lookout);
                assert_eq!(sleep.sleepers.lock().untimed, [0]);
                sleep.notify(Queued::Next);
                assert_eq!(
                    sleep.counts().searching(),
                    0,
                    "a sleeper was woken for a task that is left to the timed one"
                );
                true
            };
            let awake = sleep.sleep(0, None, SleepKind::Timed(Duration::ZERO), must_look);
            sleep.stop_searching(awake.searching, || Some(Queued::Injected));
            assert!(other.join().unwrap().was_called);
        });
    }

    #[test]
    fn the_last_searcher_that_finds_a_task_passes_it_on() {
        let sleep = Sleep::new(2, 2);
        std::thread::scope(|threads| {
            let other = threads.spawn(|| sleep.sleep(1, None, SleepKind::Untimed, |_| false));
            while sleep.counts().sleeping() == 0 {
                std::hint::spin_loop();
            }
            let search = sleep.start_searching().unwrap();
            sleep.notify(Queued::Injected);
            assert_eq!(sleep.counts().sleeping(), 1, "there is a searcher to find it");
            sleep.stop_searching(search, || Some(Queued::Injected));
            assert!(other.join().unwrap().was_called);
        });
    }

    #[test]
    fn at_most_half_of_the_workers_search() {
        let sleep = Sleep::new(4, 4);
        let first = sleep.start_searching().unwrap();
        let second = sleep.start_searching().unwrap();
        assert!(sleep.start_searching().is_none());
        sleep.stop_searching(first, || None);
        sleep.stop_searching(second, || None);
        assert!(sleep.start_searching().is_some());
    }
}
