//! What the system has said of a source, and who waits for it to say more. Makes no system call, and calls nobody.
//!
//! The system speaks once, when something changes. So a side that was said to be ready stays so until an operation has
//! found that it isn't; and if the system has spoken meanwhile, it stays ready all the same.
//!
//! Who finds a side not ready says that it waits, and is in the list, under the list's lock. Who makes the side ready sees
//! that in the same step, and then takes the list under its lock: so it finds there whoever has said so.

use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::task::{Context, Poll, Waker};

use crate::sync::{AtomicU64, Mutex};

#[cfg(all(test, polyexec_loom))]
mod models;

/// Which side of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Read,
    Write,
}

/// Both sides of a source.
///
/// In this order, on a cache line of its own, is what the system's events and those who read need: processors hand it on to each
/// other.
#[derive(Default)]
#[repr(C, align(64))]
pub(crate) struct Readiness {
    word: Word,
    readers: Mutex<Waiting>,
    writers: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    /// Whoever has polled last.
    poller: Option<Waker>,
    /// Each has a number of its own.
    others: Vec<(u64, Waker)>,
    /// Numbers given so far.
    so_far: u64,
}

/// What is known of the reading side, and above it of the other one: in one word, since the system speaks of both at once. Each
/// half is `READY`, `CLOSED`, `AWAITED`, `URGENT`, and how often the system has spoken, in units of `EVENT`.
#[derive(Default)]
struct Word(AtomicU64);

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

/// A half of the word when that side was seen to be ready.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen(u32);

/// What the system says at once: the bits to be set in either half. None: it doesn't speak of that side.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Said {
    read: u32,
    write: u32,
}

/// Who waits by way of `poll` has this number: of those, one is woken, the one that came last.
const POLLER: u64 = 0;

impl Side {
    /// Where its half of the word begins.
    fn shift(self) -> u32 {
        match self {
            Side::Read => 0,
            Side::Write => 32,
        }
    }

    fn of(self, word: u64) -> u32 {
        (word >> self.shift()) as u32
    }

    fn put(self, word: u64, half: u32) -> u64 {
        word & !(u64::from(u32::MAX) << self.shift()) | u64::from(half) << self.shift()
    }
}

impl Said {
    /// The side is ready.
    pub(crate) fn ready(&mut self, side: Side) {
        *self.of(side) |= READY;
    }

    /// The side is closed for good.
    pub(crate) fn closed(&mut self, side: Side) {
        *self.of(side) |= READY | CLOSED;
    }

    /// There is urgent data to read.
    pub(crate) fn urgent(&mut self) {
        self.read |= READY | URGENT;
    }

    fn of(&mut self, side: Side) -> &mut u32 {
        match side {
            Side::Read => &mut self.read,
            Side::Write => &mut self.write,
        }
    }
}

impl Word {
    /// What is known of a side.
    fn load(&self, side: Side) -> u32 {
        // Acquire: pairs with the Release of whoever has announced it.
        side.of(self.0.load(Acquire))
    }

    /// Changes what is known of a side, unless `change` says that there is nothing to change. What it was, either way.
    fn update(&self, side: Side, change: impl Fn(u32) -> Option<u32>) -> Result<u32, u32> {
        let changed = |word| change(side.of(word)).map(|half| side.put(word, half));
        // AcqRel: what the system has said, and who waits, is seen with the word, whichever comes second.
        let word = self.0.fetch_update(AcqRel, Acquire, changed);
        word.map(|word| side.of(word)).map_err(|word| side.of(word))
    }

    /// The system has spoken. Whether somebody has waited for that, on either side.
    fn announce(&self, said: Said) -> (bool, bool) {
        let announced = |word| {
            let word = Side::Read.put(word, after(Side::Read.of(word), said.read));
            Some(Side::Write.put(word, after(Side::Write.of(word), said.write)))
        };
        // AcqRel: as above.
        let (Ok(before) | Err(before)) = self.0.fetch_update(AcqRel, Acquire, announced);
        let was_awaited = |side: Side, bits| bits != 0 && side.of(before) & AWAITED != 0;
        (was_awaited(Side::Read, said.read), was_awaited(Side::Write, said.write))
    }
}

/// A half of the word after the system has said that these bits are to be set.
fn after(half: u32, bits: u32) -> u32 {
    if bits == 0 { half } else { (half & !AWAITED).wrapping_add(EVENT) | bits }
}

fn is_ready(half: u32) -> bool {
    half & (READY | CLOSED) != 0
}

/// Whether the system has spoken between the two.
fn has_spoken(before: u32, after: u32) -> bool {
    before / EVENT != after / EVENT
}

impl Readiness {
    fn waiting(&self, side: Side) -> &Mutex<Waiting> {
        match side {
            Side::Read => &self.readers,
            Side::Write => &self.writers,
        }
    }

