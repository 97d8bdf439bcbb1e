//! The one allocation of a task: its state, its executor, and its future or result in the same place. One of the two
//! files with `unsafe` code. Decides nothing by itself: who may touch what is written in `state`.

use alloc::sync::Arc;
use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::pin::Pin;
use core::sync::atomic::AtomicUsize;
use core::task::{Context, Poll, Waker};

use futures_task::{ArcWake, waker_ref};

use super::label::Label;
use super::state::{Cancelled, OnBegin, OnComplete, OnEnd, OnJoin, OnShutDown, OnTakeBack, OnWake, State};
use super::{Ran, Task, TaskId};
use crate::Executor;
use crate::error::{Failure, JoinError};
use crate::unwind::{catch, contain, discard};

pub(crate) struct Cell<F: Future, E, L> {
    header: Header,
    label: L,
    executor: E,
    stage: UnsafeCell<Stage<F>>,
}

/// What all cells have in common, whatever their types.
pub(crate) struct Header {
    state: State,
    /// Belongs to the executor; see [`Task::word`].
    pub(crate) word: AtomicUsize,
    pub(crate) id: TaskId,
    join_waker: UnsafeCell<Option<Waker>>,
}

enum Stage<F: Future> {
    /// Pinned: stays where it is until it is dropped.
    Future(F),
    Finished(Result<F::Output, Failure>),
    /// The result was taken, or never came to be.
    Empty,
}

// SAFETY: the constructors ask that future and output may go to other threads, or see to it that they don't. The two
// `UnsafeCell`s are touched only by whom `state` names their owner, one thread at a time, with an acquire of what the
// owner before released. The other fields are `Send + Sync` by their bounds.
unsafe impl<F: Future, E: Executor, L: Label> Send for Cell<F, E, L> {}
// SAFETY: as for `Send`.
unsafe impl<F: Future, E: Executor, L: Label> Sync for Cell<F, E, L> {}

impl Header {
    fn new() -> Self {
        Self { state: State::new(), word: AtomicUsize::new(0), id: TaskId::next(), join_waker: UnsafeCell::new(None) }
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.state.is_completed()
    }

    /// For the handle: sees to it that the task's completion wakes `newest`. `Completed` says that it has come already,
    /// and wakes nobody.
    fn wait(&self, newest: &Waker) -> OnJoin {
        let reclaimed = match self.state.is_waker_offered() {
            true => self.state.reclaim_waker(),
            false if self.state.is_completed() => OnJoin::Completed,
            false => OnJoin::Pending,
        };
        if reclaimed == OnJoin::Completed {
            return OnJoin::Completed;
        }
        // Should a waker's `clone` or `drop` panic below, the slot stays ours, with a whole waker in it or none.
        // SAFETY: it isn't offered, so the slot is the handle's.
        let slot = unsafe { &mut *self.join_waker.get() };
        if !slot.as_ref().is_some_and(|waker| waker.will_wake(newest)) {
            let newest = newest.clone();
            drop(slot.replace(newest));
        }
        let offered = self.state.offer_waker();
        if offered == OnJoin::Completed {
            // Whoever completed saw no waker, so the slot stayed ours.
            drop(slot.take());
        }
        offered
    }

    /// For the handle, when it goes. `Completed` leaves it the stage.
    fn drop_handle(&self) -> OnJoin {
        let left = self.state.drop_handle();
        if left == OnJoin::Pending {
            // SAFETY: it had not completed when the offer ended, so the slot is the handle's, now and later.
            let waker = unsafe { (*self.join_waker.get()).take() };
            contain(|| drop(waker));
        }
        left
    }

    /// For whoever has set RUNNING and stored the result: wakes the handle. `Discard` leaves the result with the caller.
    fn complete(&self) -> OnComplete {
        let completed = self.state.complete();
        if completed == OnComplete::Wake {
            // SAFETY: the handle had offered the slot when we completed, so it is ours for good.
            let waker = unsafe { (*self.join_waker.get()).take() };
            contain(|| waker.into_iter().for_each(Waker::wake));
        }
        completed
    }

    /// Why the state said `Cancel`.
    fn cancelled(&self) -> Failure {
        match self.state.cancelled() {
            Cancelled::Aborted => Failure::Cancelled,
            Cancelled::ShutDown => Failure::ShutDown,
        }
    }
}

/// Makes a handle of `T` as `Send` and `Sync` as its output lets it be: sharing a handle never shares the output.
pub(crate) struct Delivers<T>(PhantomData<T>);

impl<T> Delivers<T> {
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }
}

