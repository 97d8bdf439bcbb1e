//! Decides when workers sleep, and who is woken. Never touches a task.
//!
//! # The protocol
//!
//! A worker runs tasks, searches for some, or sleeps. Two counts say how many search and how many sleep.
//!
//! - Whoever makes a task available puts it in a queue, and then calls [`notify`](Sleep::notify): fence, look at the
//!   counts. If nobody searches and somebody sleeps, one sleeper is made a searcher and woken.
//! - A worker that finds nothing to do registers as asleep and stops searching: count, fence, look at every queue once
//!   more. Only if they are all empty does it park.
//! - A searcher that finds a task stops searching. If it was the last one, it calls `notify` as well.
//!
//! # Why no wake is lost
//!
//! The two fences are sequentially consistent, so one comes first. If the worker's does, `notify` sees it registered,
//! and wakes it or another one. If the other does, the worker sees the task when it looks again. `notify` may also
//! leave it at that because it saw a searcher: that one had not yet stopped then, so its own fence comes later.
//! Either it finds nothing and looks once more, and sees the task; or it finds one, and if it was the last searcher
//! passes the notification on; if it wasn't, the same holds for those who still search.
//!
//! So one wake a burst is enough: the woken worker finds work, is the last searcher, wakes the next, and so on until a
//! searcher finds nothing.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicU64, fence};

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;
use polyexec_core::Parker;

pub(crate) struct Sleep {
    /// How many workers search, and how many are in `asleep`; see `Counts`. Changed with the lock of `asleep` where
    /// that changes.
    counts: CachePadded<AtomicU64>,
    /// Workers that sleep or are about to. The one that fell asleep last is woken first: its cache is the warmest.
    asleep: Mutex<Vec<usize>>,
    parkers: Box<[CachePadded<Parker>]>,
    /// No more than so many search: others would only get in their way.
    most_searching: u32,
}

/// Both counts in one word, so that whoever notifies looks at one.
#[derive(Clone, Copy)]
struct Counts(u64);

/// One worker that searches.
const SEARCHING: u64 = 1;
/// One worker that sleeps.
const SLEEPING: u64 = 1 << 32;

impl Counts {
    fn searching(self) -> u32 {
        self.0 as u32
    }

