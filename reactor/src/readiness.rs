//! What the system has said of a source, and who waits for it to say more. Makes no system call, and calls nobody.
//!
//! The system speaks once, when something changes. So a side that was said to be ready stays so until an operation has
//! found that it isn't; and if the system has spoken meanwhile, it stays ready all the same.
//!
//! Who finds a side not ready says that it waits, and is in the list, under the list's lock. Who makes the side ready sees
//! that in the same step, and then takes the list under its lock: so it finds there whoever has said so.

use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::task::{Context, Poll, Waker};

use crate::sync::{AtomicU32, Mutex};

#[cfg(all(test, polyexec_loom))]
mod models;

/// Which side of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Read,
    Write,
}

/// Both sides of a source.
#[derive(Default)]
pub(crate) struct Readiness {
    reader: State,
    writer: State,
}

#[derive(Default)]
struct State {
    /// `READY`, `CLOSED`, `AWAITED`, `URGENT`, and how often the system has spoken, in units of `EVENT`.
    word: AtomicU32,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    /// Each has a number of its own.
    wakers: Vec<(u64, Waker)>,
    /// Numbers given so far.
    so_far: u64,
}

/// Set when the system says so, cleared by an operation that has found otherwise.
const READY: u32 = 1;
/// Closed by the peer, or broken: as good as ready. Set when the system says so, cleared by an operation that would block.
const CLOSED: u32 = 2;
/// There may be somebody in the list. Set by who waits, cleared when the system speaks.
const AWAITED: u32 = 4;
/// Urgent data has come, before which a read ends though there is more: that one is short says nothing. Set when the system
/// says so, never cleared.
const URGENT: u32 = 8;
/// The system has spoken once.
const EVENT: u32 = 16;

/// The word of a side when it was seen to be ready.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen(u32);

/// Who waits by way of `poll` has this number: of those, one is woken, the one that came last.
const POLLER: u64 = 0;

impl State {
    /// Changes the word, unless `change` says that there is nothing to change. What it was, either way.
    fn update(&self, change: impl Fn(u32) -> Option<u32>) -> Result<u32, u32> {
        // AcqRel: what the system has said, and who waits, is seen with the word, whichever comes second.
        self.word.fetch_update(AcqRel, Acquire, change)
    }

    fn seen(&self) -> Option<Seen> {
        // Acquire: pairs with the Release in `announce`.
        let word = self.word.load(Acquire);
        is_ready(word).then_some(Seen(word))
    }
}

fn is_ready(word: u32) -> bool {
    word & (READY | CLOSED) != 0
}

/// Whether the system has spoken between the two.
fn has_spoken(before: u32, after: u32) -> bool {
    before / EVENT != after / EVENT
}

impl Readiness {
    fn side(&self, side: Side) -> &State {
        match side {
            Side::Read => &self.reader,
            Side::Write => &self.writer,
        }
    }

    /// The system says that a side is ready, or closed for good. Adds to `woken` who has waited for that.
    pub(crate) fn announce(&self, side: Side, closed: bool, woken: &mut Vec<Waker>) {
        let state = self.side(side);
        let bits = if closed { READY | CLOSED } else { READY };
        let before = state.update(|word| Some((word & !AWAITED).wrapping_add(EVENT) | bits));
        if before.is_ok_and(|word| word & AWAITED != 0) {
            let mut waiting = state.waiting.lock();
            woken.extend(waiting.wakers.drain(..).map(|(_, waker)| waker));
        }
    }

    /// The system says that there is urgent data. To be called before it is announced that there is something to read.
    pub(crate) fn is_urgent(&self) {
        let _ = self.reader.update(|word| Some(word | URGENT));
    }

    /// A side is taken to be ready, until an operation finds that it isn't.
    pub(crate) fn assume_ready(&self, side: Side) {
        let _ = self.side(side).update(|word| Some(word | READY));
    }

    /// Ready if the side is; else `cx` is woken when it is, as that which has polled last.
    pub(crate) fn poll(&self, side: Side, cx: &Context<'_>) -> Poll<Seen> {
        self.poll_as(side, POLLER, cx)
    }

    /// As [`poll`](Readiness::poll), as one of many that wait.
    pub(crate) fn poll_as(&self, side: Side, number: u64, cx: &Context<'_>) -> Poll<Seen> {
        match self.side(side).seen() {
            Some(seen) => Poll::Ready(seen),
            None => self.wait(side, number, cx),
        }
    }

