//! The tasks of the open connections. Finds those that have ended without asking the others.

use std::collections::VecDeque;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use parking_lot::Mutex;
use polyexec_core::{AbortOnDrop, JoinError, JoinHandle};
use slab::Slab;

/// The open connections.
///
/// # What dropping does
///
/// Aborts them.
pub(super) struct Connections<A> {
    open: Slab<Connection<A>>,
    /// Those to ask in this poll.
    asked: VecDeque<usize>,
    ended: Arc<Ended>,
}

struct Connection<A> {
    peer: A,
    task: AbortOnDrop<()>,
    /// Adds this one to `ended`.
    waker: Waker,
}

/// The connections whose tasks may have ended.
#[derive(Default)]
struct Ended(Mutex<State>);

#[derive(Default)]
struct State {
    keys: VecDeque<usize>,
    /// The server's.
    waker: Option<Waker>,
}

/// Wakes the server for one connection.
struct EndWaker {
    key: usize,
    ended: Arc<Ended>,
}

impl Wake for EndWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let waker = {
            let mut state = self.ended.0.lock();
            state.keys.push_back(self.key);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<A> Connections<A> {
    pub(super) fn new() -> Self {
        Self { open: Slab::new(), asked: VecDeque::new(), ended: Arc::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Adds a connection. The next poll asks it first, and so registers its waker.
    pub(super) fn insert(&mut self, peer: A, task: JoinHandle<()>) {
        let entry = self.open.vacant_entry();
        let key = entry.key();
        let waker = Waker::from(Arc::new(EndWaker { key, ended: self.ended.clone() }));
        entry.insert(Connection { peer, task: task.abort_on_drop(), waker });
        self.asked.push_back(key);
    }

    /// Waits until a connection has ended. `None` if none is open; then no waker is registered.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Option<(A, Result<(), JoinError>)>> {
        if self.open.is_empty() {
            self.asked.clear();
            return Poll::Ready(None);
        }
        // Cloned and dropped outside of the lock.
        let mut waker = Some(cx.waker().clone());
        {
            let mut state = self.ended.0.lock();
            self.asked.append(&mut state.keys);
            mem::swap(&mut state.waker, &mut waker);
        }
        drop(waker);
        // A task whose poll is refused, since the budget is spent, is back in `ended` now: this ends.
        while let Some(key) = self.asked.pop_front() {
            // It may have ended in an earlier poll. If its key belongs to another one now, that is asked in vain.
            let Some(Connection { task, waker, .. }) = self.open.get_mut(key) else { continue };
            if let Poll::Ready(end) = Pin::new(task).poll(&mut Context::from_waker(waker)) {
                return Poll::Ready(Some((self.open.remove(key).peer, end)));
            }
        }
        Poll::Pending
    }

    /// Asks all executors to drop their connections. Their ends follow.
    pub(super) fn abort_all(&self) {
        self.open.iter().for_each(|(_, connection)| connection.task.abort());
    }

    /// The peers of the open connections.
    pub(super) fn into_peers(self) -> impl Iterator<Item = A> {
        self.open.into_iter().map(|(_, connection)| connection.peer)
    }
}
