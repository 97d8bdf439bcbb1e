//! The timers of one tick, in the order of their numbers. Finds each by its number.

use std::task::Waker;

#[derive(Default)]
pub(super) struct Bucket {
    /// In the order of their numbers. `None` is a gap; the last one is never a gap.
    timers: Vec<(u64, Option<Waker>)>,
    /// How many gaps there are: half of the length at most.
    gaps: usize,
}

/// The capacity that is kept even if fewer timers are left.
const KEPT: usize = 64;

impl Bucket {
    pub(super) fn is_empty(&self) -> bool {
        self.timers.is_empty()
    }

    /// Adds a timer, whose number must be higher than those before.
    pub(super) fn push(&mut self, number: u64, waker: Waker) {
        if self.timers.capacity() == 0 {
            // If timers are few, each has its own bucket.
            self.timers.reserve_exact(1);
        }
        self.timers.push((number, Some(waker)));
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Waker> {
        let index = self.index(number)?;
        self.timers[index].1.as_mut()
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Waker> {
        let index = self.index(number)?;
        let waker = self.timers[index].1.take()?;
        self.gaps += 1;
        while self.timers.pop_if(|(_, waker)| waker.is_none()).is_some() {
            self.gaps -= 1;
        }
        if self.gaps > self.timers.len() / 2 {
            self.timers.retain(|(_, waker)| waker.is_some());
            self.gaps = 0;
        }
        if self.timers.capacity() > KEPT.max(4 * self.timers.len()) {
            self.timers.shrink_to(2 * self.timers.len());
        }
        Some(waker)
    }

    pub(super) fn empty_into(self, wakers: &mut Vec<Waker>) {
        wakers.extend(self.timers.into_iter().filter_map(|(_, waker)| waker));
    }

    #[cfg(all(test, not(polyexec_loom)))]
    pub(super) fn room(&self) -> usize {
        self.timers.capacity()
    }

    fn index(&self, number: u64) -> Option<usize> {
        self.timers.binary_search_by_key(&number, |(number, _)| *number).ok()
    }
}

#[cfg(all(test, not(polyexec_loom)))]
mod tests {
    use super::*;

    fn of(numbers: impl IntoIterator<Item = u64>) -> Bucket {
        let mut bucket = Bucket::default();
        numbers.into_iter().for_each(|number| bucket.push(number, Waker::noop().clone()));
        bucket
    }

    #[test]
    fn each_is_found_once_in_any_order() {
        // Coprime to 101, so that each number comes.
        for step in [1, 7, 50, 100] {
            let mut bucket = of((0..101).map(|number| 2 * number));
            assert!(bucket.remove(1).is_none() && bucket.get_mut(203).is_none());
            for gone in 0..101 {
                let number = 2 * (gone * step % 101);
                assert!(bucket.get_mut(number).is_some() && bucket.remove(number).is_some());
                assert!(bucket.get_mut(number).is_none() && bucket.remove(number).is_none());
                let left = 100 - gone as usize;
                assert!(bucket.timers.len() <= 2 * left, "{left} are left, and more gaps than that");
                assert!(bucket.room() <= KEPT.max(8 * left), "{left} are left, in room for {}", bucket.room());
            }
            assert!(bucket.is_empty());
        }
    }

    #[test]
    fn gaps_have_no_waker() {
        let mut bucket = of(1..=5);
        drop(bucket.remove(2));
        let mut wakers = Vec::new();
        bucket.empty_into(&mut wakers);
        assert_eq!(wakers.len(), 4);
    }
}
