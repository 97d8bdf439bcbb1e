//! Bounds how much a task may do in one poll. The leaf futures ask; `current` keeps what is left.
//!
//! A leaf that is always ready (a socket whose peer sends fast) would never return control. So each poll has a budget of
//! operations, and beyond it a leaf is refused: it wakes its task and is pending. The task goes behind the ready ones.
//!
//! In a chain of awaits, a refusal ends the poll. But a join or a select polls its next future, which would starve if it
//! were refused as well. So a refusal renews the budget, to half of what it was, and at least to one. A poll thus has at
//! most 255 operations, and one more for each further future. Each future has at least one. A foreign executor nested in
//! the poll makes progress, since it polls a refused leaf again.

use core::future::poll_fn;
use core::marker::PhantomData;
use core::pin::pin;
use core::task::{Context, Poll};

#[cfg(feature = "std")]
use super::current;

/// Operations in a poll before the first refusal. The number is tokio's: a yield costs about as much as one of them.
#[cfg(feature = "std")]
const OPERATIONS: usize = 128;

/// The lowest byte counts the operations left to a poll. The bits above (units of `GRANTED`) say how many were granted at
/// the last refusal; zero: there is no limit.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Budget(usize);

#[cfg(feature = "std")]
const GRANTED: usize = 1 << 8;

#[cfg(feature = "std")]
impl Budget {
    pub(super) const FULL: Self = Self::granting(OPERATIONS);
    /// It counts down too, so that the usual path needn't check for it.
    pub(super) const UNLIMITED: Self = Self(u8::MAX as usize);

    const fn granting(operations: usize) -> Self {
        Self(operations + operations * GRANTED)
    }

    fn left(self) -> usize {
        self.0 % GRANTED
    }

    /// Zero: there is no limit.
    fn granted(self) -> usize {
        self.0 / GRANTED
    }

    /// With one operation less, if there was one.
    #[inline]
    pub(super) fn spent(self) -> Self {
        Self(self.0 - usize::from(self.left() > 0))
    }

    /// After a refusal; `None` if there is no limit.
    fn renewed(self) -> Option<Self> {
        let granted = self.granted();
        (granted > 0).then(|| Self::granting((granted / 2).max(1)))
    }
}

/// Calls `poll` with `budget`, and restores the one before, even if `poll` panics.
#[cfg(feature = "std")]
#[inline]
fn with<T>(budget: Budget, poll: impl FnOnce() -> T) -> T {
    struct Around(Budget);

    impl Drop for Around {
        #[inline]
        fn drop(&mut self) {
            current::set_budget(self.0);
        }
    }

    let _around = Around(current::budget());
    current::set_budget(budget);
    poll()
}

/// Calls `poll`, which polls a future outside of a task, with a full budget.
#[cfg(feature = "std")]
#[inline]
pub(crate) fn anew<T>(poll: impl FnOnce() -> T) -> T {
    with(Budget::FULL, poll)
}

/// Asks whether the current task may do one more operation in this poll. For leaf futures: those that wait for something
/// other than a future.
///
/// Each poll of a task, or of a future in [`block_on`](crate::block_on), has a budget of 128 operations. After that, this
/// wakes the task and returns `Pending`. The leaf then returns `Pending`, too, and the task goes behind the ready ones. It
/// works on every executor that runs this crate's tasks. Every leaf of polyexec asks.
///
/// If a task polls several futures, a refusal leaves 64 operations to the next ones, then 32 and so on, and at least one.
/// So none of them starves the others.
///
/// There is no limit:
///
/// - inside [`unconstrained`];
/// - on a thread that polls neither a task nor a `block_on`, as a foreign executor does;
/// - without the feature `std`;
/// - for a waker without data, as no-op wakers are, since nothing would poll again.
///
/// # Examples
///
/// A channel's receiver:
///
/// ```
/// use std::sync::{Mutex, PoisonError};
/// use std::task::{Context, Poll, Waker, ready};
///
/// use polyexec_core::task::poll_proceed;
///
/// struct Channel<T>(Mutex<(Vec<T>, Option<Waker>)>);
///
/// impl<T> Channel<T> {
///     fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<T> {
///         let proceed = ready!(poll_proceed(cx));
///         let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
///         if let Some(message) = inner.0.pop() {
///             proceed.made_progress();
///             return Poll::Ready(message);
///         }
///         inner.1 = Some(cx.waker().clone());
///         Poll::Pending // This spends nothing.
///     }
/// }
/// # let channel = Channel(Mutex::new((vec![1; 128], None)));
/// # polyexec_core::block_on(async {
/// #     let mut polls = 0;
/// #     let mut received = 0;
/// #     std::future::poll_fn(|cx| {
/// #         polls += 1;
/// #         while received < 128 {
/// #             received += ready!(channel.poll_recv(cx));
/// #         }
/// #         if polls == 1 { channel.0.lock().unwrap().0.push(1) }
/// #         received += ready!(channel.poll_recv(cx));
/// #         Poll::Ready(())
/// #     })
/// #     .await;
/// #     assert_eq!((received, polls), (129, 2));
/// # });
/// ```
#[inline]
pub fn poll_proceed(cx: &Context<'_>) -> Poll<Proceed> {
    #[cfg(feature = "std")]
    if current::budget().left() == 0 && is_refused(cx) {
        return Poll::Pending;
    }
    let _ = cx;
    Poll::Ready(Proceed { not_send: PhantomData })
}

