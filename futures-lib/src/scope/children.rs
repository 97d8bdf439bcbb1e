//! What a scope and its handles share: the children that were spawned since the scope looked. Polls nothing.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use polyexec_core::JoinHandle;

use crate::waiters::{Waiter, Waiters, wake_all};

/// A child's task. Its output goes to its own handle.
pub(super) type Task<E> = JoinHandle<Result<(), E>>;

pub(super) struct Children<E> {
    state: Mutex<State<E>>,
    pub(super) policy: Arc<Policy>,
}

/// What a scope has decided on failures. Its handles know it, too.
#[derive(Default)]
pub(super) struct Policy {
    /// A failure cancels nothing.
    keep_going: AtomicBool,
    /// Handles tell that their child has ended without an output.
    tells: AtomicBool,
    /// Handles of such children, until they tell it.
    waiters: Waiters,
}

impl Policy {
    pub(super) fn keep_going(&self) {
        // Relaxed: it orders nothing else.
        self.keep_going.store(true, Relaxed);
        self.tell();
    }

    pub(super) fn keeps_going(&self) -> bool {
        // Relaxed: it orders nothing else.
        self.keep_going.load(Relaxed)
    }

    /// Has the handles tell that their child has ended without an output.
    pub(super) fn tell(&self) {
        // Relaxed: the lock of the waiters orders it for those that wait.
        if !self.tells.swap(true, Relaxed) {
            wake_all(self.waiters.take());
        }
    }

    /// For the handle of a child that has ended without an output: ready when it may tell that.
    pub(super) fn poll_tells(&self, waiter: &mut Waiter, cx: &Context<'_>) -> Poll<()> {
        // Relaxed: the lock of the waiters orders it.
        self.waiters.poll(waiter, cx, || self.tells.load(Relaxed))
    }

    /// The handle is gone.
    pub(super) fn forget(&self, waiter: &mut Waiter) {
        self.waiters.remove(waiter);
    }
}

struct State<E> {
    /// Since the scope looked.
    news: News<E>,
    /// Spawns that have begun, and not yet put their task into `news`.
    spawning: usize,
    /// The scope has ended, or was dropped.
    closed: bool,
    /// The scope's, while it waits for news.
    scope: Option<Waker>,
}

pub(super) struct News<E> {
    pub(super) tasks: Vec<Task<E>>,
    /// All children are to be aborted.
    pub(super) abort: bool,
}

impl<E> Default for News<E> {
    fn default() -> Self {
        Self { tasks: Vec::new(), abort: false }
    }
}

impl<E> News<E> {
    fn is_empty(&self) -> bool {
        self.tasks.is_empty() && !self.abort
    }
}

impl<E> Children<E> {
    pub(super) fn new() -> Arc<Self> {
        let state = State { news: News::default(), spawning: 0, closed: false, scope: None };
        Arc::new(Self { state: Mutex::new(state), policy: Arc::default() })
    }

    /// Permission to spawn a child; the scope doesn't end meanwhile. `None` if it has ended.
    pub(super) fn begin_spawn(&self) -> Option<Spawning<'_, E>> {
        let mut state = self.lock();
        if state.closed {
            return None;
        }
        state.spawning += 1;
        drop(state);
        Some(Spawning { children: self, task: None })
    }

    /// Asks the scope to abort all children.
    pub(super) fn abort_all(&self) {
        self.policy.tell();
        let mut state = self.lock();
        state.news.abort = true;
        let scope = state.scope.take();
        drop(state);
        scope.into_iter().for_each(Waker::wake);
    }

    /// For the scope: takes what is new.
    pub(super) fn take_news(&self) -> News<E> {
        let mut state = self.lock();
        let (news, scope) = (std::mem::take(&mut state.news), state.scope.take());
        drop(state);
        drop(scope);
        news
    }

    /// For the scope: ready if there is news; else the next will wake this waker.
    pub(super) fn poll_news(&self, cx: &Context<'_>) -> Poll<()> {
        // A waker's clone and drop are foreign code, so they stay outside of the lock.
        let waker = cx.waker().clone();
        let mut state = self.lock();
        if !state.news.is_empty() {
            drop(state);
            return Poll::Ready(());
        }
        let before = state.scope.replace(waker);
        drop(state);
        drop(before);
        Poll::Pending
    }

    /// For the scope, when its body and its children have ended: whether there will be no more.
    #[must_use]
    pub(super) fn close_if_idle(&self) -> bool {
        let mut state = self.lock();
        state.closed = state.spawning == 0 && state.news.tasks.is_empty();
        state.closed
    }

    fn lock(&self) -> MutexGuard<'_, State<E>> {
        // No foreign code runs under the lock, so the state is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A spawn that has begun.
