//! What is known of both sides of a source, in one atomic word. Knows nothing of tasks.

use std::sync::atomic::Ordering::{AcqRel, Acquire};

use crate::driver::sync::AtomicU64;

/// A side of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Read,
    Write,
}

/// One half for each side: the read side is the lower one. Both are in one word, since one event reports both at once.
///
/// A half holds `READY`, `CLOSED`, `AWAITED`, `URGENT`, and above them a count of events, in units of `EVENT`.
#[derive(Default)]
pub(super) struct Word(pub(super) AtomicU64);

/// An operation may succeed. Set by an event, cleared by an operation that would block or has moved all there was.
pub(super) const READY: u32 = 1;
/// Closed by the peer, or broken: counts as ready. Set by an event, cleared by an operation that would block.
pub(super) const CLOSED: u32 = 2;
/// The list of waiters may not be empty. Set by a waiter, cleared by an event.
pub(super) const AWAITED: u32 = 4;
/// Urgent data has come. A read stops before it, so a short read doesn't mean that all was read. Set by an event, never
/// cleared.
pub(super) const URGENT: u32 = 8;
/// One event. The count tells an operation whether an event has come since it looked.
pub(super) const EVENT: u32 = 16;

/// What an operation saw of its side before it was tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen(pub(super) u32);

/// What one event reports: the bits to set in each half. A side without bits was not reported.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Report {
    read: u32,
    write: u32,
}

impl Side {
    /// Where its half begins.
    #[inline]
    fn shift(self) -> u32 {
        match self {
            Side::Read => 0,
            Side::Write => 32,
        }
    }

    #[inline]
    fn of(self, word: u64) -> u32 {
        (word >> self.shift()) as u32
    }

    #[inline]
    fn put(self, word: u64, half: u32) -> u64 {
        word & !(u64::from(u32::MAX) << self.shift()) | u64::from(half) << self.shift()
    }
}

impl Report {
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
    #[inline]
    pub(super) fn load(&self, side: Side) -> u32 {
        // Acquire: pairs with the AcqRel in `announce`.
        side.of(self.0.load(Acquire))
    }

    /// Changes a side's half, unless `change` returns `None`. Returns the half before, either way.
    #[inline]
    pub(super) fn update(&self, side: Side, change: impl Fn(u32) -> Option<u32>) -> Result<u32, u32> {
        let changed = |word| change(side.of(word)).map(|half| side.put(word, half));
        // AcqRel: pairs with itself in `announce`. Whichever comes second sees what the other has written before.
        let word = self.0.fetch_update(AcqRel, Acquire, changed);
        word.map(|word| side.of(word)).map_err(|word| side.of(word))
    }

    /// Applies an event. Returns for each side, read first, whether it was reported and awaited.
    #[inline]
    pub(super) fn announce(&self, report: Report) -> (bool, bool) {
        let announced = |word| {
            let word = Side::Read.put(word, after(Side::Read.of(word), report.read));
            Some(Side::Write.put(word, after(Side::Write.of(word), report.write)))
        };
        // AcqRel: pairs with itself in `update`.
        let (Ok(before) | Err(before)) = self.0.fetch_update(AcqRel, Acquire, announced);
        let was_awaited = |side: Side, bits| bits != 0 && side.of(before) & AWAITED != 0;
        (was_awaited(Side::Read, report.read), was_awaited(Side::Write, report.write))
    }
}

/// A half after an event that sets `bits` in it.
#[inline]
fn after(half: u32, bits: u32) -> u32 {
    if bits == 0 { half } else { (half & !AWAITED).wrapping_add(EVENT) | bits }
}

#[inline]
pub(super) fn is_ready(half: u32) -> bool {
    half & (READY | CLOSED) != 0
}

/// Whether an event came between the two.
#[inline]
pub(super) fn has_event_between(before: u32, after: u32) -> bool {
    before / EVENT != after / EVENT
}
