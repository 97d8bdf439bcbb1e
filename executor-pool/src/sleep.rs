//! Decides when workers sleep, and who is woken. Never touches a task.
//!
//! # The protocol
//!
//! A worker runs tasks, searches for some, or sleeps. A word of counts says how many search and how many sleep.
//!
//! - Whoever makes a task available puts it in a queue, and then calls [`notify`](Sleep::notify): fence, look at the
//!   counts. If nobody searches and somebody sleeps, one sleeper is made a searcher and woken.
//! - A worker that finds nothing to do registers as asleep and stops searching: count, fence, look at every queue once
//!   more, unless others still search. Only if they are all empty does it park.
//! - A searcher that finds a task stops searching. If it was the last one, it looks at every queue after a fence, and
//!   wakes another one if there is more.
//!
//! # Why no wake is lost
//!
//! The two fences are sequentially consistent, so one comes first. If the worker's does, `notify` sees it registered,
//! and wakes it or another one. If the other does, the worker sees the task when it looks again. `notify` may also
//! leave it at that because it saw a searcher: that one had not yet stopped then, so its own fence comes later.
//! Either it finds nothing and looks once more, and sees the task; or it finds one, and if it was the last searcher
//! looks again, too; if it wasn't, the same holds for those who still search. So does it for a worker that falls asleep
//! while others search: what it might have missed is theirs to find.
//!
//! A task that woke itself is queued without a notification, by the worker that will run it, before it takes what it runs
//! next. For that one there was a notification, or there is one worker's word that it saw it: so whoever looks in the
//! order of [`has_tasks`](crate::desk::Desk::has_tasks) sees either of the two.
//!
//! So one wake a burst is enough: the woken worker finds work, is the last searcher, wakes the next, and so on until a
//! searcher finds nothing.
//!
//! # The watchman
//!
//! Often a worker has a single task at a time, which it will run as soon as the current poll ends: a task that spawns
//! another and awaits it, or two that send to each other. To wake a sleeper for each would cost more than the tasks, and
//! to take them would only move them to and fro. So a searcher that sees nothing else doesn't fall asleep for good: it
//! becomes the *watchman*, who sleeps like the others, but looks by himself after a while. While there is a watchman, a
//! worker that queues a task which it is about to run itself wakes nobody. If its poll turns out to be long, the
//! watchman takes the task: at his second look, since a long poll is one that was there at his first. So none waits longer
//! for another's poll than twice what the watchman sleeps, which is at most [`LONGEST_WATCH`]. When he sees that nobody polls anything any more, he falls asleep for good, which is argued as
//! above: he stops being the watchman, fence, looks at every queue once more.
//!
//! A thief whose last loot took less time to run than it is worth watches too, and isn't woken even for many tasks:
//! they are so short that their worker is better left alone with them.
//!
//! Where there are more workers than processors, and as many are awake as there are processors, one more would only
//! take turns with the others. Then all is left to the watchman, if there is one: he takes what waits behind long polls,
//! and what nobody has taken from the shared queue.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::task::Waker;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use polyexec_core::executor::Parker;
use polyexec_core::executor::driver::Wait;

use crate::sync::{AtomicU64, Mutex, fence};

/// How long a watchman sleeps at first: about what it takes to fall asleep and to wake up.
pub(crate) const SHORTEST_WATCH: Duration = Duration::from_micros(if cfg!(polyexec_loom) { 0 } else { 50 });
/// How long he sleeps at most, after each time in vain was twice as long as the one before.
pub(crate) const LONGEST_WATCH: Duration = Duration::from_millis(1);

#[cfg(all(test, polyexec_loom))]
mod models;

pub(crate) struct Sleep {
    /// How many workers search, how many sleep, and whether one of those watches; see `Counts`. Changed with the lock of
    /// `beds` where these change.
    counts: CachePadded<AtomicU64>,
    beds: Mutex<Beds>,
    parkers: Box<[CachePadded<Parker>]>,
    /// Awake on as many processors as there are, the workers leave the rest asleep. Not more than there are workers.
    processors: u64,
}

/// Workers that sleep or are about to.
#[derive(Debug)]
struct Beds {
    /// The one that fell asleep last is woken first: its cache is the warmest.
    asleep: Vec<usize>,
    /// The one who looks by himself. Not in `asleep`.
    watchman: Option<usize>,
}