    /// The system has spoken. Adds to `woken` who has waited for that.
    pub(crate) fn announce(&self, said: Said, woken: &mut Vec<Waker>) {
        let (reads, writes) = self.word.announce(said);
        if reads {
            self.readers.lock().empty_into(woken);
        }
        if writes {
            self.writers.lock().empty_into(woken);
        }
    }

    /// A side is taken to be ready, until an operation finds that it isn't.
    pub(crate) fn assume_ready(&self, side: Side) {
        let _ = self.word.update(side, |half| Some(half | READY));
    }

    /// Ready if the side is; else `cx` is woken when it is, as that which has polled last.
    pub(crate) fn poll(&self, side: Side, cx: &Context<'_>) -> Poll<Seen> {
        self.poll_as(side, POLLER, cx)
    }

    /// As [`poll`](Readiness::poll), as one of many that wait.
    pub(crate) fn poll_as(&self, side: Side, number: u64, cx: &Context<'_>) -> Poll<Seen> {
        let half = self.word.load(side);
        if is_ready(half) { Poll::Ready(Seen(half)) } else { self.wait(side, number, cx) }
    }

    /// Says that `cx` waits, unless the side is ready by now.
    fn wait(&self, side: Side, number: u64, cx: &Context<'_>) -> Poll<Seen> {
        // Code of somebody's: it is cloned and dropped under no lock.
        let newest = cx.waker().clone();
        let mut waiting = self.waiting(side).lock();
        if let Err(ready) = self.word.update(side, |half| (!is_ready(half)).then_some(half | AWAITED)) {
            drop(waiting);
            return Poll::Ready(Seen(ready));
        }
        let before = waiting.replace(number, newest);
        drop(waiting);
        drop(before);
        Poll::Pending
    }

    /// A number for one of many that wait.
    pub(crate) fn number(&self, side: Side) -> u64 {
        let mut waiting = self.waiting(side).lock();
        waiting.so_far += 1;
        waiting.so_far
    }

    /// One of many waits no longer.
    pub(crate) fn forget(&self, side: Side, number: u64) {
        let waker = {
            let others = &mut self.waiting(side).lock().others;
            let place = others.iter().position(|(who, _)| *who == number);
            place.map(|place| others.swap_remove(place))
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
        let says_so = |half| !has_spoken(seen, half) && half & unless == 0;
        let _ = self.word.update(side, |half| says_so(half).then_some(half & !bits));
    }
}

impl Waiting {
    /// Who has this number waits with the newest waker, instead of the one that is given back.
    fn replace(&mut self, number: u64, newest: Waker) -> Option<Waker> {
        if number == POLLER {
            return self.poller.replace(newest);
        }
        match self.others.iter_mut().find(|(who, _)| *who == number) {
            Some((_, waker)) => Some(std::mem::replace(waker, newest)),
            None => {
                self.others.push((number, newest));
                None
            }
        }
    }

    fn empty_into(&mut self, woken: &mut Vec<Waker>) {
        woken.extend(self.poller.take());
        woken.extend(self.others.drain(..).map(|(_, waker)| waker));
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
        let (mut said, mut woken) = (Said::default(), Vec::new());
        if closed {
            said.closed(Side::Read)
        } else {
            said.ready(Side::Read)
        }
        readiness.announce(said, &mut woken);
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
        readiness.word.0.store(u64::from(u32::MAX - (EVENT - 1)), Relaxed);
        announce(&readiness, false);
        let seen = poll(&readiness).unwrap();
        assert_eq!(seen.0, READY);
        readiness.would_block(Side::Read, seen);
        assert!(poll(&readiness).is_none());
        assert_eq!(readiness.word.load(Side::Write), 0);
    }

    #[test]
    fn the_system_speaks_of_both_sides_at_once() {
        let readiness = Readiness::default();
        let poll = |side| readiness.poll(side, &Context::from_waker(Waker::noop()));
        assert!(poll(Side::Read).is_pending() && poll(Side::Write).is_pending());
        let (mut said, mut woken) = (Said::default(), Vec::new());
        said.ready(Side::Read);
        said.closed(Side::Write);
        readiness.announce(said, &mut woken);
        assert_eq!(woken.len(), 2);
        let (Poll::Ready(read), Poll::Ready(write)) = (poll(Side::Read), poll(Side::Write)) else {
            panic!("both were said to be ready")
        };
        readiness.exhausted(Side::Read, read);
        readiness.exhausted(Side::Write, write);
        assert!(poll(Side::Read).is_pending() && poll(Side::Write).is_ready());
    }

    #[test]
    fn nobody_waits_in_vain() {
        polyexec_conformance::watched!();
        let (readiness, is_over) = (Arc::new(Readiness::default()), Arc::new(AtomicBool::new(false)));
        let system = thread::spawn({
            let (readiness, is_over) = (readiness.clone(), is_over.clone());
            move || {
                while !is_over.load(Relaxed) {
                    let (mut said, mut woken) = (Said::default(), Vec::new());
                    said.ready(Side::Read);
                    readiness.announce(said, &mut woken);
                    woken.into_iter().for_each(Waker::wake);
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
