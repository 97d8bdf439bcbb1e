//! A child: the future of its task, and the handle that gives its output.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_channel::oneshot;
use pin_project_lite::pin_project;

use super::children::Policy;
use crate::waiters::Waiter;

pin_project! {
    /// Gives the output to its handle, and an error to the scope.
    pub(super) struct Child<F: Future, T, E> {
        // `None` after its end.
        #[pin]
        future: Option<F>,
        split: fn(F::Output) -> Result<T, E>,
        output: Option<oneshot::Sender<T>>,
    }
}

impl<F: Future, T, E> Child<F, T, E> {
    /// `split` tells an error from an output.
    pub(super) fn new(
        future: F,
        split: fn(F::Output) -> Result<T, E>,
        policy: &Arc<Policy>,
    ) -> (Self, ScopedHandle<T>) {
        let (sender, output) = oneshot::channel();
        (Self { future: Some(future), split, output: Some(sender) }, ScopedHandle::new(output, policy.clone()))
    }
}

impl<F: Future, T, E> Future for Child<F, T, E> {
    type Output = Result<(), E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        let mut this = self.project();
        let future = this.future.as_mut().as_pin_mut().expect("a task isn't polled after its end");
        let ended = ready!(future.poll(cx));
        // Before anybody learns of its end.
        this.future.set(None);
        let output = (this.split)(ended)?;
        if let Some(handle) = this.output.take() {
            // A handle that was dropped wants no output.
            drop(handle.send(output));
        }
        Poll::Ready(Ok(()))
    }
}

/// Waits for the output of a scope's child. Made by [`Scope::spawn`](super::Scope::spawn) and its like.
///
/// The output is `None` if the child was aborted by [`abort_all`](super::Scope::abort_all), or has failed in a scope that
/// [keeps going](super::Scope::keep_going). Else a failed child ends the scope, and the handle stays pending until then.
///
/// # What dropping does
///
/// Nothing to the child, which still ends before its scope. Its output is dropped.
///
/// # Cancel safety
///
/// Awaiting `&mut handle` is cancel safe.
pub struct ScopedHandle<T> {
    output: oneshot::Receiver<T>,
    policy: Arc<Policy>,
    /// While the child has ended without an output, and the scope may not know it.
    waiter: Waiter,
}

impl<T> ScopedHandle<T> {
    fn new(output: oneshot::Receiver<T>, policy: Arc<Policy>) -> Self {
        Self { output, policy, waiter: Waiter::default() }
    }

    /// Of a child that its scope refused.
    pub(super) fn refused(policy: &Arc<Policy>) -> Self {
        Self::new(oneshot::channel().1, policy.clone())
    }
}

impl<T> Future for ScopedHandle<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let Self { output, policy, waiter } = &mut *self;
        match ready!(Pin::new(output).poll(cx)) {
            Ok(output) => Poll::Ready(Some(output)),
            // A failure may be on its way to the scope, which then drops its body.
            Err(oneshot::Canceled) => policy.poll_tells(waiter, cx).map(|()| None),
        }
    }
}

impl<T> Drop for ScopedHandle<T> {
    fn drop(&mut self) {
        self.policy.forget(&mut self.waiter);
    }
}

/// An output is moved into it, and out of it, in one step.
impl<T> UnwindSafe for ScopedHandle<T> {}
impl<T> RefUnwindSafe for ScopedHandle<T> {}

impl<T> fmt::Debug for ScopedHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedHandle").finish_non_exhaustive()
    }
}