///
/// # What dropping does
///
/// Ends it, and gives the scope the task.
pub(super) struct Spawning<'a, E> {
    children: &'a Children<E>,
    task: Option<Task<E>>,
}

impl<E> Spawning<'_, E> {
    pub(super) fn end(mut self, task: Task<E>) {
        self.task = Some(task);
    }
}

impl<E> Drop for Spawning<'_, E> {
    fn drop(&mut self) {
        let mut state = self.children.lock();
        state.spawning -= 1;
        let refused = match self.task.take() {
            Some(task) if state.closed => Some(task),
            task => {
                state.news.tasks.extend(task);
                None
            }
        };
        let scope = state.scope.take();
        drop(state);
        // The scope was dropped meanwhile.
        refused.into_iter().for_each(|task| task.abort());
        scope.into_iter().for_each(Waker::wake);
    }
}

/// Closes a scope, also one that is dropped early.
///
/// # What dropping does
///
/// Refuses new children, and aborts those that the scope hasn't seen yet. Handles that were taken elsewhere wait no more.
pub(super) struct CloseOnDrop<E>(pub(super) Arc<Children<E>>);

impl<E> Drop for CloseOnDrop<E> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.closed = true;
        let (news, scope) = (std::mem::take(&mut state.news), state.scope.take());
        drop(state);
        news.tasks.iter().for_each(Task::abort);
        drop(scope);
        self.0.policy.tell();
    }
}

#[cfg(test)]
mod tests {
    use polyexec_conformance::probe::{Tally, waker};
    use polyexec_core::JoinError;
    use polyexec_local::Local;

    use super::*;

    fn begin(children: &Children<JoinError>) -> Spawning<'_, JoinError> {
        children.begin_spawn().expect("it is open")
    }

    #[test]
    fn a_scope_does_not_end_before_it_has_seen_each_child() {
        let (children, local) = (Children::new(), Local::new());
        let spawning = begin(&children);
        assert!(!children.close_if_idle(), "a spawn is under way");
        spawning.end(local.spawn(async { Ok(()) }));
        assert!(!children.close_if_idle(), "the scope hasn't seen the child");
        assert_eq!(children.take_news().tasks.len(), 1);
        assert!(children.close_if_idle() && children.begin_spawn().is_none());
    }

    #[test]
    fn what_is_new_is_seen_before_the_scope_waits_and_wakes_it_afterwards() {
        let (children, local) = (Children::new(), Local::new());
        let wakes = Tally::new();
        let counted = wakes.clone();
        let waker = waker(move || counted.add());
        let poll = || children.poll_news(&Context::from_waker(&waker));
        begin(&children).end(local.spawn(async { Ok(()) }));
        assert!(poll().is_ready());
        children.take_news();
        assert!(poll().is_pending());
        begin(&children).end(local.spawn(async { Ok(()) }));
        assert_eq!(wakes.get(), 1);
        children.take_news();
        // A scope whose body and children have ended waits for a spawn that is under way, even if that fails.
        let fails = begin(&children);
        assert!(poll().is_pending());
        drop(fails);
        assert_eq!(wakes.get(), 2);
        assert!(poll().is_pending());
        children.abort_all();
        assert_eq!(wakes.get(), 3);
        assert!(poll().is_ready() && children.take_news().abort);
    }

    #[test]
    fn a_child_of_a_scope_that_was_dropped_meanwhile_is_aborted() {
        let (children, local) = (Children::new(), Local::new());
        let spawning = begin(&children);
        drop(CloseOnDrop(children.clone()));
        let task = local.spawn(std::future::pending());
        let aborted = task.abort_handle();
        spawning.end(task);
        local.run_until_stalled();
        assert!(aborted.is_finished());
    }
}
