//! Polls the future of a task, ends it, and completes the task. Each step needs the stage, which `state` hands out.

use core::mem::{ManuallyDrop, forget};
use core::pin::Pin;
use core::task::{Context, Poll, RawWakerVTable, Waker};

use super::waker::{FRESH, OBSERVED, PLAIN};
use super::{Cell, DropGuard, Header, Stage, TaskRef};
use crate::Executor;
use crate::error::Failure;
use crate::observe::{self, End, PollOutcome, PollWaker};
use crate::task::transition::{Cancelled, OnBegin, OnCancel, OnComplete, OnEnd, OnPending};
use crate::task::{Ran, Task, current};
use crate::unwind::{Guard, Payload, catch, contain, discard, uncaught};

/// Where an executor keeps its tasks from the first time that they are idle. Never panics.
pub(crate) trait Table {
    /// Inserts a task whose stage is the caller's, or says why it can't.
    fn insert(&self, task: &TaskRef) -> Result<(), Failure>;
    /// Removes a task that was inserted here.
    fn remove(&self, task: &TaskRef);
}

impl TaskRef {
    /// Polls the future once, or drops it if the task was cancelled. `self` is the `Task`'s reference.
    #[inline]
    pub(crate) fn run(self, table: Option<&dyn Table>) -> Ran {
        // SAFETY: the functions in a cell's header are those of its types.
        unsafe { (self.vtable().run)(self, table) }
    }

    /// Ends a task that won't be run. `self` is the `Task`'s reference.
    pub(crate) fn cancel(self, why: Failure) {
        match self.state().cancel() {
            // SAFETY: the stage is ours.
            OnCancel::Cancel => unsafe { self.fail(why, None) },
            OnCancel::Nothing => {}
        }
    }

    /// As [`cancel`](TaskRef::cancel), for a task that its executor drops when it shuts down.
    pub(super) fn cancel_with_executor(self) {
        match self.state().cancel() {
            // SAFETY: the stage is ours.
            OnCancel::Cancel => unsafe { self.fail_with_executor() },
            OnCancel::Nothing => {}
        }
    }

    /// Drops the future, and completes without output. Removes the task from the table that it runs through, if any.
    ///
    /// # Safety
    ///
    /// The stage must be the caller's.
    unsafe fn fail(self, failure: Failure, table: Option<&dyn Table>) {
        let task = ManuallyDrop::new(self);
        // SAFETY: the result is stored, even if this is called because the future's destructor unwinds. `task` isn't used
        // after this.
        let finishing = Guard::new(|| unsafe { Self(task.0).finish(table) });
        // SAFETY: the functions in a cell's header are those of its types; the stage is the caller's.
        unsafe { (task.vtable().fail)(&task, failure) };
        drop(finishing);
    }

    /// As [`fail`](TaskRef::fail), because the executor shuts down. Drops the future in that executor's context, on any thread.
    ///
    /// # Safety
    ///
    /// The stage must be the caller's.
    pub(super) unsafe fn fail_with_executor(self) {
        let task = ManuallyDrop::new(self);
        // SAFETY: as in `fail`.
        let finishing = Guard::new(|| unsafe { Self(task.0).finish(None) });
        // SAFETY: the functions in a cell's header are those of its types; the stage is the caller's.
        let end = || unsafe { (task.vtable().fail)(&task, Failure::ShutDown) };
        #[cfg(feature = "std")]
        crate::executor::context::ending(&task, end);
        #[cfg(not(feature = "std"))]
        end();
        drop(finishing);
    }

    /// Completes the task: wakes the join waker, or drops the result if the handle is gone.
    ///
    /// # Safety
    ///
    /// The stage must be the caller's, and hold the result.
    unsafe fn complete(self) {
        match self.state().complete() {
            OnComplete::Wake => {
                // SAFETY: the handle had offered the slot when we completed, so it is ours for good.
                let waker = unsafe { self.header().take_join_waker() };
                contain(|| waker.into_iter().for_each(|waker| waker.into_waker().wake()));
            }
            // SAFETY: the handle was gone when we completed, so the stage stayed ours.
            OnComplete::Discard => unsafe { self.discard_result() },
            // Our reference was given back.
            OnComplete::Nothing => forget(self),
        }
    }

    /// Ends a pending poll. An error says why the task can't be idle; the stage is still the caller's then.
    fn end(&self, woke_itself: bool, table: Option<&dyn Table>) -> Result<OnEnd, Failure> {
        match (self.state().end(woke_itself, table.is_some()), table) {
            (OnEnd::Insert, Some(table)) => table.insert(self).map(|()| self.state().end(false, false)),
            (end, _) => Ok(end),
        }
    }

