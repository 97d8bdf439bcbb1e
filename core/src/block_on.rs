//! Polls one future on the calling thread until it is ready.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_task::waker_ref;

use crate::executor::driver::Looks;
use crate::executor::park::Parker;
use crate::executor::process::has_forked;
use crate::executor::{context, is_large};
use crate::sync::thread_local;
use crate::task::budget;
use crate::{Executor, Handle};

/// Polls `future` on this thread until it is ready, and sleeps between the polls until its waker is called.
///
/// Works anywhere: on a plain thread, inside another `block_on`, and inside a task. There the executor knows that its
/// thread is busy, and the other tasks go on: this one may even wait for them.
///
/// # Examples
///
/// ```
/// assert_eq!(polyexec_core::block_on(async { 6 * 7 }), 42);
/// ```
///
/// # Panics
///
/// If `future` does.
///
/// # Fairness
///
/// Each poll of `future` has a [budget](crate::task::poll_proceed), as a task's has.
#[inline]
pub fn block_on<F: Future>(future: F) -> F::Output {
    if const { is_large::<F>() } {
        return block_on_small(Box::pin(future));
    }
    block_on_small(future)
}

#[inline]
fn block_on_small<F: Future>(future: F) -> F::Output {
    if context::is_outside() {
        return park_with(pin!(future), Parker::park_soon);
    }
    block_on_inside(future)
}

/// On a thread in which there is an executor.
#[inline(never)]
pub(crate) fn block_on_inside<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let (Some(executor), Some(current)) = (context::resident(), Handle::current()) else {
        return park_with(future, Parker::park_soon);
    };
    let mut output = None;
    // The executor may run its tasks in `wait`, in its own context; `future` stays in the one where it is.
    let _tasks = context::enter(executor.clone());
    executor.wait(pin!(poll_fn(|cx| {
        let _future = context::enter(current.clone());
        future.as_mut().poll(cx).map(|ready| output = Some(ready))
    })));
    output.expect("`wait` returns when the future is ready")
}

/// As [`block_on`], but no executor is told: the thread just sleeps between the polls.
///
/// This is for those who write an executor; in a task it holds up the tasks that only this thread would run. Each call
/// sleeps in a place of its own, so that calls may nest, and a future that parks or unparks the thread disturbs nobody.
///
/// # Panics
///
/// If `future` does.
#[inline]
pub fn park_on<F: Future>(future: F) -> F::Output {
    park_with(pin!(future), Parker::park_soon)
}

thread_local! {
    /// A place to sleep, kept from call to call. Borrowed while it is in use: calls that nest have others.
    static PLACE: RefCell<Option<Arc<Parker>>> = const { RefCell::new(None) };
}

/// Polls `future` until it is ready, and calls `sleep` between the polls, with the parker that the waker unparks.
#[inline(always)]
pub(crate) fn park_with<F: Future + ?Sized>(mut future: Pin<&mut F>, sleep: impl Fn(&Parker)) -> F::Output {
    let at_place = |place: &RefCell<Option<Arc<Parker>>>| {
        let mut place = place.try_borrow_mut().ok()?;
        let parker = match &mut *place {
            Some(parker) if is_free(parker) => parker,
            place => renew(place),
        };
        Some(poll_with(parker, future.as_mut(), &sleep))
    };
    match PLACE.try_with(at_place) {
        Ok(Some(output)) => output,
        // It is in use, or the thread's locals are being destroyed.
        Ok(None) | Err(_) => poll_with(&Arc::new(Parker::new()), future, &sleep),
    }
}

/// Whether the next call may have a place that an earlier one has left. Somebody who holds on to that one's waker may call
/// it at any time, and the next call is to know nothing of that.
#[inline(always)]
fn is_free(place: &Arc<Parker>) -> bool {
    Arc::strong_count(place) == 1 && !place.was_called()
}

#[cold]
fn renew(place: &mut Option<Arc<Parker>>) -> &Arc<Parker> {
    let is_ours = |parker: &mut Arc<Parker>| Arc::strong_count(parker) == 1;
    match place.take_if(is_ours) {
        Some(parker) => {
            // A call that isn't seen even now, though its caller is gone, costs one poll more.
            parker.forget_call();
            place.insert(parker)
        }
        None => place.insert(Arc::new(Parker::new())),
    }
}

#[inline(always)]
fn poll_with<F: Future + ?Sized>(parker: &Arc<Parker>, mut future: Pin<&mut F>, sleep: &impl Fn(&Parker)) -> F::Output {
    let waker = waker_ref(parker);
    let mut cx = Context::from_waker(&waker);
    let mut looks = Looks::new();
    let mut is_first = true;
    loop {
        match budget::anew(|| future.as_mut().poll(&mut cx)) {
            Poll::Ready(output) => return output,
            // What it waits for would come to the parent: here it looks for another one.
            Poll::Pending if std::mem::take(&mut is_first) && has_forked() => {}
            Poll::Pending => {
                looks.polled();
                sleep(parker);
            }
        }
    }
}

/// Polls `future` on this thread every `interval`, whether or not anybody calls its waker, until it is ready.
///
/// For futures whose wakers nobody calls. It costs a poll an interval, and notices readiness up to an interval late;
/// where wakers work, [`block_on`] is better in both. There is no [budget](crate::task::poll_proceed).
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
/// use std::task::Poll;
///
/// // Nobody wakes this future when its time has come.
/// let due = Instant::now() + Duration::from_millis(1);
/// let late = polyexec_core::block_on_polling(
///     std::future::poll_fn(|_| match Instant::now().checked_duration_since(due) {
///         Some(late) => Poll::Ready(late),
///         None => Poll::Pending,
///     }),
///     Duration::from_micros(10),
/// );
/// # let _ = late;
/// ```
///
/// # Panics
///
/// If `future` does.
pub fn block_on_polling<F: Future>(future: F, interval: Duration) -> F::Output {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::sleep(interval),
        }
    }
}

/// Runs `work`, which may block, without holding up the tasks of the executor whose task calls this.
///
/// The pool puts another thread in this one's place meanwhile. On an executor of one thread the other tasks wait all
/// the same, and outside of any executor this just runs `work`.
///
/// # Examples
///
/// ```
/// let bytes = polyexec_core::block_in_place(|| std::fs::read("Cargo.toml")).unwrap_or_default();
/// # let _ = bytes;
/// ```
///
/// # Panics
///
/// If `work` does.
pub fn block_in_place<T>(work: impl FnOnce() -> T) -> T {
    let Some(executor) = context::resident() else {
        return work();
    };
    let mut work = Some(work);
    let mut output = None;
    executor.block_in_place(&mut || {
        // Called once more, there is none.
        if let Some(work) = work.take() {
            output = Some(work());
        }
    });
    output.expect("`block_in_place` runs its work")
}