    /// Says that `cx` waits, unless the side is ready by now.
    fn wait(&self, side: Side, number: u64, cx: &Context<'_>) -> Poll<Seen> {
        let state = self.side(side);
        // Code of somebody's: it is cloned and dropped under no lock.
        let newest = cx.waker().clone();
        let mut waiting = state.waiting.lock();
        let word = state.update(|word| (!is_ready(word)).then_some(word | AWAITED));
        if let Err(ready) = word {
            drop(waiting);
            return Poll::Ready(Seen(ready));
        }
        let place = waiting.wakers.iter_mut().find(|(who, _)| *who == number);
        let before = match place {
            Some((_, waker)) => Some(std::mem::replace(waker, newest)),
            None => {
                waiting.wakers.push((number, newest));
                None
            }
        };
        drop(waiting);
        drop(before);
        Poll::Pending
    }

    /// A number for one of many that wait.
    pub(crate) fn number(&self, side: Side) -> u64 {
        let mut waiting = self.side(side).waiting.lock();
        waiting.so_far += 1;
        waiting.so_far
    }

    /// One of many waits no longer.
    pub(crate) fn forget(&self, side: Side, number: u64) {
        let waker = {
            let wakers = &mut self.side(side).waiting.lock().wakers;
            let place = wakers.iter().position(|(who, _)| *who == number);
            place.map(|place| wakers.swap_remove(place))
        };
        drop(waker);
    }

    /// An operation has taken or brought all that there was room for. So the side isn't ready, unless the system has spoken
    /// since it was seen, or it is closed, which the next operation will say, or has urgent data.
    pub(crate) fn exhausted(&self, side: Side, seen: Seen) {
        self.clear(side, seen, READY, URGENT);
    }

    /// An operation has said that the side isn't ready. So it isn't, unless the system has spoken since it was seen.
    pub(crate) fn would_block(&self, side: Side, seen: Seen) {
        self.clear(side, seen, READY | CLOSED, 0);
    }

    fn clear(&self, side: Side, Seen(seen): Seen, bits: u32, unless: u32) {
        let says_so = |word| !has_spoken(seen, word) && word & unless == 0;
        let _ = self.side(side).update(|word| says_so(word).then_some(word & !bits));
    }
}

#[cfg(all(test, not(polyexec_loom)))]
mod tests {
    use super::*;

    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::sync::atomic::Ordering::Relaxed;
    use std::thread;

    fn poll(readiness: &Readiness) -> Option<Seen> {
        match readiness.poll(Side::Read, &Context::from_waker(Waker::noop())) {
            Poll::Ready(seen) => Some(seen),
            Poll::Pending => None,
        }
    }

    fn announce(readiness: &Readiness, closed: bool) -> usize {
        let mut woken = Vec::new();
        readiness.announce(Side::Read, closed, &mut woken);
        woken.len()
    }

    #[test]
    fn what_the_system_says_meanwhile_counts() {
        let readiness = Readiness::default();
        assert!(poll(&readiness).is_none());
        assert_eq!(announce(&readiness, false), 1);
        let seen = poll(&readiness).unwrap();
        assert_eq!(announce(&readiness, false), 0);
        readiness.would_block(Side::Read, seen);
        let seen = poll(&readiness).expect("the system has spoken since");
        readiness.would_block(Side::Read, seen);
        assert!(poll(&readiness).is_none());
        assert!(readiness.poll(Side::Write, &Context::from_waker(Waker::noop())).is_pending());
    }

    #[test]
    fn what_is_closed_stays_ready_until_an_operation_says_otherwise() {
        let readiness = Readiness::default();
        announce(&readiness, true);
        let seen = poll(&readiness).unwrap();
        readiness.exhausted(Side::Read, seen);
        let seen = poll(&readiness).unwrap();
        readiness.would_block(Side::Read, seen);
        assert!(poll(&readiness).is_none());
    }

    #[test]
    fn the_system_speaks_more_often_than_can_be_counted() {
        let readiness = Readiness::default();
        readiness.reader.word.store(u32::MAX - (EVENT - 1), Relaxed);
        announce(&readiness, false);
        let seen = poll(&readiness).unwrap();
        assert_eq!(seen.0, READY);
        readiness.would_block(Side::Read, seen);
        assert!(poll(&readiness).is_none());
    }

    #[test]
    fn nobody_waits_in_vain() {
        polyexec_conformance::watched!();
        let (readiness, is_over) = (Arc::new(Readiness::default()), Arc::new(AtomicBool::new(false)));
        let system = thread::spawn({
            let (readiness, is_over) = (readiness.clone(), is_over.clone());
            move || {
                let mut woken = Vec::new();
                while !is_over.load(Relaxed) {
                    readiness.announce(Side::Read, false, &mut woken);
                    woken.drain(..).for_each(Waker::wake);
                }
            }
        });
        for _ in 0..20_000 {
            let seen = polyexec_core::park_on(std::future::poll_fn(|cx| readiness.poll(Side::Read, cx)));
            readiness.would_block(Side::Read, seen);
        }
        is_over.store(true, Relaxed);
        system.join().unwrap();
    }
}
