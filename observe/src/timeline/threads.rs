//! The rings of all threads, and the threads' names. A ring whose thread has ended serves the next thread.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use super::ring::Ring;

/// Names of ended threads that are kept.
const ENDED_NAMES: usize = 4096;

pub(super) struct Threads {
    events_per_thread: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    rings: Vec<Arc<Ring>>,
    /// Those whose thread has ended, the one that ended first in front: its events are the oldest.
    free: VecDeque<Arc<Ring>>,
    /// The names of the threads, in the order of their numbers, which end at `next`.
    names: VecDeque<String>,
    next: u64,
}

impl Threads {
    pub(super) fn new(events_per_thread: usize) -> Self {
        Self { events_per_thread, state: Mutex::default() }
    }

    /// A number and a ring for this thread.
    pub(super) fn take(&self) -> (u64, Arc<Ring>) {
        let thread = std::thread::current();
        let name = thread.name().map_or_else(|| format!("{:?}", thread.id()), Into::into);
        let mut state = self.state.lock();
        let number = state.next;
        state.next += 1;
        state.names.push_back(name);
        if state.names.len() > ENDED_NAMES + state.rings.len() {
            state.names.pop_front();
        }
        if let Some(ring) = state.free.pop_front() {
            return (number, ring);
        }
        let ring = Arc::new(Ring::new(self.events_per_thread));
        state.rings.push(ring.clone());
        (number, ring)
    }

    pub(super) fn give_back(&self, ring: Arc<Ring>) {
        self.state.lock().free.push_back(ring);
    }

    pub(super) fn rings(&self) -> Vec<Arc<Ring>> {
        self.state.lock().rings.clone()
    }

    /// The name of a thread. `None` if it ended long ago.
    pub(super) fn name(&self, number: u64) -> Option<String> {
        let state = self.state.lock();
        let first = state.next - state.names.len() as u64;
        state.names.get(number.checked_sub(first)? as usize).cloned()
    }
}
