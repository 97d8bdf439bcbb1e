//! Whether a source is ready, and which tasks wait until it is. Leaves operations and system calls to `source`.
//!
//! The system reports a side once, when it changes (edge-triggered). So a side stays ready until an operation finds that it
//! isn't. If an event has come since that operation looked, the side stays ready all the same.
//!
//! A waiter holds the list's lock, sets `AWAITED` if the side isn't ready, and enters the list. An event clears `AWAITED` as it
//! sets `READY`, and then takes the list under the same lock. So it finds every waiter that has set `AWAITED` before.
//!
//! Any number of tasks may wait for one side, and an event wakes them all. A future leaves the list when it is dropped. A bare
//! poll can't: its waker stays until the next event, until its handle is dropped, or until a later poll finds a crowd. Then all
//! are woken, and those that still wait come back.

use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker};

use polyexec_core::executor::driver::wake_all;

use crate::driver::sync::{AtomicU64, Mutex};

pub(crate) use waiters::WaiterId;
use waiters::{Entry, Waiters};
use word::{AWAITED, CLOSED, READY, URGENT, Word, has_event_between, is_ready};
pub(crate) use word::{Report, Seen, Side};

#[cfg(all(test, polyexec_loom))]
mod models;
mod waiters;
mod word;

/// Both sides of a source.
///
/// The fields that events and readers use come first, on a cache line of their own: the processors of both pass it to and fro.
#[derive(Default)]
#[repr(C, align(64))]
pub(crate) struct Readiness {
    word: Word,
    readers: Mutex<Waiters>,
    writers: Mutex<Waiters>,
    /// Numbers given to handles and futures so far.
    numbers: AtomicU64,
}

impl Readiness {
    #[inline]
    fn waiters(&self, side: Side) -> &Mutex<Waiters> {
        match side {
            Side::Read => &self.readers,
            Side::Write => &self.writers,
        }
    }

    /// Applies an event. Adds the wakers that waited for it to `woken`.
    pub(crate) fn announce(&self, report: Report, woken: &mut Vec<Waker>) {
        let (reads, writes) = self.word.announce(report);
        if reads {
            self.readers.lock().empty_into(woken);
        }
        if writes {
            self.writers.lock().empty_into(woken);
        }
    }

    /// Takes a side to be ready until an operation finds that it isn't.
    pub(crate) fn assume_ready(&self, side: Side) {
        let _ = self.word.update(side, |half| Some(half | READY));
    }

    /// Ready if the side is. Otherwise an event wakes `cx`.
    pub(crate) fn poll(&self, side: Side, id: WaiterId, cx: &Context<'_>) -> Poll<Seen> {
        let half = self.word.load(side);
        if is_ready(half) { Poll::Ready(Seen(half)) } else { self.register(side, id, cx) }
    }

    /// Adds `cx` to the list, unless the side is ready by now.
    fn register(&self, side: Side, id: WaiterId, cx: &Context<'_>) -> Poll<Seen> {
        // User code: wakers are cloned, dropped and called without the lock.
        let newest = cx.waker().clone();
        let mut waiters = self.waiters(side).lock();
        if let Err(ready) = self.word.update(side, |half| (!is_ready(half)).then_some(half | AWAITED)) {
            drop(waiters);
            return Poll::Ready(Seen(ready));
        }
        if waiters.is_empty() {
            waiters.first = Some(Entry::new(id, newest));
            return Poll::Pending;
        }
        let (redundant, crowd) = waiters.join(id, newest);
        drop(waiters);
        drop(redundant);
        wake_all(crowd);
        Poll::Pending
    }

    /// What is known of a side, for an operation that is tried without waiting.
    pub(crate) fn seen(&self, side: Side) -> Seen {
        Seen(self.word.load(side))
    }

    /// A number for a handle or a future.
    pub(crate) fn number(&self) -> u64 {
        // Relaxed: numbers only have to differ.
        self.numbers.fetch_add(1, Relaxed)
    }

    /// Removes the wakers of a handle or future, which no longer waits.
    pub(crate) fn forget(&self, side: Side, number: u64) {
        if self.word.load(side) & AWAITED == 0 {
            // Its waker isn't in the list, or an event is about to take it from there.
            return;
        }
        let wakers = self.waiters(side).lock().remove(number);
        drop(wakers);
    }

