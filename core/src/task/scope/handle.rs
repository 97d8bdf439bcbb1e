//! The handle of a child: a `JoinHandle` whose output may borrow.

use alloc::sync::Arc;
use core::fmt;
use core::marker::PhantomData;
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use super::outcome::{Outcome, Slot};
use crate::error::{Failure, JoinError};
use crate::{AbortHandle, JoinHandle, TaskId, TaskInfo};

/// Waits for the result of a child of a [`Scope`](super::Scope). Made by [`Scope::spawn`](super::Scope::spawn).
///
/// # What dropping does
///
/// Nothing to the child, which the scope still waits for. If the child panics, or is dropped before its end, then the scope
/// panics.
///
/// # Examples
///
/// ```
/// # use polyexec_core::Executor;
/// fn longest<'a>(executor: &(impl Executor + Clone), texts: &'a [String]) -> Option<&'a str> {
///     executor.scope(|s| {
///         let halves = texts.split_at(texts.len() / 2);
///         let first = s.spawn(async { halves.0.iter().max_by_key(|text| text.len()) });
///         let second = s.spawn(async { halves.1.iter().max_by_key(|text| text.len()) });
///         let longest = [first.join().unwrap(), second.join().unwrap()];
///         longest.into_iter().flatten().max_by_key(|text| text.len()).map(String::as_str)
///     })
/// }
/// ```
///
/// # Panics
///
/// If it is polled again after it was ready.
///
/// # Cancel safety
///
/// Awaiting `&mut handle` is cancel safe: a result that wasn't delivered waits for the next poll.
pub struct ScopedJoinHandle<'scope, T> {
    task: JoinHandle<()>,
    slot: Slot<T>,
    outcome: Arc<Outcome>,
    /// It stays in the scope, and so does the output.
    scope: PhantomData<&'scope ()>,
}

impl<T> ScopedJoinHandle<'_, T> {
    pub(super) fn new(task: JoinHandle<()>, slot: Slot<T>, outcome: Arc<Outcome>) -> Self {
        Self { task, slot, outcome, scope: PhantomData }
    }

    /// Blocks this thread until the child has ended: see [`JoinHandle::join`].
    ///
    /// # Errors
    ///
    /// The child was cancelled, it panicked, its executor shut down or refused it.
    ///
    /// # Panics
    ///
    /// If a poll of the handle was ready before.
    #[track_caller]
    pub fn join(self) -> Result<T, JoinError> {
        let task = self.task();
        let ended = self.task.join();
        result(ended, task, &self.slot, &self.outcome)
    }

    /// As [`JoinHandle::abort`]. The scope doesn't panic for it.
    pub fn abort(&self) {
        self.outcome.excuse_loss();
        self.task.abort();
    }

    /// As [`JoinHandle::abort_handle`]. The abort handle may outlive the scope, which doesn't panic if this child is dropped before
    /// its end.
    ///
    /// # Panics
    ///
    /// If the child has 2²⁶ wakers and handles already.
    #[track_caller]
    pub fn abort_handle(&self) -> AbortHandle {
        self.outcome.excuse_loss();
        self.task.abort_handle()
    }

    /// As [`JoinHandle::is_finished`].
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// The id of the child's task.
    pub fn id(&self) -> TaskId {
        self.task.id()
    }

    /// The child's id, and the place that spawned it.
    pub fn task(&self) -> TaskInfo {
        self.task.task()
    }
}

fn result<T>(ended: Result<(), JoinError>, task: TaskInfo, slot: &Slot<T>, outcome: &Outcome) -> Result<T, JoinError> {
    if let Some(payload) = outcome.take_panic() {
        return Err(JoinError::new(task, Failure::Panicked(payload)));
    }
    ended.map(|()| slot.take().expect("a child that didn't fail leaves its output"))
}

impl<T> Future for ScopedJoinHandle<'_, T> {
    type Output = Result<T, JoinError>;

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let ended = ready!(Pin::new(&mut self.task).poll(cx));
        Poll::Ready(result(ended, self.task(), &self.slot, &self.outcome))
    }
}

/// A panic in a child never leaves its handle half-changed.
impl<T> UnwindSafe for ScopedJoinHandle<'_, T> {}
impl<T> RefUnwindSafe for ScopedJoinHandle<'_, T> {}

impl<T> fmt::Debug for ScopedJoinHandle<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedJoinHandle").field("id", &self.id()).field("is_finished", &self.is_finished()).finish()
    }
}