/// Renews the budget, and wakes the task if it must yield.
#[cfg(feature = "std")]
#[cold]
fn is_refused(cx: &Context<'_>) -> bool {
    let renewed = current::budget().renewed();
    current::set_budget(renewed.unwrap_or(Budget::UNLIMITED));
    let waker = cx.waker();
    // A no-op waker has no data, and nothing would poll again. (Its vtable doesn't tell: each crate may have a copy.)
    let is_refused = renewed.is_some() && !waker.data().is_null();
    if is_refused {
        waker.wake_by_ref();
    }
    is_refused
}

/// Permission for one operation. Made by [`poll_proceed`].
///
/// # What dropping does
///
/// Nothing: an operation that made no progress isn't counted.
#[derive(Debug)]
#[must_use = "an operation counts when `made_progress` is called"]
pub struct Proceed {
    /// It belongs to the poll in which it was made.
    not_send: PhantomData<*const ()>,
}

impl Proceed {
    /// Counts the operation: the leaf is ready.
    #[inline]
    pub fn made_progress(self) {
        #[cfg(feature = "std")]
        current::set_budget(current::budget().spent());
    }
}

/// Whether the next [`poll_proceed`] is ready. For futures that poll others: when this is `false`, they may stop.
///
/// # Examples
///
/// ```
/// // Outside of a task there is no limit.
/// assert!(polyexec_core::task::has_budget_remaining());
/// ```
pub fn has_budget_remaining() -> bool {
    #[cfg(feature = "std")]
    return current::budget().left() > 0 || current::budget().granted() == 0;
    #[cfg(not(feature = "std"))]
    true
}

/// Counts as one operation of the current task, and yields if the [budget](poll_proceed) of this poll is spent.
///
/// For long computations, and for loops that await what is always ready and has no budget. Cheaper than yielding each time.
///
/// # Examples
///
/// ```
/// use polyexec_core::task::consume_budget;
///
/// async fn sum(numbers: impl Iterator<Item = u64>) -> u64 {
///     let mut sum = 0;
///     for number in numbers {
///         sum += number;
///         consume_budget().await;
///     }
///     sum
/// }
/// # assert_eq!(polyexec_core::block_on(sum(1..1000)), 499_500);
/// ```
///
/// # Cancel safety
///
/// Cancel safe. Dropped while it is pending, it leaves a wake of its task, which costs at most one poll.
pub async fn consume_budget() {
    poll_fn(|cx| poll_proceed(cx).map(Proceed::made_progress)).await;
}

/// Runs `future` without a [budget](poll_proceed): it yields only when it has to wait.
///
/// Use it for a future that must not be delayed, and that soon ends or waits. A future that is always ready keeps its
/// thread, and can't be aborted or shut down.
///
/// # Examples
///
/// ```
/// use polyexec_core::task::{consume_budget, unconstrained};
///
/// let many = unconstrained(async {
///     for _ in 0..1_000 {
///         consume_budget().await; // never yields here
///     }
/// });
/// # let mut polls = 0;
/// # let mut many = std::pin::pin!(many);
/// # let many = std::future::poll_fn(|cx| { polls += 1; many.as_mut().poll(cx) });
/// polyexec_core::block_on(many);
/// # assert_eq!(polls, 1);
/// ```
///
/// # Panics
///
/// When polled, if `future` does.
///
/// # Cancel safety
///
/// As `future`'s.
pub async fn unconstrained<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        #[cfg(feature = "std")]
        return with(Budget::UNLIMITED, || future.as_mut().poll(cx));
        #[cfg(not(feature = "std"))]
        future.as_mut().poll(cx)
    })
    .await
}

#[cfg(all(test, feature = "std", not(polyexec_loom)))]
mod tests {
    use super::*;

    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::task::{Wake, Waker};
    use std::time::Duration;