    /// Removes a task whose result is stored from its table, and completes it.
    ///
    /// # Safety
    ///
    /// The stage must be the caller's, and hold the result.
    unsafe fn finish(self, table: Option<&dyn Table>) {
        if self.key() != 0
            && let Some(table) = table
        {
            table.remove(&self);
        }
        // SAFETY: as asked of the caller.
        unsafe { self.complete() };
    }

    /// # Safety
    ///
    /// The stage must be the caller's.
    pub(super) unsafe fn discard_result(&self) {
        // SAFETY: the functions in a cell's header are those of its types; the stage is the caller's.
        contain(|| unsafe { (self.vtable().empty_stage)(self) });
    }
}

impl Header {
    /// Tells the task's observer, and returns the functions of the poll's waker.
    #[cold]
    fn begin_poll(&self) -> &'static RawWakerVTable {
        match self.label.observer().map(observe::tell_poll_began) {
            None => &PLAIN,
            Some(PollWaker::Usual) => &OBSERVED,
            Some(PollWaker::Fresh) => &FRESH,
        }
    }

    /// Why a transition said `Cancel`.
    fn cancelled(&self) -> Failure {
        match self.state.cancelled() {
            Cancelled::Aborted => Failure::Cancelled,
            Cancelled::ShutDown => Failure::ShutDown,
        }
    }
}

