//! What the system has said of a source, and who waits for it to say more. Makes no system call, and calls nobody.
//!
//! The system speaks once, when something changes. So a side that was said to be ready stays so until an operation has
//! found that it isn't; and if the system has spoken meanwhile, it stays ready all the same.

use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

/// Which side of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Read,
    Write,
}

/// Both sides of a source.
#[derive(Default)]
pub(crate) struct Readiness {
    reader: Mutex<State>,
    writer: Mutex<State>,
}

#[derive(Default)]
struct State {
    ready: bool,
    /// Closed by the peer, or broken: ready for ever.
    closed: bool,
    /// How often the system has spoken.
    events: u32,
    /// Who waits, under a number of its own.
    waiting: Vec<(u64, Waker)>,
    /// Numbers given so far.
    so_far: u64,
}

/// How often the system had spoken of a side when it was seen to be ready.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen(u32);

/// Who waits by way of `poll` has this number: of those, one is woken, the one that came last.
const POLLER: u64 = 0;

impl Readiness {
    fn side(&self, side: Side) -> &Mutex<State> {
        match side {
            Side::Read => &self.reader,
            Side::Write => &self.writer,
        }
    }

    /// The system says that a side is ready, or closed for good. Adds to `woken` who has waited for that.
    pub(crate) fn announce(&self, side: Side, closed: bool, woken: &mut Vec<Waker>) {
        let mut state = self.side(side).lock();
        state.ready = true;
        state.closed |= closed;
        state.events = state.events.wrapping_add(1);
        woken.extend(state.waiting.drain(..).map(|(_, waker)| waker));
    }

    /// A side is taken to be ready, until an operation finds that it isn't.
    pub(crate) fn assume_ready(&self, side: Side) {
        self.side(side).lock().ready = true;
    }

    /// Ready if the side is; else `cx` is woken when it is, as that which has polled last.
    pub(crate) fn poll(&self, side: Side, cx: &Context<'_>) -> Poll<Seen> {
        self.poll_as(side, POLLER, cx)
    }

    /// As [`poll`](Readiness::poll), as one of many that wait.
    pub(crate) fn poll_as(&self, side: Side, number: u64, cx: &Context<'_>) -> Poll<Seen> {
        // Cloned under no lock, and only where it has to be.
        let mut newest = None;
        loop {
            let mut state = self.side(side).lock();
            if state.ready || state.closed {
                return Poll::Ready(Seen(state.events));
            }
            let place = state.waiting.iter_mut().find(|(who, _)| *who == number);
            match (place, newest.take()) {
                (Some((_, waker)), _) if waker.will_wake(cx.waker()) => return Poll::Pending,
                (Some((_, waker)), Some(newest)) => {
                    let before = std::mem::replace(waker, newest);
                    drop(state);
                    drop(before);
                    return Poll::Pending;
                }
                (None, Some(newest)) => {
                    state.waiting.push((number, newest));
                    return Poll::Pending;
                }
                (_, None) => drop(state),
            }
            newest = Some(cx.waker().clone());
        }
    }

    /// A number for one of many that wait.
    pub(crate) fn number(&self, side: Side) -> u64 {
        let mut state = self.side(side).lock();
        state.so_far += 1;
        state.so_far
    }

    /// One of many waits no longer.
    pub(crate) fn forget(&self, side: Side, number: u64) {
        let waker = {
            let waiting = &mut self.side(side).lock().waiting;
            let place = waiting.iter().position(|(who, _)| *who == number);
            place.map(|place| waiting.swap_remove(place))
        };
        drop(waker);
    }

    /// An operation has taken or brought all that there was room for. So the side isn't ready, unless the system has spoken
    /// since it was seen, or it is closed, which the next operation will say.
    pub(crate) fn exhausted(&self, side: Side, Seen(events): Seen) {
        let mut state = self.side(side).lock();
        state.ready &= state.events != events;
    }

    /// An operation has said that the side isn't ready. So it isn't, unless the system has spoken since it was seen.
    pub(crate) fn would_block(&self, side: Side, Seen(events): Seen) {
        let mut state = self.side(side).lock();
        if state.events == events {
            state.ready = false;
            state.closed = false;
        }
    }
}
