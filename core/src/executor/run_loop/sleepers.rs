//! Calls of a run loop that sleep in another executor's tasks, and how a notification wakes them. The word that they are given
//! is the run loop's.

use std::mem;
use std::sync::PoisonError;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Waker;

use super::ASLEEP;
use crate::executor::driver;
use crate::sync::{AtomicU64, Mutex, MutexGuard};

/// The sleeping calls of one run loop, all on its thread.
#[derive(Default)]
pub(super) struct Sleepers(Mutex<List>);

#[derive(Default)]
struct List {
    /// By the sleeper's number.
    wakers: Vec<(u64, Waker)>,
    last_number: u64,
}

/// A call that sleeps in a task. Dropped, it leaves no waker behind.
pub(super) struct Sleeper<'a> {
    all: &'a Sleepers,
    word: &'a AtomicU64,
    number: u64,
}

impl Sleepers {
    fn lock(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn len(&self) -> usize {
        self.lock().wakers.len()
    }

    /// Wakes each sleeper, and clears ASLEEP in `word`.
    pub(super) fn wake_all(&self, word: &AtomicU64) {
        let woken = {
            let mut list = self.lock();
            // Relaxed: set and cleared under the lock.
            word.fetch_and(!ASLEEP, Relaxed);
            mem::take(&mut list.wakers)
        };
        driver::wake_all(woken.into_iter().map(|(_, waker)| waker));
    }

    pub(super) fn sleeper<'a>(&'a self, word: &'a AtomicU64) -> Sleeper<'a> {
        let mut list = self.lock();
        list.last_number += 1;
        // Before there is a waker: other code may run here, and notify, until it is registered. Relaxed: as in `register`.
        word.fetch_or(ASLEEP, Relaxed);
        Sleeper { all: self, word, number: list.last_number }
    }
}

impl Sleeper<'_> {
    /// Makes the next notification call `waker`. Returns the word before that: a notification that isn't in it calls the
    /// waker.
    pub(super) fn register(&self, waker: &Waker) -> u64 {
        let newest = waker.clone();
        let before = self.take();
        let word = {
            let mut list = self.all.lock();
            list.wakers.push((self.number, newest));
            // Relaxed: the next load of the word sees an earlier notification; a later one takes the lock.
            self.word.fetch_or(ASLEEP, Relaxed)
        };
        drop(before);
        word
    }

    /// The waker, unless a notification has taken it.
    fn take(&self) -> Option<(u64, Waker)> {
        let wakers = &mut self.all.lock().wakers;
        let index = wakers.iter().position(|(number, _)| *number == self.number);
        index.map(|index| wakers.swap_remove(index))
    }
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        let left = self.take();
        drop(left);
    }
}
