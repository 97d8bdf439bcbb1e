//! Builds the cell of a task, and gives its future back if the executor refuses it. Submits nothing.

use alloc::boxed::Box;
use core::marker::PhantomData;
use core::ptr::NonNull;

use super::{Cell, DropGuard, Header, JoinRef, Label, Stage, TaskRef};
use crate::Executor;
use crate::observe::End;
use crate::sync::UnsafeCell;
use crate::task::large::is_large;
use crate::task::state::State;
use crate::task::transition::OnTakeBack;
use crate::task::{Task, TaskId};

/// A task that is being spawned: its handle's reference, and its types.
///
/// # What dropping does
///
/// Detaches the task, as dropping its handle does.
pub(crate) struct NewTask<F: Future, E> {
    join_ref: JoinRef<F::Output>,
    types: PhantomData<Cell<F, E>>,
}

impl<F, E> NewTask<F, E>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    E: Executor,
{
    pub(crate) fn new(future: F, executor: E, label: Label, id: TaskId) -> (Task, Self) {
        // SAFETY: the bounds let both go to any thread.
        unsafe { Self::new_unchecked(future, executor, label, id) }
    }
}

impl<F, E> NewTask<F, E>
where
    F: Future + 'static,
    F::Output: 'static,
    E: Executor,
{
    /// # Safety
    ///
    /// It must be sound to poll and drop `future` on any thread, and to drop the output on the thread whose poll returned it.
    /// Its handle must be `Send` only if the output is.
    pub(in crate::task) unsafe fn new_unchecked(future: F, executor: E, label: Label, id: TaskId) -> (Task, Self) {
        let header = Header {
            state: State::new(label.observer().is_some()),
            vtable: &Cell::<F, E>::VTABLE,
            id,
            label,
            join_waker: UnsafeCell::new(None),
        };
        let mut cell = Box::<Cell<F, E>>::new_uninit();
        // Written in place: each move of a large future would take as much stack again.
        cell.write(Cell { header, executor, stage: UnsafeCell::new(Stage::Future(future)) });
        // All pointers to the cell derive from this one, which may reach, and free, the whole of it.
        // SAFETY: just written.
        let cell = NonNull::from(Box::leak(unsafe { cell.assume_init() })).cast();
        // A new state has counted both references.
        // SAFETY: this is the handle's, and the output is of this type.
        let join_ref = unsafe { JoinRef::new(TaskRef(cell)) };
        (Task::of(DropGuard::new(TaskRef(cell))), Self { join_ref, types: PhantomData })
    }

    fn cell(&self) -> &Cell<F, E> {
        // SAFETY: these are its types.
        unsafe { Cell::of(&self.join_ref) }
    }

    pub(crate) fn executor(&self) -> &E {
        &self.cell().executor
    }

    /// Takes the future back out of a task that its executor refused and returned as `refused`. `None` if the executor polled or
    /// dropped it all the same.
    pub(crate) fn take_back(&self, refused: &Task) -> Option<F> {
        // With its `Task` in hand, no thread polls it. But an executor may return another one.
        if refused.address() != self.join_ref.address() {
            return None;
        }
        match self.cell().header.state.take_back() {
            // SAFETY: the stage is ours, and the future was never polled, so it isn't pinned.
            OnTakeBack::Take => match unsafe { self.cell().replace_stage(Stage::Empty) } {
                Stage::Future(future) => {
                    self.cell().header.tell(|observer| observer.ended(End::Refused));
                    Some(future)
                }
                Stage::Finished(_) | Stage::Empty => unreachable!("an unpolled task has a future"),
            },
            OnTakeBack::Leave => None,
        }
    }

    /// For an output that isn't large.
    pub(crate) fn into_join_ref(self) -> JoinRef<F::Output> {
        assert!(!is_large::<F::Output>());
        self.join_ref
    }
}
