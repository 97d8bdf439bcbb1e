//! Hides a child's lifetimes from its executor, and counts the children that have not ended. The scope's only `unsafe` code.
//!
//! # Why what a child borrows outlives every use of it
//!
//! A child borrows for `'scope`, and `'scope` lasts until [`run`](super::run) returns. So no thread may use the child's
//! future, or what that owns, after this.
//!
//! 1. *All that borrows is in one box.* The future and its output slot are in `Child::future`. The task's cell has only the
//!    [`Child`], whose other fields are `'static`. So a waker or an abort handle that outlives the scope keeps the cell, its
//!    executor and its label, and none of them borrows.
//! 2. *The box is gone before its child counts as ended.* [`Child`]'s drop empties `future` first. Then its fields are dropped,
//!    in their order, [`Running`] last, also if a destructor panics. Only the drop of `Running` lowers the count.
//! 3. *The output has two owners: the box and the child's handle.* A handle can't outlive `'scope`, since its type names it, and
//!    `'scope` is shorter than anything outside of the scope's body. It lives in the body, which has returned, or in other
//!    children, which 2 covers. A handle that is forgotten, or is part of a cycle, is never used again: it leaks its output.
//! 4. *`run` returns only after the count was zero*, also if the body panics, or if the executor's `drive` does or returns too
//!    early: see [`Children`]. If the wait itself fails, the process ends. Only the body and the children can spawn, so the
//!    count stays zero then.
//! 5. *An executor can only drop a child, or not.* If it aborts, refuses or shuts down a child, the cell drops the [`Child`]
//!    in place. If it forgets or leaks the task, the count stays above zero, and the scope waits for ever. It never returns.
//!    The same holds for a child that isn't `Send` ([`thread_bound`](crate::task::thread_bound)), whose task is dropped on
//!    another thread: it leaks, or the process ends.
//! 6. *The end happens before the return.* The count is under a lock. The child's thread released it after it dropped the box,
//!    and the waiting thread acquired it before it saw zero.
//!
//! No user can forget what keeps this in force: `run` has the guard on its own stack, and lends only a `&Scope`.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::poll_fn;
use core::mem::transmute;
use core::pin::Pin;
use core::task::{Context, Poll, Waker, ready};
use std::panic::resume_unwind;
use std::process::abort;

use super::outcome::{Failure, Outcome, Slot};
use crate::executor::park_on;
use crate::sync::{Mutex, MutexGuard};
use crate::unwind::{catch, contain};

/// The children of one scope, as the waiting thread sees them.
pub(super) struct Children(Arc<Count>);

/// How many children have not ended, and what the others leave behind.
pub(super) struct Count(Mutex<Counted>);

struct Counted {
    running: usize,
    /// To be called when `running` becomes zero.
    waiting: Option<Waker>,
    /// The first one that no handle returned.
    failure: Option<Failure>,
}

impl Children {
    pub(super) fn new() -> Self {
        Self(Arc::new(Count(Mutex::new(Counted { running: 0, waiting: None, failure: None }))))
    }

    pub(super) fn count(&self) -> Arc<Count> {
        self.0.clone()
    }

    /// Ready when every child has ended.
    pub(super) async fn ended(&self) {
        poll_fn(|cx| self.poll_ended(cx)).await;
    }

    fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<()> {
        // User code: cloned before the lock, dropped after it.
        let newest = cx.waker().clone();
        let mut counted = self.0.lock();
        if counted.running == 0 {
            return Poll::Ready(());
        }
        let before = counted.waiting.replace(newest);
        drop(counted);
        drop(before);
        Poll::Pending
    }

    /// Blocks until every child has ended, if the executor's `drive` panicked or returned too early.
    fn wait(&self) {
        if self.0.lock().running > 0 && catch(|| park_on(self.ended())).is_err() {
            abort();
        }
    }

    /// Waits, and returns the first failure that no handle returned.
    pub(super) fn finish(self) -> Option<Failure> {
        self.wait();
        self.0.lock().failure.take()
    }
}

/// However the scope ends, nothing may use what the children borrow before they have ended.
impl Drop for Children {
    fn drop(&mut self) {
        self.wait();
    }
}

impl Count {
    /// Counts a child until the answer is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Running {
        self.lock().running += 1;
        Running(self.clone())
    }

    /// Keeps a failure that no handle has returned, unless there was another.
    pub(super) fn keep_failure(&self, failure: Failure) {
        let mut counted = self.lock();
        match counted.failure {
            None => counted.failure = Some(failure),
            Some(_) => {
                drop(counted);
                failure.discard();
            }
        }
    }

    /// No user code runs under the lock, so that nothing poisons it.
    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(|_| abort())
    }
}

