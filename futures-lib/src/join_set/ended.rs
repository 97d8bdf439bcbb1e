//! The keys of the tasks that have ended, and the waker of their set's owner. Knows no task.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Wake, Waker};

/// Each ending task pushes its key here. So the owner looks at no task that hasn't ended.
#[derive(Default)]
pub(super) struct Ended(Mutex<State>);

#[derive(Default)]
struct State {
    /// In the order of the ends.
    keys: VecDeque<usize>,
    /// Of the set's owner. Set when it waits, taken by the next end.
    owner: Option<Waker>,
}

impl Ended {
    /// Wakes of this waker push `key`. A join handle wakes it once.
    pub(super) fn waker(self: &Arc<Self>, key: usize) -> Waker {
        Waker::from(Arc::new(Ending { ended: self.clone(), key }))
    }

    /// Adds a key, and wakes the owner.
    pub(super) fn push(&self, key: usize) {
        let owner = {
            let mut state = self.lock();
            state.keys.push_back(key);
            state.owner.take()
        };
        if let Some(owner) = owner {
            owner.wake();
        }
    }

    /// Exchanges all keys for `batch`, which is empty.
    pub(super) fn swap(&self, batch: &mut VecDeque<usize>) {
        debug_assert!(batch.is_empty());
        std::mem::swap(&mut self.lock().keys, batch);
    }

    /// Ready if `is_met` holds for the number of keys here; else the next end wakes `owner`.
    pub(super) fn poll(&self, owner: &Waker, is_met: impl Fn(usize) -> bool) -> Poll<()> {
        {
            let state = self.lock();
            if is_met(state.keys.len()) {
                return Poll::Ready(());
            }
            if state.owner.as_ref().is_some_and(|before| before.will_wake(owner)) {
                return Poll::Pending;
            }
        }
        // A waker's clone and drop are foreign code, so they stay outside of the lock.
        let owner = owner.clone();
        let before = {
            let mut state = self.lock();
            if is_met(state.keys.len()) { Err(owner) } else { Ok(state.owner.replace(owner)) }
        };
        before.map_or(Poll::Ready(()), |_| Poll::Pending)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No foreign code runs under the lock, so the state is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The waker of one task's join handle.
struct Ending {
    ended: Arc<Ended>,
    key: usize,
}

impl Wake for Ending {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ended.push(self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn an_end_between_the_two_looks_is_seen() {
        let ended = Ended::default();
        ended.push(0);
        let is_first = Cell::new(true);
        let polled = ended.poll(Waker::noop(), |ended| !is_first.replace(false) && ended > 0);
        assert!(polled.is_ready());
    }
}