impl<F, E> Cell<F, E>
where
    F: Future + 'static,
    F::Output: 'static,
    E: Executor,
{
    /// # Safety
    ///
    /// The stage must be the caller's, and its future must not have been polled or must not be moved out.
    pub(super) unsafe fn replace_stage(&self, next: Stage<F>) -> Stage<F> {
        // SAFETY: the stage is the caller's, so this is the only reference to it.
        self.stage.with_mut(|stage| unsafe { core::mem::replace(&mut *stage, next) })
    }

    /// Drops what is in the stage, where it is; the stage is empty even if that panics.
    ///
    /// # Safety
    ///
    /// The stage must be the caller's.
    pub(super) unsafe fn empty_stage(&self) {
        // SAFETY: the stage is the caller's, so this is the only reference to it.
        self.stage.with_mut(|stage| unsafe { *stage = Stage::Empty });
    }

    /// Polls the future. If it is ready, drops it where it is, and stores its output there.
    ///
    /// If that panics, the stage is emptied during the unwinding, so that a destructor may ask whether its thread is panicking.
    /// With `std`, a second panic in there is contained. The output is moved once, so that a large one needs little stack.
    ///
    /// # Safety
    ///
    /// The stage must be the caller's, and hold the future.
    unsafe fn poll_future(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.stage.with_mut(|stage| {
            // SAFETY: the stage is the caller's. Called during an unwinding, when nothing refers to the stage any more.
            let emptying = Guard::new(move || contain(|| unsafe { *stage = Stage::Empty }));
            // SAFETY: the stage is the caller's, so this is the only reference to it.
            let Stage::Future(future) = (unsafe { &mut *stage }) else {
                unreachable!("a task that may run has a future")
            };
            // SAFETY: the cell never moves, and never hands the future out once it was polled; it is dropped in place.
            let polled = unsafe { Pin::new_unchecked(&mut *future) }.poll(cx);
            if let Poll::Ready(output) = polled {
                let output = ManuallyDrop::new(output);
                // SAFETY: the stage is the caller's. Called only if the drop below unwinds; by then the stage has nothing left
                // to drop, and `output` isn't used after this.
                let storing =
                    Guard::new(|| unsafe { stage.write(Stage::Finished(Ok(core::ptr::read(&raw const *output)))) });
                // SAFETY: it is overwritten in either case without being dropped again.
                unsafe { core::ptr::drop_in_place(future) };
                storing.disarm();
                // SAFETY: the stage is the caller's, and what was in it is dropped.
                unsafe { stage.write(Stage::Finished(Ok(ManuallyDrop::into_inner(output)))) };
                emptying.disarm();
                Poll::Ready(())
            } else {
                emptying.disarm();
                Poll::Pending
            }
        })
    }

    /// # Safety
    ///
    /// These must be the types of `task`, which must be the `Task`'s reference.
    pub(super) unsafe fn run(task: TaskRef, table: Option<&dyn Table>) -> Ran {
        // Without `std`, a poll that unwinds has given the reference back.
        let task = ManuallyDrop::new(task);
        let functions = match task.state().begin() {
            OnBegin::Poll => &PLAIN,
            OnBegin::PollObserved => task.header().begin_poll(),
            OnBegin::Cancel => {
                let failure = task.header().cancelled();
                // SAFETY: `begin` made the stage ours.
                unsafe { ManuallyDrop::into_inner(task).fail(failure, table) };
                return Ran::Finished;
            }
            OnBegin::Nothing => {
                drop(ManuallyDrop::into_inner(task));
                return Ran::Finished;
            }
        };
        // SAFETY: these are its types. `begin` made the stage ours, and it holds the future until we complete.
        let failure = match unsafe { Self::poll(&task, functions, table) } {
            (Ok(Poll::Ready(())), _) => {
                task.tell(|observer| observe::tell_last_poll(observer, PollOutcome::Ready, End::Ready));
                // SAFETY: `begin` made the stage ours, and the output is stored.
                unsafe { ManuallyDrop::into_inner(task).finish(table) };
                return Ran::Finished;
            }
            (Ok(Poll::Pending), woke_itself) => {
                let mut next = task.state().pending(woke_itself);
                if next == OnPending::Tell {
                    // Now: once the poll has ended, another thread may begin the next.
                    task.tell(|observer| observer.poll_ended(PollOutcome::pending(woke_itself)));
                    next = task.state().pending_told(woke_itself);
                }
                if next == OnPending::Again {
                    return Ran::Again(Task::of(DropGuard(task)));
                }
                match task.end(woke_itself, table) {
                    // Its reference was given back.
                    Ok(OnEnd::Idle) => return Ran::Waiting,
                    Ok(OnEnd::Again) => return Ran::Again(Task::of(DropGuard(task))),
                    Ok(OnEnd::Free) => {
                        // SAFETY: it was the last reference.
                        unsafe { ManuallyDrop::into_inner(task).free() };
                        return Ran::Finished;
                    }
                    Ok(OnEnd::Cancel) => task.header().cancelled(),
                    Ok(OnEnd::Insert) => unreachable!("`TaskRef::end` has inserted it"),
                    Err(failure) => failure,
                }
            }
            (Err(payload), _) => {
                task.tell(|observer| observer.poll_ended(PollOutcome::Panicked));
                Failure::Panicked(payload)
            }
        };
        // SAFETY: `begin` made the stage ours, and no `end` gave it away.
        unsafe { ManuallyDrop::into_inner(task).fail(failure, table) };
        Ran::Finished
    }

    /// Polls the future with a waker that is borrowed from `task`. Says also whether the task woke itself.
    ///
    /// # Safety
    ///
    /// These must be the types of `task`. The stage must be the caller's, and hold the future. If this unwinds, as it may without
    /// `std`, the caller must not use or drop `task` any more.
    // As a call, it costs each poll some twenty instructions.
    #[inline(always)]
    unsafe fn poll(
        task: &TaskRef,
        functions: &'static RawWakerVTable,
        table: Option<&dyn Table>,
    ) -> (Result<Poll<()>, Payload>, bool) {
        // SAFETY: these are its types.
        let cell = unsafe { Self::of(task) };
        let pointer = task.0.as_ptr().cast_const().cast();
        // SAFETY: it is borrowed from `task`, which outlives the poll.
        let waker = ManuallyDrop::new(unsafe { Waker::new(pointer, functions) });
        let mut cx = Context::from_waker(&waker);
        let failing = Guard::new(|| {
            // With `std` the poll catches its panic, so nothing unwinds through here.
            if cfg!(not(feature = "std")) {
                // SAFETY: the stage is the caller's, and so is the reference, which the caller doesn't use after this.
                unsafe { TaskRef(task.0).fail(Failure::Panicked(uncaught()), table) };
            }
        });
        // SAFETY: the stage is the caller's, and holds the future.
        let polled = current::poll(pointer, || catch(|| unsafe { cell.poll_future(&mut cx) }));
        failing.disarm();
        polled
    }

    /// # Safety
    ///
    /// The stage must be the caller's.
    pub(super) unsafe fn fail(&self, failure: Failure) {
        // Stored if a panic unwinds through here, as it does without `std`.
        let result = core::cell::Cell::new(Some(Failure::Panicked(uncaught())));
        let storing = Guard::new(|| {
            if let Some(failure) = result.take() {
                // SAFETY: the stage is the caller's; what it held is dropped.
                drop(unsafe { self.replace_stage(Stage::Finished(Err(failure))) });
            }
        });
        // SAFETY: the stage is the caller's.
        let dropped = catch(|| unsafe { self.empty_stage() });
        let failure = match (dropped, failure) {
            (Ok(()), failure) => failure,
            // The handle gets the first panic.
            (Err(second), first @ Failure::Panicked(_)) => {
                discard(second);
                first
            }
            (Err(payload), reason) => {
                // It may hold an executor's error, whose drop may panic too.
                contain(|| drop(reason));
                Failure::Panicked(payload)
            }
        };
        let end = failure.end();
        result.set(Some(failure));
        drop(storing);
        self.header.tell(|observer| observer.ended(end));
    }
}