/// Proof that a child counts as running.
///
/// # What dropping does
///
/// Says that the child has ended.
pub(super) struct Running(Arc<Count>);

impl Drop for Running {
    fn drop(&mut self) {
        let mut counted = self.0.lock();
        counted.running -= 1;
        let waiting = if counted.running == 0 { counted.waiting.take() } else { None };
        drop(counted);
        contain(|| waiting.into_iter().for_each(Waker::wake));
    }
}

/// A child's future, as the executor's task has it.
///
/// # What dropping does
///
/// Drops the future, and then says that the child has ended. A panic of the future's destructor goes to the child's handle, and so
/// does the loss of a future that wasn't ready.
///
/// `D` is [`AnyThread`] or [`OneThread`].
pub(super) struct Child<D: ?Sized> {
    /// Its lifetimes are a lie: see the argument above. `None` once it was dropped.
    future: Option<Pin<Box<D>>>,
    was_ready: bool,
    outcome: Arc<Outcome>,
    /// Must be the last field: it is dropped after the others.
    _running: Running,
}

/// A future that any thread may poll.
pub(super) type AnyThread<'scope> = dyn Future<Output = ()> + Send + 'scope;
/// A future that stays on its thread.
pub(super) type OneThread<'scope> = dyn Future<Output = ()> + 'scope;

impl Child<AnyThread<'static>> {
    /// # Safety
    ///
    /// What `future` and its output borrow must be there until `running`'s count was zero after its drop.
    pub(super) unsafe fn new<'scope, F>(
        future: F,
        slot: Slot<F::Output>,
        outcome: Arc<Outcome>,
        running: Running,
    ) -> Self
    where
        F: Future + Send + 'scope,
        F::Output: Send + 'scope,
    {
        let future: Pin<Box<AnyThread<'scope>>> = Box::pin(FillsSlot { future, slot });
        // SAFETY: the types differ in a lifetime only. Only `self` has the box, and drops it before `running`.
        let future = unsafe { transmute::<Pin<Box<AnyThread<'scope>>>, Pin<Box<AnyThread<'static>>>>(future) };
        Self { future: Some(future), was_ready: false, outcome, _running: running }
    }
}

impl Child<OneThread<'static>> {
    /// As [`new`](Child::new), for a future that isn't `Send`.
    ///
    /// # Safety
    ///
    /// As there.
    pub(super) unsafe fn new_local<'scope, F>(
        future: F,
        slot: Slot<F::Output>,
        outcome: Arc<Outcome>,
        running: Running,
    ) -> Self
    where
        F: Future + 'scope,
        F::Output: 'scope,
    {
        let future: Pin<Box<OneThread<'scope>>> = Box::pin(FillsSlot { future, slot });
        // SAFETY: as in `new`.
        let future = unsafe { transmute::<Pin<Box<OneThread<'scope>>>, Pin<Box<OneThread<'static>>>>(future) };
        Self { future: Some(future), was_ready: false, outcome, _running: running }
    }
}

impl<D: Future<Output = ()> + ?Sized> Future for Child<D> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(future) = &mut self.future else { unreachable!("only the drop empties it") };
        match catch(|| future.as_mut().poll(cx)) {
            Ok(polled) => {
                self.was_ready = polled.is_ready();
                polled
            }
            Err(payload) => {
                self.outcome.panicked(payload);
                // The task drops this during the unwinding, as any future that panicked.
                resume_unwind(Box::new(()))
            }
        }
    }
}

impl<D: ?Sized> Drop for Child<D> {
    fn drop(&mut self) {
        let future = &mut self.future;
        if let Err(payload) = catch(|| *future = None) {
            self.outcome.panicked(payload);
        } else if !self.was_ready {
            self.outcome.lost();
        }
    }
}

/// Polls a future, and puts its output into the slot.
struct FillsSlot<F: Future> {
    future: F,
    slot: Slot<F::Output>,
}

impl<F: Future> Future for FillsSlot<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: `future` is pinned with `self`: it is never moved out, and there is no `Drop` or `Unpin` of our own.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: as above.
        let future = unsafe { Pin::new_unchecked(&mut this.future) };
        let output = ready!(future.poll(cx));
        this.slot.put(output);
        Poll::Ready(())
    }
}
