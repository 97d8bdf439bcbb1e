//! Two tasks that wake each other in turns, until the turns are over or one task is gone.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use crate::log::Log;

/// What the two share.
#[derive(Debug)]
pub(crate) struct Pair {
    /// The first one's; the other's is the next.
    first: u32,
    court: Mutex<Court>,
}

#[derive(Debug)]
struct Court {
    turn: usize,
    volleys_left: u8,
    gone: bool,
    waiting: [Option<Waker>; 2],
}

impl Pair {
    pub(crate) fn new(first: u32, volleys: u8) -> Self {
        let court = Court { turn: 0, volleys_left: volleys, gone: false, waiting: [None, None] };
        Self { first, court: Mutex::new(court) }
    }

    /// Plays if it is this one's turn. Ready when the game is over.
    pub(crate) fn play(&self, log: &Log, side: usize, waker: &Waker) -> Poll<()> {
        let mut court = self.lock();
        if court.gone || court.volleys_left == 0 {
            return Poll::Ready(());
        }
        let mine = waker.clone();
        let before = court.waiting[side].replace(mine);
        let mut other = None;
        if court.turn == side {
            court.turn = 1 - side;
            court.volleys_left -= 1;
            other = court.waiting[1 - side].take();
        }
        drop(court);
        drop(before);
        self.wake(log, 1 - side, other);
        Poll::Pending
    }

    /// One of them is gone: the other needn't wait.
    pub(crate) fn leave(&self, log: &Log, side: usize) {
        let mut court = self.lock();
        court.gone = true;
        let mine = court.waiting[side].take();
        let other = court.waiting[1 - side].take();
        drop(court);
        drop(mine);
        self.wake(log, 1 - side, other);
    }

    fn wake(&self, log: &Log, side: usize, waker: Option<Waker>) {
        if let Some(waker) = waker {
            log.record(self.first + side as u32).owe();
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Court> {
        self.court.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
