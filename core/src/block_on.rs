//! Polls one future on the calling thread until it is ready. Leaves the sleep between polls to `Parker`.

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
/// Works anywhere: on a plain thread, inside another `block_on`, and inside a task. There the executor keeps the other tasks
/// running, so `future` may wait for them.
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
/// Each poll of `future` has a [budget](crate::task::poll_proceed), like a task's.
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
        return park_with(pin!(future), Parker::spin_then_park);
    }
    block_on_inside(future)
}

/// On a thread that is in an executor.
#[inline(never)]
pub(crate) fn block_on_inside<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let (Some(executor), Some(current)) = (context::resident(), Handle::current()) else {
        return park_with(future, Parker::spin_then_park);
    };
    let mut output = None;
    // `wait` may run tasks, in the executor's context; `future` keeps its own context.
    let _tasks = context::enter(executor.clone());
    executor.wait(pin!(poll_fn(|cx| {
        let _future = context::enter(current.clone());
        future.as_mut().poll(cx).map(|ready| output = Some(ready))
    })));
    output.expect("`wait` returns when the future is ready")
}

/// As [`block_on`], but tells no executor: the thread just sleeps between the polls.
///
/// For the author of an executor. In a task, it holds up the tasks that only this thread would run. Each call has its own parker:
/// calls may nest, and [`std::thread::park`] in the future disturbs none.
///
/// # Panics
///
/// If `future` does.
#[inline]
pub fn park_on<F: Future>(future: F) -> F::Output {
    park_with(pin!(future), Parker::spin_then_park)
}

thread_local! {
    /// A parker that calls reuse. Borrowed while it is in use: a nested call makes another.
    static PARKER: RefCell<Option<Arc<Parker>>> = const { RefCell::new(None) };
}

/// Polls `future` until it is ready, and calls `sleep` between the polls, with the parker that the waker unparks.
#[inline(always)]
pub(crate) fn park_with<F: Future + ?Sized>(mut future: Pin<&mut F>, sleep: impl Fn(&Parker)) -> F::Output {
    context::entering();
    let with_parker = |kept: &RefCell<Option<Arc<Parker>>>| {
        let mut kept = kept.try_borrow_mut().ok()?;
        let parker = match &mut *kept {
            Some(parker) if is_free(parker) => parker,
            kept => renew(kept),
        };
        Some(poll_with(parker, future.as_mut(), &sleep))
    };
    match PARKER.try_with(with_parker) {
        Ok(Some(output)) => output,
        // It is in use, or the thread's locals are destroyed.
        Ok(None) | Err(_) => poll_with(&Arc::new(Parker::new()), future, &sleep),
    }
}

/// Whether a call may reuse the parker of an earlier one. A waker of the earlier call may be called at any time, and must not
/// disturb the next.
#[inline(always)]
fn is_free(kept: &Arc<Parker>) -> bool {
    Arc::strong_count(kept) == 1 && !kept.was_called()
}

#[cold]
fn renew(kept: &mut Option<Arc<Parker>>) -> &Arc<Parker> {
    let is_ours = |parker: &mut Arc<Parker>| Arc::strong_count(parker) == 1;
    match kept.take_if(is_ours) {
        Some(parker) => {
            // An old call that isn't visible even now costs one poll more.
            parker.forget_call();
            kept.insert(parker)
        }
        None => kept.insert(Arc::new(Parker::new())),
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
            // After a fork, its wakes would go to the parent. Another poll registers it here.
            Poll::Pending if std::mem::take(&mut is_first) && has_forked() => {}
            Poll::Pending => {
                looks.polled();
                sleep(parker);
                context::polling();
            }
        }
    }
}

/// Polls `future` on this thread every `interval` until it is ready. Needs no wake.
///
/// For futures that never wake. It costs a poll per interval, and notices readiness up to an interval late. If the future wakes,
/// use [`block_on`]. There is no [budget](crate::task::poll_proceed).
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
/// use std::task::Poll;
///
/// // This future never wakes.
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
    context::entering();
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::sleep(interval),
        }
        context::polling();
    }
}

/// Runs `work`, which may block, without holding up the other tasks of the calling task's executor.
///
/// The pool hands this thread's worker to another thread meanwhile. On an executor of one thread the other tasks wait.
/// Outside of any executor this just runs `work`.
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
        // An executor that calls this twice runs it once.
        if let Some(work) = work.take() {
            output = Some(work());
        }
    });
    output.expect("`block_in_place` runs its work")
}