/// The counts in one word, so that whoever notifies looks at one.
#[derive(Clone, Copy)]
struct Counts(u64);

/// One worker that searches.
const SEARCHING: u64 = 1;
/// One worker that sleeps, the watchman included.
const SLEEPING: u64 = 1 << 24;
/// There is a watchman.
const WATCHED: u64 = 1 << 48;
/// He isn't to be woken for tasks that a worker has queued.
const UNDISTURBED: u64 = 1 << 49;

impl Counts {
    fn searching(self) -> u64 {
        self.0 % SLEEPING
    }

    fn sleeping(self) -> u64 {
        self.0 % WATCHED / SLEEPING
    }

    /// Whether somebody is to be woken for what was `queued`.
    fn calls_for(self, queued: Queued, is_full: bool) -> bool {
        let left_to_watchman = match queued {
            Queued::Next => WATCHED,
            Queued::Plenty => UNDISTURBED,
            Queued::Injected => 0,
        };
        let left_to_watchman = if is_full { WATCHED } else { left_to_watchman };
        self.searching() == 0 && self.sleeping() > 0 && self.0 & left_to_watchman == 0
    }
}

/// What a task that was queued means to the sleepers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queued {
    /// Its worker is about to run it itself.
    Next,
    /// Its worker has others to run first, or after it.
    Plenty,
    /// It is nobody's yet.
    Injected,
}

/// How a worker sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sleeps {
    /// Until it is woken.
    Soundly,
    /// For so long at most, and is not to be woken for tasks that are about to be run: as the watchman, unless there is
    /// one.
    Watching(Duration),
    /// As `Watching`, and not to be woken for tasks that a worker has queued.
    Undisturbed(Duration),
}

/// Proof that a worker is counted as searching.
#[must_use = "a searcher that isn't told to stop keeps others from being woken"]
#[derive(Debug)]
pub(crate) struct Searching(());

/// A worker that has slept.
#[must_use = "it is a searcher"]
#[derive(Debug)]
pub(crate) struct Awake {
    pub(crate) searching: Searching,
    /// Somebody has woken it.
    pub(crate) was_called: bool,
}

