//! The handle's side: waits for the end of a task, takes its result, and lets go of it. Never polls a future.

use alloc::boxed::Box;
use core::marker::PhantomData;
use core::mem::{ManuallyDrop, forget, transmute};
use core::ops::Deref;
use core::task::{Poll, Waker};

use super::waker::JoinWaker;
use super::{Cell, Header, Stage, TaskRef};
use crate::Executor;
use crate::error::JoinError;
use crate::observe::{self, TaskObserver};
use crate::task::large::is_large;
use crate::task::transition::{OnDetach, OnJoin};
use crate::unwind::contain;

/// Moves the result out; pending if there is none. The stage must be the caller's.
///
/// It returns by value, so only the handle knows its type. A large result is moved once, to where the handle's caller wants it.
pub(super) type TakeResult<T> = unsafe fn(&TaskRef) -> Poll<Result<T, JoinError>>;

impl Header {
    /// For the handle: makes the task's completion wake `newest`. If it has completed already, no waker is called.
    fn register(&self, newest: &Waker) -> OnJoin {
        let reclaimed = match self.state.is_waker_offered() {
            true => self.state.reclaim_waker(),
            false if self.state.is_completed() => OnJoin::Completed,
            false => OnJoin::Pending,
        };
        if reclaimed == OnJoin::Completed {
            return OnJoin::Completed;
        }
        // Should a waker's `clone` or `drop` panic below, the slot stays ours, with a whole waker in it or none.
        self.join_waker.with_mut(|slot| {
            // SAFETY: it isn't offered, so the slot is the handle's.
            let slot = unsafe { &mut *slot };
            if !slot.as_ref().is_some_and(|waker| waker.will_wake(newest)) {
                let newest = JoinWaker::new(newest);
                drop(slot.replace(newest));
            }
        });
        let offered = self.state.offer_waker();
        if offered == OnJoin::Completed {
            // SAFETY: the completing thread saw no waker, so the slot stayed ours.
            drop(unsafe { self.take_join_waker() });
        }
        offered
    }

    /// # Safety
    ///
    /// The slot must be the caller's.
    pub(super) unsafe fn take_join_waker(&self) -> Option<JoinWaker> {
        // SAFETY: the slot is the caller's, so this is the only reference to it.
        self.join_waker.with_mut(|slot| unsafe { (*slot).take() })
    }
}

/// The handle's reference, through which it takes the result, once. In the cell, a `T` that [is large](is_large) is in a box.
pub(crate) struct JoinRef<T> {
    task: ManuallyDrop<TaskRef>,
    /// A handle is `Send` if its output is.
    output: PhantomData<T>,
}

/// A handle only points to its output, so pinning the handle pins nothing.
impl<T> Unpin for JoinRef<T> {}

// SAFETY: there is no `T` in it, and no method gives a `&T` away: sharing a handle never shares the output.
unsafe impl<T: Send> Sync for JoinRef<T> {}

impl<T> JoinRef<T> {
    /// # Safety
    ///
    /// `task` must be the handle's reference to a cell whose output is `T`, or a box of it if it is large.
    pub(super) unsafe fn new(task: TaskRef) -> Self {
        Self { task: ManuallyDrop::new(task), output: PhantomData }
    }

    /// Ready if the task has completed; else its completion will wake `newest`.
    pub(crate) fn poll_end(&mut self, newest: &Waker) -> Poll<Ended<'_, T>> {
        match self.task.header().register(newest) {
            OnJoin::Pending => {
                self.task.tell(|observer| observer.awaited(observe::current_task()));
                Poll::Pending
            }
            OnJoin::Completed => Poll::Ready(Ended(self)),
        }
    }

    /// `None` if the task hasn't completed.
    #[cfg(feature = "std")]
    pub(crate) fn ended(&mut self) -> Option<Ended<'_, T>> {
        self.task.header().is_finished().then_some(Ended(self))
    }
}