/// A handle points to its output: nothing of it is pinned with the handle.
impl<T> Unpin for Delivers<T> {}

// SAFETY: there is no `T` in it, and no method of a handle gives a `&T` to anybody.
unsafe impl<T: Send> Sync for Delivers<T> {}

/// A cell, to whom its types don't matter: queues, wakers and abort handles.
pub(crate) trait Runnable: Send + Sync {
    fn header(&self) -> &Header;
    fn label(&self) -> &dyn Label;
    fn run(self: Arc<Self>) -> Ran;
    fn abort(self: Arc<Self>);
    fn shut_down(&self, why: Failure);
}

/// A cell, to its join handle. Only the one handle calls these, and never two at a time.
pub(crate) trait Joinable<T>: Runnable {
    fn poll_join(&self, cx: &mut Context<'_>) -> Poll<Result<T, JoinError>>;
    fn drop_handle(&self);
}

impl<F, E, L> Cell<F, E, L>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    E: Executor,
    L: Label,
{
    pub(crate) fn new(future: F, executor: E, label: L) -> Arc<Self> {
        // SAFETY: the bounds say that both may go anywhere.
        unsafe { Self::new_unchecked(future, executor, label) }
    }
}

impl<F, E, L> Cell<F, E, L>
where
    F: Future + 'static,
    F::Output: 'static,
    E: Executor,
    L: Label,
{
    /// # Safety
    ///
    /// `future` must be fit to be polled and dropped on any thread, and must come to its output only where that output
    /// may be dropped. Its handle must be `Send` only if the output is.
    pub(super) unsafe fn new_unchecked(future: F, executor: E, label: L) -> Arc<Self> {
        Arc::new(Self { header: Header::new(), label, executor, stage: UnsafeCell::new(Stage::Future(future)) })
    }

    /// Takes the future back out of a task that its executor refused. `None` if the executor polled or dropped it all
    /// the same. Only for the spawner, before it gives the handle away.
    pub(crate) fn take_back(&self) -> Option<F> {
        match self.header.state.take_back() {
            // SAFETY: the stage is ours, and the future was never polled, so it isn't pinned.
            OnTakeBack::Take => match unsafe { self.replace_stage(Stage::Empty) } {
                Stage::Future(future) => Some(future),
                Stage::Finished(_) | Stage::Empty => unreachable!("an unpolled task has a future"),
            },
            OnTakeBack::Leave => None,
        }
    }

    /// # Safety
    ///
    /// The stage must be the caller's, and its future must not have been polled or must not be moved out.
    unsafe fn replace_stage(&self, next: Stage<F>) -> Stage<F> {
        // SAFETY: the stage is the caller's, so this is the only reference to it.
        unsafe { core::mem::replace(&mut *self.stage.get(), next) }
    }

    /// Polls the future. If it is ready, drops it where it is, and stores its output there.
    ///
    /// The output is stored even if that drop panics. It is moved once, so that a large one needs little stack.
    ///
    /// # Safety
    ///
    /// The stage must be the caller's, and hold the future.
    unsafe fn poll_future(&self, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: the stage is the caller's, so this is the only reference to it.
        let stage = unsafe { &mut *self.stage.get() };
        let Stage::Future(future) = stage else { unreachable!("a task that may run has a future") };
        // SAFETY: the cell lies behind an `Arc` and never hands the future out once it was polled; it is dropped in
        // place.
        match unsafe { Pin::new_unchecked(future) }.poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(output) => {
                *stage = Stage::Finished(Ok(output));
                Poll::Ready(())
            }
        }
    }

    /// Drops the future, or the output of one whose drop panicked, and completes without output.
    ///
    /// # Safety
    ///
    /// The caller must have set RUNNING: the stage is its own.
    unsafe fn fail(&self, failure: Failure) {
        // SAFETY: the stage is the caller's.
        let dropped = catch(|| unsafe { self.empty_stage() });
        let failure = match (dropped, failure) {
            (Ok(()), failure) => failure,
            // The first panic is the one to tell of.
            (Err(second), first @ Failure::Panicked(_)) => {
                discard(second);
                first
            }
            (Err(payload), reason) => {
                // It may have an error of somebody's in it, whose drop may panic in its turn.
                contain(|| drop(reason));
                Failure::Panicked(payload)
            }
        };
        // SAFETY: the stage is still the caller's; what it held is dropped.
        drop(unsafe { self.replace_stage(Stage::Finished(Err(failure))) });
        // SAFETY: the result is stored.
        unsafe { self.complete() }
    }