    use crate::{block_on, block_on_polling};

    /// A waker with data. Counts its calls.
    #[derive(Default)]
    struct Counts(AtomicUsize);

    impl Wake for Counts {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    fn with_data() -> Waker {
        Waker::from(Arc::new(Counts::default()))
    }

    /// An operation that is ready.
    fn is_ready(cx: &Context<'_>) -> bool {
        poll_proceed(cx).map(Proceed::made_progress).is_ready()
    }

    /// How many operations are ready in a row, up to a thousand.
    fn in_a_row(cx: &Context<'_>) -> usize {
        (0..1_000).take_while(|_| is_ready(cx)).count()
    }

    /// What `measure` finds in one poll of a future in `block_on`.
    fn in_a_poll<T: Unpin>(mut measure: impl FnMut(&Context<'_>) -> T) -> T {
        block_on(poll_fn(|cx| Poll::Ready(measure(cx))))
    }

    #[test]
    fn a_refusal_leaves_half_to_the_others_and_at_last_one() {
        let rows = in_a_poll(|cx| [(); 11].map(|()| in_a_row(cx)));
        assert_eq!(rows, [128, 64, 32, 16, 8, 4, 2, 1, 1, 1, 1]);
    }

    #[test]
    fn what_makes_no_progress_does_not_count() {
        let row = in_a_poll(|cx| {
            assert!((0..1_000).all(|_| poll_proceed(cx).is_ready()));
            in_a_row(cx)
        });
        assert_eq!(row, 128);
    }

    #[test]
    fn a_refusal_wakes_once_and_can_be_foreseen() {
        let wakes = in_a_poll(|_| {
            let counts = Arc::new(Counts::default());
            let waker = Waker::from(counts.clone());
            let cx = Context::from_waker(&waker);
            assert_eq!((0..128).filter(|_| is_ready(&cx)).count(), 128);
            assert!(!has_budget_remaining() && counts.0.load(Relaxed) == 0);
            assert!(poll_proceed(&cx).is_pending());
            assert!(has_budget_remaining());
            counts.0.load(Relaxed)
        });
        assert_eq!(wakes, 1);
    }

    #[test]
    fn each_poll_has_its_own() {
        let polls = Cell::new(0);
        let rows = block_on(poll_fn(|cx| {
            polls.set(polls.get() + 1);
            let row = in_a_row(cx);
            if polls.get() < 3 { Poll::Pending } else { Poll::Ready(row) }
        }));
        assert_eq!((rows, polls.get()), (128, 3));
    }

    #[test]
    fn without_a_poll_there_is_no_limit() {
        let waker = with_data();
        assert_eq!(in_a_row(&Context::from_waker(&waker)), 1_000);
        assert!(has_budget_remaining());
    }

    #[test]
    fn a_leaf_that_would_not_be_polled_again_is_not_refused() {
        let rows = in_a_poll(|_| {
            [Waker::noop(), futures_task::noop_waker_ref()].map(|waker| in_a_row(&Context::from_waker(waker)))
        });
        assert_eq!(rows, [1_000; 2]);
        in_a_poll(|_| {
            block_on_polling(
                async {
                    for _ in 0..1_000 {
                        consume_budget().await;
                    }
                },
                Duration::from_secs(60),
            );
        });
    }

    #[test]
    fn a_foreign_executor_in_the_poll_makes_progress() {
        let done = in_a_poll(|_| {
            let waker = with_data();
            let cx = Context::from_waker(&waker);
            (0..1_000).filter(|_| is_ready(&cx)).count()
        });
        assert!(done > 500, "{done}");
    }

    #[test]
    fn what_is_nested_leaves_the_budget_as_it_was() {
        let rows = in_a_poll(|cx| {
            assert_eq!((0..28).filter(|_| is_ready(cx)).count(), 28);
            let inner = in_a_poll(in_a_row);
            let mut unlimited = pin!(unconstrained(poll_fn(|cx| Poll::Ready(in_a_row(cx)))));
            let Poll::Ready(unlimited) = unlimited.as_mut().poll(&mut Context::from_waker(cx.waker())) else {
                panic!("it doesn't yield")
            };
            let panics = || -> () {
                let mut panics = pin!(unconstrained(poll_fn(|_| -> Poll<()> { resume_unwind(Box::new(())) })));
                let _ = panics.as_mut().poll(&mut Context::from_waker(cx.waker()));
            };
            assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
            assert!(catch_unwind(|| in_a_poll(|_| -> () { resume_unwind(Box::new(())) })).is_err());
            [inner, unlimited, in_a_row(cx)]
        });
        assert_eq!(rows, [128, 1_000, 100]);
    }
}