impl<T> JoinRef<Box<T>> {
    /// For a large output, which is in a box in the cell.
    pub(crate) fn into_unboxing(self) -> JoinRef<T> {
        assert!(is_large::<T>());
        let boxed = ManuallyDrop::new(self);
        // SAFETY: this is the handle's reference. A box isn't large, so the cell's output is a box of the large `T`.
        unsafe { JoinRef::new(TaskRef(boxed.task.0)) }
    }
}

/// Proof that the task has completed and that its handle lives: the stage is the handle's.
pub(crate) struct Ended<'a, T>(&'a mut JoinRef<T>);

impl<T> Ended<'_, T> {
    /// The result of the task. Always ready; it is a `Poll` so that the caller needn't move a large one into one.
    ///
    /// # Panics
    ///
    /// If it was taken before.
    #[track_caller]
    pub(crate) fn take_result(self) -> Poll<Result<T, JoinError>> {
        let task = &self.0.task;
        let take_result = task.vtable().take_result;
        let result = if const { is_large::<T>() } {
            // SAFETY: the functions in a cell's header are those of its types: that of the output is a box of `T`.
            let take_result: TakeResult<Box<T>> = unsafe { transmute(take_result) };
            // SAFETY: the stage is the handle's.
            unsafe { take_result(task) }.map_ok(|output| *output)
        } else {
            // SAFETY: as above; that of the output is `T`.
            let take_result: TakeResult<T> = unsafe { transmute(take_result) };
            // SAFETY: the stage is the handle's.
            unsafe { take_result(task) }
        };
        assert!(result.is_ready(), "JoinHandle polled after it was ready");
        result
    }
}

impl<T> Deref for JoinRef<T> {
    type Target = TaskRef;

    fn deref(&self) -> &TaskRef {
        &self.task
    }
}

impl<T> Drop for JoinRef<T> {
    fn drop(&mut self) {
        // SAFETY: it isn't used after this.
        let task = unsafe { ManuallyDrop::take(&mut self.task) };
        task.tell(TaskObserver::handle_dropped);
        let header = task.header();
        let left = match header.state.is_waker_offered() {
            true => None,
            // There is a waker only if the `clone` or `drop` of one has panicked.
            // SAFETY: the slot isn't offered, so it is the handle's.
            false => unsafe { header.take_join_waker() },
        };
        match header.state.detach() {
            // The reference was given back.
            OnDetach::Nothing => forget(task),
            OnDetach::TakeWaker => {
                // SAFETY: it had not completed when the offer ended, so the slot is the handle's, now and later.
                let waker = unsafe { header.take_join_waker() };
                contain(|| drop(waker));
            }
            // SAFETY: it had completed while the handle lived, so the stage is the handle's.
            OnDetach::Discard => unsafe { task.discard_result() },
            // SAFETY: it was the last reference.
            OnDetach::Free => unsafe { task.free() },
        }
        if let Some(left) = left {
            contain(|| drop(left));
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
    /// These must be its types, and the stage must be the caller's.
    pub(super) unsafe fn take_result(cell: &TaskRef) -> Poll<Result<F::Output, JoinError>> {
        // SAFETY: these are its types.
        let cell = unsafe { Self::of(cell) };
        cell.stage.with_mut(|stage| {
            // SAFETY: the stage is the caller's, so this is the only reference to it.
            let stage = unsafe { &mut *stage };
            let Stage::Finished(result) = stage else { return Poll::Pending };
            let taken = match result {
                // SAFETY: it is overwritten below without being dropped, and nothing in between can panic.
                Ok(output) => Ok(unsafe { core::ptr::read(output) }),
                // SAFETY: as above.
                Err(failure) => Err(unsafe { core::ptr::read(failure) }),
            };
            // SAFETY: it is the caller's, and what was in it is moved out.
            unsafe { core::ptr::write(stage, Stage::Empty) };
            // Last, since an allocation may fail here, and may panic then.
            Poll::Ready(taken.map_err(|failure| JoinError::new(cell.header.info(), failure)))
        })
    }
}