    /// Tells the handle that the result is stored; drops the result if the handle is gone.
    ///
    /// # Safety
    ///
    /// The caller must have set RUNNING, and stored the result.
    unsafe fn complete(&self) {
        match self.header.complete() {
            OnComplete::Wake | OnComplete::Nothing => {}
            // SAFETY: the handle was gone when we completed, so the stage stayed ours.
            OnComplete::Discard => contain(|| unsafe { self.empty_stage() }),
        }
    }

    /// Drops what is in the stage, where it is; the stage is empty even if that panics.
    ///
    /// # Safety
    ///
    /// The stage must be the caller's.
    unsafe fn empty_stage(&self) {
        // SAFETY: the stage is the caller's, so this is the only reference to it.
        unsafe { *self.stage.get() = Stage::Empty }
    }

    fn enqueue(self: &Arc<Self>) {
        self.executor.schedule(Task::from_shared(self.clone()));
    }

    /// Takes the result for the handle.
    ///
    /// # Safety
    ///
    /// The task must have completed while the handle lived: the stage is the handle's.
    unsafe fn take_result(&self) -> Result<F::Output, JoinError> {
        // SAFETY: the stage is the handle's, and the future dropped.
        match unsafe { self.replace_stage(Stage::Empty) } {
            Stage::Finished(result) => result.map_err(|failure| JoinError::new(self.header.id, &self.label, failure)),
            Stage::Future(_) | Stage::Empty => panic!("JoinHandle polled after it was ready"),
        }
    }
}

impl<F, E, L> Runnable for Cell<F, E, L>
where
    F: Future + 'static,
    F::Output: 'static,
    E: Executor,
    L: Label,
{
    fn header(&self) -> &Header {
        &self.header
    }

    fn label(&self) -> &dyn Label {
        &self.label
    }

    fn run(self: Arc<Self>) -> Ran {
        let failure = match self.header.state.begin() {
            OnBegin::Poll => {
                let polled = {
                    let waker = waker_ref(&self);
                    let mut cx = Context::from_waker(&waker);
                    // SAFETY: `begin` made the stage ours, and it holds the future until we complete.
                    catch(|| unsafe { self.poll_future(&mut cx) })
                };
                match polled {
                    Ok(Poll::Pending) => match self.header.state.end() {
                        OnEnd::Wait => return Ran::Waiting,
                        OnEnd::Again => return Ran::Again(Task::from_shared(self)),
                        OnEnd::Cancel => self.header.cancelled(),
                    },
                    Ok(Poll::Ready(())) => {
                        // SAFETY: `begin` made the stage ours, and the output is stored.
                        unsafe { self.complete() };
                        return Ran::Finished;
                    }
                    Err(payload) => Failure::Panicked(payload),
                }
            }
            OnBegin::Cancel => self.header.cancelled(),
            OnBegin::Nothing => return Ran::Finished,
        };
        // SAFETY: `begin` made the stage ours, and no `end` gave it away.
        unsafe { self.fail(failure) };
        Ran::Finished
    }

    fn abort(self: Arc<Self>) {
        match self.header.state.abort() {
            OnWake::Enqueue => self.enqueue(),
            OnWake::Nothing => {}
        }
    }

    fn shut_down(&self, why: Failure) {
        match self.header.state.shut_down() {
            // SAFETY: `shut_down` made the stage ours.
            OnShutDown::Cancel => unsafe { self.fail(why) },
            OnShutDown::Nothing => {}
        }
    }
}

impl<F, E, L> ArcWake for Cell<F, E, L>
where
    F: Future + 'static,
    F::Output: 'static,
    E: Executor,
    L: Label,
{
    fn wake_by_ref(cell: &Arc<Self>) {
        match cell.header.state.wake() {
            OnWake::Enqueue => cell.enqueue(),
            OnWake::Nothing => {}
        }
    }
}

impl<F, E, L> Joinable<F::Output> for Cell<F, E, L>
where
    F: Future + 'static,
    F::Output: 'static,
    E: Executor,
    L: Label,
{
    fn poll_join(&self, cx: &mut Context<'_>) -> Poll<Result<F::Output, JoinError>> {
        match self.header.wait(cx.waker()) {
            OnJoin::Pending => Poll::Pending,
            // SAFETY: it has completed, and the handle lives.
            OnJoin::Completed => Poll::Ready(unsafe { self.take_result() }),
        }
    }

    fn drop_handle(&self) {
        match self.header.drop_handle() {
            OnJoin::Pending => {}
            // SAFETY: it had completed while the handle lived, so the stage is the handle's.
            OnJoin::Completed => contain(|| unsafe { self.empty_stage() }),
        }
    }
}