impl Sleep {
    /// For so many workers on so many processors.
    pub(crate) fn new(workers: usize, processors: usize) -> Self {
        Self {
            counts: CachePadded::default(),
            beds: Mutex::new(Beds { asleep: Vec::with_capacity(workers), watchman: None }),
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

    /// To be called after a task was put where others can take it.
    pub(crate) fn notify(&self, queued: Queued) {
        // Pairs with the fence in `sleep`: see the protocol.
        fence(SeqCst);
        if self.calls_for(queued) {
            self.wake_one();
        }
    }

    fn calls_for(&self, queued: Queued) -> bool {
        let counts = self.counts();
        counts.calls_for(queued, self.awake(counts) >= self.processors)
    }

    fn awake(&self, counts: Counts) -> u64 {
        self.parkers.len() as u64 - counts.sleeping()
    }

    /// Whether more workers are awake than there are processors for them.
    pub(crate) fn is_crowded(&self) -> bool {
        self.awake(self.counts()) > self.processors
    }

    /// Whether some worker searches or sleeps.
    pub(crate) fn is_anyone_free(&self) -> bool {
        let counts = self.counts();
        counts.searching() + counts.sleeping() > 0
    }

    /// Makes a sleeper a searcher, if there still is one.
    #[cold]
    fn wake_one(&self) {
        let woken = {
            let mut beds = self.beds.lock();
            let woken = self.dismiss(&mut beds).or_else(|| beds.asleep.pop());
            if woken.is_some() {
                self.change(SEARCHING, SLEEPING);
            }
            woken
        };
        if let Some(worker) = woken {
            self.parkers[worker].unpark();
        }
    }

    /// Ends the watch.
    fn dismiss(&self, beds: &mut Beds) -> Option<usize> {
        beds.watchman.take().inspect(|_| _ = self.counts.fetch_and(!(WATCHED | UNDISTURBED), SeqCst))
    }

    /// Counts the calling worker as searching, unless half of those that there are processors for do already: more would
    /// only get in their way.
    pub(crate) fn search(&self) -> Option<Searching> {
        if self.counts().searching() >= self.processors.div_ceil(2) {
            return None;
        }
        self.change(SEARCHING, 0);
        Some(Searching(()))
    }

    /// The searcher has found a task. `more`: what others there are, to be asked now.
    pub(crate) fn found(&self, Searching(()): Searching, more: impl FnOnce() -> Option<Queued>) {
        if self.change(0, SEARCHING).searching() == 1 && self.counts().sleeping() > 0 {
            // Pairs with the fence in `notify`, which has left it to this searcher.
            fence(SeqCst);
            if more().is_some_and(|queued| self.calls_for(queued)) {
                self.wake_one();
            }
        }
    }

    /// Sleeps until notified, or as a watchman for a while; unless `must_look` after all, which is told whether somebody
    /// else sees to the workers' queues: then it returns at once. Returns as a searcher, with the wakers for the events that
    /// have come in `woken`, for which it got up.
    pub(crate) fn sleep(
        &self,
        worker: usize,
        searching: Option<Searching>,
        sleeps: Sleeps,
        must_look: impl FnOnce(bool) -> bool,
        woken: &mut Vec<Waker>,
    ) -> Awake {
        let (watch, is_seen_to) = {
            let mut beds = self.beds.lock();
            let (watch, flags) = match sleeps {
                Sleeps::Watching(time) if beds.watchman.is_none() => (Some(time), WATCHED),
                Sleeps::Undisturbed(time) if beds.watchman.is_none() => (Some(time), WATCHED | UNDISTURBED),
                _ => (None, 0),
            };
            match watch {
                Some(_) => beds.watchman = Some(worker),
                None => beds.asleep.push(worker),
            }
            let searched = searching.map_or(0, |Searching(())| SEARCHING);
            let before = self.change(SLEEPING + flags, searched);
            (watch, beds.watchman.is_some() || before.searching() > searched)
        };
        // Pairs with the fence in `notify`: see the protocol.
        fence(SeqCst);
        if must_look(is_seen_to) && self.get_up(worker) {
            return Awake { searching: Searching(()), was_called: false };
        }
        let parker = &self.parkers[worker];
        let mut was_called = match watch {
            Some(time) => parker.park_until(Some(Instant::now() + time)),
            None => parker.park_for_events(Wait::AsWorker, woken),
        };
        if !was_called && !self.get_up(worker) {
            // Woken just now: the call is there, or about to come, and must not be left for the next sleep.
            parker.park_until(None);
            was_called = true;
        }
        Awake { searching: Searching(()), was_called }
    }

    /// Takes back that `worker` sleeps. `false` if it was woken meanwhile: then its parker has been called, or is about
    /// to be.
    fn get_up(&self, worker: usize) -> bool {
        let mut beds = self.beds.lock();
        if beds.watchman == Some(worker) {
            self.dismiss(&mut beds);
        } else if let Some(place) = beds.asleep.iter().position(|asleep| *asleep == worker) {
            beds.asleep.remove(place);
        } else {
            return false;
        }
        self.change(SEARCHING, SLEEPING);
        true
    }

    /// Wakes everybody, for good.
    pub(crate) fn wake_all(&self) {
        let woken = {
            let mut beds = self.beds.lock();
            let mut woken = std::mem::take(&mut beds.asleep);
            woken.extend(self.dismiss(&mut beds));
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

    /// How a worker sleeps, and what `must_look` does: it is called when the worker is registered.
    fn slept(sleep: &Sleep, sleeps: Sleeps, must_look: impl FnOnce(bool) -> bool) -> bool {
        let searching = sleep.search();
        let awake = sleep.sleep(0, searching, sleeps, must_look, &mut Vec::new());
        assert_eq!((sleep.counts().searching(), sleep.counts().sleeping()), (1, 0));
        assert_eq!(sleep.counts().0 & (WATCHED | UNDISTURBED), 0);
        sleep.found(awake.searching, || None);
        assert_eq!(sleep.counts().0, 0);
        assert!(!sleep.parkers[0].park_until(Some(Instant::now())), "a call was left over");
        awake.was_called
    }

    #[test]
    fn a_notification_before_the_sleep_is_seen_by_looking_again() {
        let sleep = Sleep::new(2, 2);
        // Nobody sleeps, so this wakes nobody; the worker finds the task when it looks again.
        sleep.notify(Queued::Injected);
        assert!(!slept(&sleep, Sleeps::Soundly, |_| true));
    }

    #[test]
    fn a_notification_during_the_last_look_is_not_lost() {
        let sleep = Sleep::new(2, 2);
        for queued in [Queued::Injected, Queued::Plenty, Queued::Next] {
            // Registered and woken: though this look found nothing, the park returns at once.
            assert!(slept(&sleep, Sleeps::Soundly, |is_watched| {
                assert!(!is_watched);
                sleep.notify(queued);
                false
            }));
        }
    }

    #[test]
    fn a_worker_that_looks_though_it_was_woken_uses_the_call_up() {
        let sleep = Sleep::new(2, 2);
        assert!(slept(&sleep, Sleeps::Soundly, |_| {
            sleep.notify(Queued::Injected);
            true
        }));
    }

    #[test]
    fn a_watchman_is_woken_for_what_he_may_have() {
        let sleep = Sleep::new(2, 2);
        let woken_for = |sleeps, queued| {
            slept(&sleep, sleeps, |is_watched| {
                assert!(is_watched);
                sleep.notify(queued);
                // Not woken, he looks at once.
                sleep.counts().searching() == 0
            })
        };
        for (queued, watching, undisturbed) in
            [(Queued::Next, false, false), (Queued::Plenty, true, false), (Queued::Injected, true, true)]
        {
            assert_eq!(woken_for(Sleeps::Watching(MINUTE), queued), watching, "{queued:?}");
            assert_eq!(woken_for(Sleeps::Undisturbed(MINUTE), queued), undisturbed, "{queued:?}");
        }
    }

    #[test]
    fn a_watchman_looks_by_himself() {
        let sleep = Sleep::new(2, 2);
        assert!(!slept(&sleep, Sleeps::Watching(Duration::from_millis(1)), |_| false));
        assert!(!slept(&sleep, Sleeps::Undisturbed(Duration::ZERO), |_| false));
    }

    #[test]
    fn there_is_one_watchman() {
        polyexec_conformance::watched!();
        let sleep = Sleep::new(2, 2);
        std::thread::scope(|threads| {
            let other = threads.spawn(|| sleep.sleep(1, None, Sleeps::Watching(MINUTE), |_| false, &mut Vec::new()));
            while sleep.counts().sleeping() == 0 {
                std::hint::spin_loop();
            }
            let must_look = |is_watched: bool| {
                assert!(is_watched);
                assert_eq!(sleep.beds.lock().asleep, [0]);
                sleep.notify(Queued::Next);
                assert_eq!(sleep.counts().searching(), 0, "somebody was woken for what is watched");
                true
            };
            let awake = sleep.sleep(0, None, Sleeps::Watching(Duration::ZERO), must_look, &mut Vec::new());
            sleep.found(awake.searching, || Some(Queued::Injected));
            assert!(other.join().unwrap().was_called);
        });
    }

    #[test]
    fn the_last_searcher_that_finds_a_task_passes_it_on() {
        let sleep = Sleep::new(2, 2);
        std::thread::scope(|threads| {
            let other = threads.spawn(|| sleep.sleep(1, None, Sleeps::Soundly, |_| false, &mut Vec::new()));
            while sleep.counts().sleeping() == 0 {
                std::hint::spin_loop();
            }
            let search = sleep.search().unwrap();
            sleep.notify(Queued::Injected);
            assert_eq!(sleep.counts().sleeping(), 1, "there is a searcher to find it");
            sleep.found(search, || Some(Queued::Injected));
            assert!(other.join().unwrap().was_called);
        });
    }

    #[test]
    fn at_most_half_of_the_workers_search() {
        let sleep = Sleep::new(4, 4);
        let first = sleep.search().unwrap();
        let second = sleep.search().unwrap();
        assert!(sleep.search().is_none());
        sleep.found(first, || None);
        sleep.found(second, || None);
        assert!(sleep.search().is_some());
    }
}
