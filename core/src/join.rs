//! The handles of a task. The `JoinHandle` waits for its result; any number of others can abort it. `task/cell/join.rs` does the
//! waiting.

use core::fmt;
use core::ops::{Deref, DerefMut};
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use crate::error::JoinError;
use crate::task::cell::{JoinRef, TaskRef};
use crate::task::{TaskId, TaskInfo, poll_proceed};

/// Waits for the result of a task.
///
/// # What dropping does
///
/// Detaches the task, which goes on; its output is dropped. With [`abort_on_drop`](JoinHandle::abort_on_drop), dropping the
/// handle cancels the task.
///
/// # Examples
///
/// ```
/// # use polyexec_core::{Executor, JoinError};
/// # async fn example(executor: &(impl Executor + Clone)) -> Result<(), JoinError> {
/// let handle = executor.spawn(async { 6 * 7 });
/// assert_eq!(handle.await?, 42);
/// # Ok(())
/// # }
/// ```
///
/// # Panics
///
/// If it is polled again after it was ready.
///
/// # Cancel safety
///
/// Awaiting `&mut handle` is cancel safe: a result that wasn't delivered waits for the next poll.
#[must_use = "dropping a handle detaches its task; await it, `join` it, or `detach` it"]
pub struct JoinHandle<T>(JoinRef<T>);

impl<T> JoinHandle<T> {
    pub(crate) fn new(joiner: JoinRef<T>) -> Self {
        Self(joiner)
    }

    /// Blocks this thread until the task has ended.
    ///
    /// Inside a task, the executor runs other tasks meanwhile: see [`block_on`](crate::block_on).
    ///
    /// # Errors
    ///
    /// The task was cancelled, it panicked, or its executor shut down.
    ///
    /// # Panics
    ///
    /// If a poll of the handle was ready before.
    #[cfg(feature = "std")]
    #[track_caller]
    pub fn join(mut self) -> Result<T, JoinError> {
        crate::block_on(core::future::poll_fn(|cx| self.0.poll_end(cx.waker()).map(drop)));
        match self.0.ended().expect("just waited for").take_result() {
            Poll::Ready(result) => result,
            Poll::Pending => unreachable!("it has ended"),
        }
    }

    /// Asks the executor to drop the future instead of polling it again. Returns at once.
    ///
    /// A poll that is running goes on; if it is ready, its output is kept. The executor drops the future, never this call.
    /// Then the handle resolves as cancelled.
    pub fn abort(&self) {
        self.0.abort();
    }

    /// A handle that can abort the task. It keeps the task's memory, but neither its future nor its output.
    ///
    /// # Panics
    ///
    /// If the task has 2²⁶ wakers and handles already.
    #[track_caller]
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle(TaskRef::clone(&self.0))
    }

    /// The same handle, but dropping it aborts the task.
    pub fn abort_on_drop(self) -> AbortOnDrop<T> {
        AbortOnDrop(Some(self))
    }

    /// Lets the task go on alone: what dropping the handle does, in a word. The task's output is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// # use polyexec_core::Executor;
    /// # fn example(executor: &(impl Executor + Clone)) {
    /// executor.spawn(async { println!("in the background") }).detach();
    /// # }
    /// ```
    pub fn detach(self) {
        drop(self);
    }

    /// Whether the task has ended. Then the next poll of this handle is ready, unless the polling task's
    /// [budget](crate::task::poll_proceed) is spent.
    pub fn is_finished(&self) -> bool {
        self.0.header().is_finished()
    }

    /// Ready when the task has ended. Leaves the result in the handle.
    ///
    /// Polled again, it wakes the newest waker. It is no operation of the [budget](crate::task::poll_proceed).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::poll_fn;
    /// use std::task::Poll;
    ///
    /// use polyexec_core::JoinHandle;
    ///
    /// /// Returns once one of them has ended, and takes no result.
    /// async fn either<T, U>(one: &mut JoinHandle<T>, other: &mut JoinHandle<U>) {
    ///     poll_fn(|cx| if one.poll_finished(cx).is_ready() { Poll::Ready(()) } else { other.poll_finished(cx) }).await
    /// }
    /// # let [mut one, mut other] = [1, 2].map(|n| polyexec_core::spawn(async move { n }));
    /// # polyexec_core::block_on(either(&mut one, &mut other));
    /// ```
    pub fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_end(cx.waker()).map(drop)
    }

    /// The id of the task.
    pub fn id(&self) -> TaskId {
        self.0.header().id
    }

    /// The task's id, name and place.
    pub fn task(&self) -> TaskInfo {
        self.0.info()
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.0.poll_end(cx.waker()) {
            Poll::Ready(ended) => {
                ready!(poll_proceed(cx)).made_progress();
                ended.take_result()
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("id", &self.id()).field("is_finished", &self.is_finished()).finish()
    }
}

/// A panic in a task never leaves its handle half-changed.
impl<T> UnwindSafe for JoinHandle<T> {}
impl<T> RefUnwindSafe for JoinHandle<T> {}

/// Aborts a task from anywhere, and names it. Made by [`JoinHandle::abort_handle`].
///
/// # What dropping does
///
/// Nothing to the task.
#[derive(Clone)]
pub struct AbortHandle(TaskRef);

impl AbortHandle {
    #[cfg(feature = "std")]
    pub(crate) fn new(task: TaskRef) -> Self {
        Self(task)
    }

    /// As [`JoinHandle::abort`].
    pub fn abort(&self) {
        self.0.abort();
    }

    /// As [`JoinHandle::is_finished`].
    pub fn is_finished(&self) -> bool {
        self.0.header().is_finished()
    }

    /// The id of the task.
    pub fn id(&self) -> TaskId {
        self.0.header().id
    }

    /// The task's id, name and place.
    pub fn task(&self) -> TaskInfo {
        self.0.info()
    }
}

impl UnwindSafe for AbortHandle {}
impl RefUnwindSafe for AbortHandle {}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle").field("id", &self.id()).field("is_finished", &self.is_finished()).finish()
    }
}

/// A [`JoinHandle`] that owns its task. Made by [`JoinHandle::abort_on_drop`].
///
/// # What dropping does
///
/// Aborts the task, as [`JoinHandle::abort`] does.
///
/// # Cancel safety
///
/// Not cancel safe by design: if it is dropped before it is ready, it aborts the task.
#[must_use = "dropping this aborts its task"]
pub struct AbortOnDrop<T>(Option<JoinHandle<T>>);

impl<T> AbortOnDrop<T> {
    const HELD: &str = "only `detach` and `drop` take the handle, and both end this";

    /// The plain handle again: dropping it detaches the task.
    pub fn detach(mut self) -> JoinHandle<T> {
        self.0.take().expect(Self::HELD)
    }
}

impl<T> Deref for AbortOnDrop<T> {
    type Target = JoinHandle<T>;

    fn deref(&self) -> &JoinHandle<T> {
        self.0.as_ref().expect(Self::HELD)
    }
}

impl<T> DerefMut for AbortOnDrop<T> {
    fn deref_mut(&mut self) -> &mut JoinHandle<T> {
        self.0.as_mut().expect(Self::HELD)
    }
}

impl<T> Future for AbortOnDrop<T> {
    type Output = Result<T, JoinError>;

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut **self).poll(cx)
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        if let Some(handle) = &self.0 {
            handle.abort();
        }
    }
}

impl<T> fmt::Debug for AbortOnDrop<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AbortOnDrop").field(&**self).finish()
    }
}
