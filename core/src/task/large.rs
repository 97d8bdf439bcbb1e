//! Boxes futures and outputs that are too large for a cell. The functions that take a future decide when.
//!
//! A cell lives as long as the last waker of its task, and its memory with it; a box is freed when the future ends. And
//! without optimisation, each function on the way to the cell copies the future on the stack. So every function that takes
//! a future boxes a large one first.

use alloc::boxed::Box;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};

/// The most bytes of a future, or of an output, that a cell has room for. Up to this size, copying is cheaper than allocating.
pub const MAX_INLINE: usize = 2 << 10;

/// Whether a future or an output of this type is kept in a box: it has more than [`MAX_INLINE`] bytes.
///
/// # Examples
///
/// ```
/// use polyexec_core::executor::{MAX_INLINE, is_large};
///
/// assert!(!is_large::<[u8; MAX_INLINE]>() && is_large::<[u8; MAX_INLINE + 1]>());
/// ```
pub const fn is_large<T>() -> bool {
    size_of::<T>() > MAX_INLINE
}

/// A boxed future, which can be taken out again until it is polled.
///
/// For a function of your own that takes a future and spawns it. Box a future that [is large](is_large) first: then it
/// passes through no other function by value. The `spawn` of every executor does so itself.
///
/// # What dropping does
///
/// Drops the future, and frees its memory.
///
/// # Examples
///
/// ```
/// use polyexec_core::executor::{Boxed, is_large};
/// use polyexec_core::{Executor, JoinHandle};
///
/// fn spawn<F>(executor: &(impl Executor + Clone), future: F) -> JoinHandle<F::Output>
/// where
///     F: Future + Send + 'static,
///     F::Output: Send + 'static,
/// {
///     if const { is_large::<F>() } {
///         return executor.spawn(Boxed::from(Box::new(future)));
///     }
///     executor.spawn(future)
/// }
/// ```
#[must_use = "futures do nothing unless they are awaited"]
pub struct Boxed<F>(State<F>);

enum State<F> {
    /// `None` only during the first poll.
    Unpolled(Option<Box<F>>),
    Polled(Pin<Box<F>>),
}

/// From a box, so that the future isn't copied here.
impl<F> From<Box<F>> for Boxed<F> {
    fn from(future: Box<F>) -> Self {
        Self(State::Unpolled(Some(future)))
    }
}

impl<F> Boxed<F> {
    /// The future, if it wasn't polled.
    ///
    /// # Errors
    ///
    /// The future was polled, so it is pinned.
    pub fn try_into_inner(self) -> Result<F, Self> {
        match self.0 {
            State::Unpolled(Some(future)) => Ok(*future),
            polled => Err(Self(polled)),
        }
    }

    /// The future, which must not have been polled.
    pub(crate) fn into_unpolled(self) -> F {
        match self.try_into_inner() {
            Ok(future) => future,
            Err(_) => unreachable!("a future that comes back was not polled"),
        }
    }
}

impl<F: Future> Future for Boxed<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        if let State::Unpolled(future) = &mut self.0
            && let Some(future) = future.take()
        {
            self.0 = State::Polled(Box::into_pin(future));
        }
        match &mut self.0 {
            State::Polled(future) => future.as_mut().poll(cx),
            State::Unpolled(_) => unreachable!("it was pinned just now"),
        }
    }
}

impl<F> fmt::Debug for Boxed<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Boxed").field("is_polled", &matches!(self.0, State::Polled(_))).finish_non_exhaustive()
    }
}

/// A future whose output is large: it returns the output in a box.
pub(super) struct BoxesOutput<F>(Boxed<F>);

impl<F> BoxesOutput<F> {
    pub(super) fn new(future: F) -> Self {
        Self(Box::new(future).into())
    }

    /// The future, which must not have been polled.
    pub(super) fn into_unpolled(self) -> F {
        self.0.into_unpolled()
    }
}

impl<F: Future> Future for BoxesOutput<F> {
    type Output = Box<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Box<F::Output>> {
        Pin::new(&mut self.0).poll(cx).map(Box::new)
    }
}

#[cfg(all(test, feature = "std", not(polyexec_loom)))]
mod tests {
    use super::*;
    use crate::executor::Task;
    use crate::{block_on, try_spawn};
    use alloc::sync::Arc;
    use core::future::{poll_fn, ready};

    type Large = [u8; MAX_INLINE + 1];

    #[test]
    fn it_comes_out_of_its_box_until_it_is_polled() {
        let held = Arc::new(());
        let mut boxed = Boxed::from(Box::new({
            let held = held.clone();
            poll_fn(move |_| if Arc::strong_count(&held) == 1 { Poll::Ready(7) } else { Poll::<u8>::Pending })
        }));
        boxed = Boxed::from(Box::new(boxed.try_into_inner().expect("it was not polled")));
        let mut cx = Context::from_waker(core::task::Waker::noop());
        assert!(Pin::new(&mut boxed).poll(&mut cx).is_pending());
        let mut boxed = boxed.try_into_inner().map(drop).expect_err("it is pinned");
        drop(held);
        assert_eq!(Pin::new(&mut boxed).poll(&mut cx), Poll::Ready(7));
    }

    #[test]
    fn large_futures_and_outputs_come_back() {
        // No executor runs here: each is refused.
        let large: Large = [7; MAX_INLINE + 1];
        let error = try_spawn(async move { large[MAX_INLINE] }).unwrap_err();
        assert_eq!(block_on(error.into_future()), 7);
        let error = try_spawn(ready(large)).unwrap_err();
        assert_eq!(block_on(error.into_future()), large);
        let error = try_spawn(poll_fn(|_| Poll::<Large>::Pending)).unwrap_err();
        assert!(
            Pin::new(&mut error.into_future()).poll(&mut Context::from_waker(core::task::Waker::noop())).is_pending()
        );
    }

    #[test]
    fn a_large_output_reaches_its_handle_or_is_dropped() {
        for is_local in [false, true] {
            let held = Arc::new(());
            let make = || {
                let held = held.clone();
                let future = poll_fn(move |_| Poll::Ready(([7; MAX_INLINE], held.clone())));
                let executor = crate::executor::context::here();
                if is_local { Task::new_local(future, executor) } else { Task::new(future, executor) }
            };
            let (task, handle) = make();
            assert!(matches!(task.run(), crate::executor::Ran::Finished));
            assert_eq!(block_on(handle).unwrap().0, [7; MAX_INLINE]);
            let (task, handle) = make();
            assert!(matches!(task.run(), crate::executor::Ran::Finished));
            drop(handle);
            let (task, handle) = make();
            drop(task);
            assert!(handle.join().unwrap_err().is_shutdown());
            assert_eq!(Arc::strong_count(&held), 1);
        }
    }
}