    fn sleeping(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// Proof that a worker is counted as searching.
#[must_use = "a searcher that isn't told to stop keeps others from being woken"]
#[derive(Debug)]
pub(crate) struct Searching(());

impl Sleep {
    /// For so many workers on so many processors.
    pub(crate) fn new(workers: usize, processors: usize) -> Self {
        Self {
            counts: CachePadded::default(),
            asleep: Mutex::new(Vec::with_capacity(workers)),
            parkers: (0..workers).map(|_| CachePadded::default()).collect(),
            most_searching: u32::try_from(workers.min(processors).div_ceil(2)).unwrap_or(u32::MAX),
        }
    }

    fn counts(&self) -> Counts {
        Counts(self.counts.load(Relaxed))
    }

    /// To be called after a task was put where others can take it.
    pub(crate) fn notify(&self) {
        // Pairs with the fence in `sleep`: see the protocol.
        fence(SeqCst);
        let counts = self.counts();
        if counts.searching() == 0 && counts.sleeping() > 0 {
            self.wake_one();
        }
    }

    /// Makes a sleeper a searcher, if there still is one.
    #[cold]
    fn wake_one(&self) {
        let woken = {
            let mut asleep = self.asleep.lock();
            asleep.pop().inspect(|_| _ = self.counts.fetch_add(SEARCHING.wrapping_sub(SLEEPING), SeqCst))
        };
        if let Some(worker) = woken {
            self.parkers[worker].unpark();
        }
    }

    /// Counts the calling worker as searching, unless enough are already.
    pub(crate) fn search(&self) -> Option<Searching> {
        if self.counts().searching() >= self.most_searching {
            return None;
        }
        self.counts.fetch_add(SEARCHING, SeqCst);
        Some(Searching(()))
    }

    /// The searcher has found a task.
    pub(crate) fn found(&self, Searching(()): Searching) {
        if Counts(self.counts.fetch_sub(SEARCHING, SeqCst)).searching() == 1 {
            self.notify();
        }
    }

    /// Sleeps until notified, unless `must_stay` after all: then it returns at once. Returns as a searcher.
    ///
    /// The last searcher waits awake for a while: work often comes as soon as there is none, and to wake a thread takes
    /// longer than most tasks.
    pub(crate) fn sleep(
        &self,
        worker: usize,
        searching: Option<Searching>,
        must_stay: impl FnOnce() -> bool,
    ) -> Searching {
        let before = {
            let mut asleep = self.asleep.lock();
            asleep.push(worker);
            let searched = if searching.is_some() { SEARCHING } else { 0 };
            Counts(self.counts.fetch_add(SLEEPING.wrapping_sub(searched), SeqCst))
        };
        let was_last = searching.is_some_and(|Searching(())| before.searching() == 1);
        // Pairs with the fence in `notify`: see the protocol.
        fence(SeqCst);
        if must_stay() && self.stay(worker) {
            return Searching(());
        }
        let parker = &self.parkers[worker];
        if was_last { parker.park_soon() } else { parker.park() }
        Searching(())
    }

    /// Takes back that `worker` sleeps. `false` if it was woken meanwhile: then the parker has been called.
    fn stay(&self, worker: usize) -> bool {
        let mut asleep = self.asleep.lock();
        let Some(place) = asleep.iter().position(|asleep| *asleep == worker) else {
            return false;
        };
        asleep.remove(place);
        self.counts.fetch_add(SEARCHING.wrapping_sub(SLEEPING), SeqCst);
        true
    }

    /// Wakes everybody, for good.
    pub(crate) fn wake_all(&self) {
        let woken = {
            let mut asleep = self.asleep.lock();
            let all = asleep.len() as u64;
            self.counts.fetch_add(all.wrapping_mul(SEARCHING.wrapping_sub(SLEEPING)), SeqCst);
            std::mem::take(&mut *asleep)
        };
        for worker in woken {
            self.parkers[worker].unpark();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_before_the_sleep_is_seen_by_looking_again() {
        let sleep = Sleep::new(2, 2);
        let searching = sleep.search();
        assert!(searching.is_some());
        // Nobody sleeps, so this wakes nobody; the worker finds the task when it looks again.
        sleep.notify();
        let searching = sleep.sleep(0, searching, || true);
        assert_eq!(sleep.counts().searching(), 1);
        sleep.found(searching);
        assert_eq!(sleep.counts().searching(), 0);
        assert_eq!(sleep.counts().sleeping(), 0);
    }

    #[test]
    fn a_notification_during_the_last_look_is_not_lost() {
        let sleep = Sleep::new(2, 2);
        let searching = sleep.sleep(0, None, || {
            sleep.notify();
            // Registered and woken: though this look found nothing, the park returns at once.
            false
        });
        assert_eq!(sleep.counts().searching(), 1);
        sleep.found(searching);
    }

    #[test]
    fn a_worker_that_stays_though_it_was_woken_uses_the_call_up() {
        let sleep = Sleep::new(2, 2);
        let searching = sleep.sleep(0, None, || {
            sleep.notify();
            true
        });
        assert_eq!(sleep.counts().searching(), 1);
        sleep.found(searching);
        assert!(!sleep.parkers[0].park_until(Some(std::time::Instant::now())), "a call was left over");
    }

    #[test]
    fn at_most_half_of_the_workers_search() {
        let sleep = Sleep::new(4, 4);
        let first = sleep.search().unwrap();
        let second = sleep.search().unwrap();
        assert!(sleep.search().is_none());
        sleep.found(first);
        sleep.found(second);
        assert!(sleep.search().is_some_and(|third| {
            sleep.found(third);
            true
        }));
    }
}
