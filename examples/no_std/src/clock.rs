//! Sleeps, counted in ticks. The interrupt handler only counts; the run queue wakes the sleepers.

use alloc::vec::Vec;
use core::cell::RefCell;
use core::future::poll_fn;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use core::task::{Poll, Waker};

use critical_section::Mutex;

/// Counts a timer's ticks.
pub struct Clock {
    ticks: AtomicU32,
    sleepers: Mutex<RefCell<Vec<(u32, Waker)>>>,
}

impl Clock {
    /// Stands at zero.
    #[expect(clippy::new_without_default, reason = "a clock is a static")]
    pub const fn new() -> Self {
        Self { ticks: AtomicU32::new(0), sleepers: Mutex::new(RefCell::new(Vec::new())) }
    }

    /// For the timer's interrupt handler.
    pub fn tick(&self) {
        // Relaxed: a count that orders nothing else.
        self.ticks.fetch_add(1, Relaxed);
    }

    /// The ticks so far. After 2³² they begin again at zero.
    pub fn now(&self) -> u32 {
        self.ticks.load(Relaxed)
    }

    /// Waits for `ticks`, at most half of what the count holds.
    pub async fn sleep(&self, ticks: u32) {
        let deadline = self.now().wrapping_add(ticks);
        let mut known: Option<Waker> = None;
        poll_fn(|cx| {
            if self.is_over(deadline) {
                return Poll::Ready(());
            }
            // One that is dropped before its time stays in the list until then.
            if known.as_ref().is_none_or(|known| !known.will_wake(cx.waker())) {
                let sleeper = (deadline, cx.waker().clone());
                critical_section::with(|section| self.sleepers.borrow_ref_mut(section).push(sleeper));
                known = Some(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    /// Wakes those whose sleep is over.
    pub(crate) fn wake_sleepers(&self) {
        while let Some(waker) = self.take_sleeper() {
            waker.wake();
        }
    }

    fn take_sleeper(&self) -> Option<Waker> {
        critical_section::with(|section| {
            let mut sleepers = self.sleepers.borrow_ref_mut(section);
            let found = sleepers.iter().position(|&(deadline, _)| self.is_over(deadline))?;
            Some(sleepers.swap_remove(found).1)
        })
    }

    fn is_over(&self, deadline: u32) -> bool {
        self.now().wrapping_sub(deadline) <= u32::MAX / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_may_go_beyond_the_last_tick() {
        let clock = Clock::new();
        clock.ticks.store(u32::MAX - 1, Relaxed);
        let deadline = clock.now().wrapping_add(3);
        for _ in 0..3 {
            assert!(!clock.is_over(deadline));
            clock.tick();
        }
        assert!(clock.is_over(deadline));
    }
}
