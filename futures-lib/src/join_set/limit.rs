//! Lets a number of futures run at a time. The others wait for their turn, in the order of their spawns.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use pin_project_lite::pin_project;

pub(super) struct Limit {
    most: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Turns that have begun, or may.
    begun: usize,
    /// Those that wait, by their tickets: a waker once they were polled. One that is given up leaves no trace.
    waiting: BTreeMap<u64, Option<Waker>>,
    /// Greater than all in `waiting`.
    next_ticket: u64,
}

impl Limit {
    pub(super) fn new(most: usize) -> Self {
        Self { most, state: Mutex::default() }
    }

    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// The next turn, which begins at once if there is room.
    pub(super) fn turn(self: &Arc<Self>) -> Turn {
        let mut state = self.lock();
        let stage = if state.begun < self.most {
            state.begun += 1;
            Stage::Begun
        } else {
            let ticket = state.next_ticket;
            state.next_ticket += 1;
            state.waiting.insert(ticket, None);
            Stage::Waiting { ticket }
        };
        Turn { limit: self.clone(), stage }
    }

    /// Ends a turn. The next one in the queue may begin.
    fn end(&self) {
        let next = self.lock().end();
        if let Some(next) = next {
            next.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No foreign code runs under the lock, so the state is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Gives the place of an ended turn to the next one, and returns its waker.
    #[must_use = "wake it once the state isn't locked"]
    fn end(&mut self) -> Option<Waker> {
        match self.waiting.pop_first() {
            Some((_, next)) => next,
            None => {
                self.begun -= 1;
                None
            }
        }
    }
}

/// A future's turn.
///
/// # What dropping does
///
/// Ends the turn, or gives it up.
pub(super) struct Turn {
    limit: Arc<Limit>,
    stage: Stage,
}

enum Stage {
    Waiting { ticket: u64 },
    Begun,
}

impl Turn {
    fn poll_begin(&mut self, cx: &Context<'_>) -> Poll<()> {
        let Stage::Waiting { ticket } = self.stage else { return Poll::Ready(()) };
        // Cloned and dropped outside of the lock: it is foreign code.
        let waker = cx.waker().clone();
        let mut state = self.limit.lock();
        let Some(place) = state.waiting.get_mut(&ticket) else {
            drop(state);
            self.stage = Stage::Begun;
            return Poll::Ready(());
        };
        let before = place.replace(waker);
        drop(state);
        drop(before);
        Poll::Pending
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Stage::Waiting { ticket } = self.stage {
            let given_up = self.limit.lock().waiting.remove(&ticket);
            if given_up.is_some() {
                return;
            }
        }
        self.limit.end();
    }
}

pin_project! {
    /// A future that is first polled when its turn begins. Dropped, it ends its turn after the future was dropped.
    pub(super) struct Limited<F> {
        #[pin]
        future: F,
        // Dropped after the future.
        turn: Option<Turn>,
    }
}

impl<F> Limited<F> {
    /// `None`: the future needs no turn.
    pub(super) fn new(future: F, turn: Option<Turn>) -> Self {
        Self { future, turn }
    }
}

impl<F: Future> Future for Limited<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        if let Some(turn) = this.turn {
            ready!(turn.poll_begin(cx));
        }
        this.future.poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_that_is_given_up_leaves_no_memory_behind() {
        let limit = Arc::new(Limit::new(1));
        let _begun = limit.turn();
        let [first, last] = [(); 2].map(|()| {
            let waits = limit.turn();
            (0..100).for_each(|_| drop(limit.turn()));
            waits
        });
        assert_eq!(limit.lock().waiting.len(), 2);
        drop((first, last));
        assert_eq!(limit.lock().waiting.len(), 0);
    }
}