    /// Notes that an operation has moved all there was: the side isn't ready any more.
    ///
    /// It stays ready if an event has come since `seen`, if it is closed, which the next operation reports, or if there is
    /// urgent data.
    pub(crate) fn exhausted(&self, side: Side, seen: Seen) {
        self.clear(side, seen, READY, URGENT);
    }

    /// Notes that an operation would block. The side stays ready only if an event has come since `seen`.
    pub(crate) fn would_block(&self, side: Side, seen: Seen) {
        self.clear(side, seen, READY | CLOSED, 0);
    }

    fn clear(&self, side: Side, Seen(seen): Seen, bits: u32, unless: u32) {
        let may_clear = |half| !has_event_between(seen, half) && half & unless == 0;
        let _ = self.word.update(side, |half| may_clear(half).then_some(half & !bits));
    }
}

#[cfg(all(test, not(polyexec_loom)))]
mod tests {
    use super::waiters::{CROWD, Others, REST};
    use super::word::EVENT;
    use super::*;

    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize};
    use std::task::Wake;
    use std::thread;

    const HANDLE: WaiterId = WaiterId::Handle(0);

    fn poll(readiness: &Readiness) -> Option<Seen> {
        match readiness.poll(Side::Read, HANDLE, &Context::from_waker(Waker::noop())) {
            Poll::Ready(seen) => Some(seen),
            Poll::Pending => None,
        }
    }

    fn announce(readiness: &Readiness, closed: bool) -> usize {
        let (mut report, mut woken) = (Report::default(), Vec::new());
        if closed {
            report.closed(Side::Read)
        } else {
            report.ready(Side::Read)
        }
        readiness.announce(report, &mut woken);
        woken.len()
    }

    #[test]
    fn an_event_during_an_operation_counts() {
        let readiness = Readiness::default();
        assert!(poll(&readiness).is_none());
        assert_eq!(announce(&readiness, false), 1);
        let seen = poll(&readiness).unwrap();
        assert_eq!(announce(&readiness, false), 0);
        readiness.would_block(Side::Read, seen);
        let seen = poll(&readiness).expect("an event has come since");
        readiness.would_block(Side::Read, seen);
        assert!(poll(&readiness).is_none());
        assert!(readiness.poll(Side::Write, HANDLE, &Context::from_waker(Waker::noop())).is_pending());
    }

    #[test]
    fn a_closed_side_stays_ready_until_an_operation_would_block() {
        let readiness = Readiness::default();
        announce(&readiness, true);
        let seen = poll(&readiness).unwrap();
        readiness.exhausted(Side::Read, seen);
        let seen = poll(&readiness).unwrap();
        readiness.would_block(Side::Read, seen);
        assert!(poll(&readiness).is_none());
    }

    #[test]
    fn the_count_of_events_wraps() {
        let readiness = Readiness::default();
        readiness.word.0.store(u64::from(u32::MAX - (EVENT - 1)), Relaxed);
        announce(&readiness, false);
        let seen = poll(&readiness).unwrap();
        assert_eq!(seen.0, READY);
        readiness.would_block(Side::Read, seen);
        assert!(poll(&readiness).is_none());
        assert_eq!(readiness.word.load(Side::Write), 0);
    }

    #[test]
    fn one_event_reports_both_sides() {
        let readiness = Readiness::default();
        let poll = |side| readiness.poll(side, HANDLE, &Context::from_waker(Waker::noop()));
        assert!(poll(Side::Read).is_pending() && poll(Side::Write).is_pending());
        let (mut report, mut woken) = (Report::default(), Vec::new());
        report.ready(Side::Read);
        report.closed(Side::Write);
        readiness.announce(report, &mut woken);
        assert_eq!(woken.len(), 2);
        let (Poll::Ready(read), Poll::Ready(write)) = (poll(Side::Read), poll(Side::Write)) else {
            panic!("both were reported ready")
        };
        readiness.exhausted(Side::Read, read);
        readiness.exhausted(Side::Write, write);
        assert!(poll(Side::Read).is_pending() && poll(Side::Write).is_ready());
    }

    fn waiting(readiness: &Readiness) -> usize {
        let waiting = readiness.readers.lock();
        let others = waiting.others.as_ref().map_or(0, |others| others.entries.len());
        waiting.first.iter().count() + others
    }

    #[derive(Default)]
    struct Calls(AtomicUsize);

    impl Wake for Calls {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn each_waker_of_a_handle_waits_once_and_the_newest_of_a_future() {
        let readiness = Readiness::default();
        let [one, other] = [(); 2].map(|()| Arc::new(Calls::default()));
        let wait = |who, calls: &Arc<Calls>| {
            let waker = Waker::from(calls.clone());
            assert!(readiness.poll(Side::Read, who, &Context::from_waker(&waker)).is_pending());
            waiting(&readiness)
        };
        let handles = [0, 1].map(WaiterId::Handle);
        assert_eq!([(); 1000].map(|()| wait(handles[0], &one)), [1; 1000]);
        assert_eq!([(); 1000].map(|()| wait(handles[0], &other)), [2; 1000]);
        assert_eq!([(); 1000].map(|()| wait(handles[1], &one)), [3; 1000]);
        assert_eq!([&one, &other, &one].map(|calls| wait(WaiterId::Future(2), calls)), [4; 3]);
        assert_eq!(
            [1, 2, 0].map(|number| {
                readiness.forget(Side::Read, number);
                waiting(&readiness)
            }),
            [3, 2, 0]
        );
        assert_eq!([&one, &other].map(Arc::strong_count), [1; 2]);
    }

    #[test]
    fn a_crowd_makes_room_and_is_woken() {
        let readiness = Readiness::default();
        let polls: Vec<_> = (0..4 * CROWD).map(|_| Arc::new(Calls::default())).collect();
        let poll = |who, calls: &Arc<Calls>| {
            let waker = Waker::from(calls.clone());
            assert!(readiness.poll(Side::Read, who, &Context::from_waker(&waker)).is_pending());
        };
        let woken = || polls.iter().filter(|calls| calls.0.load(Relaxed) == 1).count();
        // Futures leave when they are dropped, and don't count as a crowd.
        (0..2 * CROWD).for_each(|number| poll(WaiterId::Future(number as u64 + 1), &polls[0]));
        assert_eq!(woken(), 0);
        (0..2 * CROWD).for_each(|number| readiness.forget(Side::Read, number as u64 + 1));
        polls.iter().for_each(|calls| poll(HANDLE, calls));
        assert_eq!((woken(), waiting(&readiness)), (CROWD, 3 * CROWD));
        // As if the last clearing were long ago.
        let others = |act: &dyn Fn(&mut Others)| act(readiness.readers.lock().others.as_mut().unwrap());
        others(&|others| others.cleared = others.cleared.unwrap().checked_sub(REST));
        poll(HANDLE, &polls[0]);
        assert_eq!((woken(), waiting(&readiness)), (CROWD, 3 * CROWD), "it is in the list already");
        poll(HANDLE, &Arc::new(Calls::default()));
        assert_eq!((woken(), waiting(&readiness)), (4 * CROWD - 1, 2), "all but the first");
        readiness.forget(Side::Read, 0);
        assert!(polls.iter().all(|calls| Arc::strong_count(calls) == 1));
    }

    #[test]
    fn no_wait_misses_an_event() {
        polyexec_conformance::watched!();
        let (readiness, is_over) = (Arc::new(Readiness::default()), Arc::new(AtomicBool::new(false)));
        let system = thread::spawn({
            let (readiness, is_over) = (readiness.clone(), is_over.clone());
            move || {
                while !is_over.load(Relaxed) {
                    let (mut report, mut woken) = (Report::default(), Vec::new());
                    report.ready(Side::Read);
                    readiness.announce(report, &mut woken);
                    woken.into_iter().for_each(Waker::wake);
                }
            }
        });
        for _ in 0..20_000 {
            let seen =
                polyexec_core::executor::park_on(std::future::poll_fn(|cx| readiness.poll(Side::Read, HANDLE, cx)));
            readiness.would_block(Side::Read, seen);
        }
        is_over.store(true, Relaxed);
        system.join().unwrap();
    }
}
