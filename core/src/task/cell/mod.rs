//! The one allocation of a task, and the counted reference to it. Decides nothing: the owner of each part follows from `state`.
//!
//! This folder, `thread_bound.rs` and `scope/child.rs` are the crate's only `unsafe` code. Here is the layout; the files below have the rest:
//! `run` polls and ends the future, `waker` wakes the task, `join` waits for its result, `drop_guard` ends a task that isn't
//! run, `new_task` builds one. README.md, one folder up, says who may touch which field.
//!
//! A reference is one pointer to a [`Header`], whose [`Vtable`] reaches the rest. With the count in the state's word, a waiting
//! task takes 40 bytes less than with `Arc<dyn Trait>`, and many transitions need no second atomic operation.

use alloc::boxed::Box;
#[cfg(feature = "std")]
use alloc::sync::Arc;
use core::mem::forget;
#[cfg(feature = "std")]
use core::pin::Pin;
use core::ptr::NonNull;

#[cfg(feature = "std")]
pub(crate) use super::state::MAX_KEY;
use super::state::State;
use super::{Ran, Task, TaskId, TaskInfo};
use crate::Executor;
use crate::error::Failure;
#[cfg(feature = "std")]
use crate::error::Rejected;
#[cfg(feature = "std")]
use crate::observe::Observer;
use crate::observe::{self, End, TaskObserver};
use crate::sync::UnsafeCell;
use crate::unwind::contain;

pub(crate) use drop_guard::{AtomicDropGuard, DropGuard};
pub(crate) use join::JoinRef;
pub(crate) use label::Label;
pub(crate) use new_task::NewTask;
pub(crate) use run::Table;
#[cfg(feature = "std")]
pub(crate) use waker::with_current;

mod drop_guard;
mod join;
mod label;
mod new_task;
mod run;
mod waker;

/// What all cells have in common, whatever their types.
pub(crate) struct Header {
    state: State,
    vtable: &'static Vtable,
    pub(crate) id: TaskId,
    label: Label,
    join_waker: UnsafeCell<Option<waker::JoinWaker>>,
}

/// The header comes first, so that a pointer to a cell is one to its header.
#[repr(C)]
struct Cell<F: Future, E> {
    header: Header,
    executor: E,
    stage: UnsafeCell<Stage<F>>,
}

enum Stage<F: Future> {
    /// Pinned: stays where it is until it is dropped.
    Future(F),
    Finished(Result<F::Output, Failure>),
    /// The result was taken, or never came to be.
    Empty,
}

/// What depends on the types of a cell. Each function must be given a reference to a cell of these types.
struct Vtable {
    /// As [`TaskRef::run`].
    run: unsafe fn(TaskRef, Option<&dyn Table>) -> Ran,
    /// Drops what is in the stage, and stores why there is no output. The stage must be the caller's.
    fail: unsafe fn(&TaskRef, Failure),
    schedule: unsafe fn(&TaskRef, Task),
    #[cfg(feature = "std")]
    executor: unsafe fn(&TaskRef) -> &dyn Executor,
    /// A [`TakeResult`](join::TakeResult) of the output's type.
    take_result: *const (),
    /// Drops what is in the stage, where it is. The stage must be the caller's.
    empty_stage: unsafe fn(&TaskRef),
    /// There must be no other reference.
    free: unsafe fn(NonNull<Header>),
}

/// A counted reference to a cell of any types.
///
/// The pointer comes from the cell's box, and may reach all of it, not only the header. Wakers, slots and join wakers keep it
/// as a pointer, never as an integer.
pub(crate) struct TaskRef(NonNull<Header>);

// SAFETY: the constructors of cells ask that future and output may go to other threads, or see to it that they don't.
// Only the owner that `state` names touches the two `UnsafeCell`s: one thread at a time, with an acquire of
// what the owner before released. Executors and labels are `Send + Sync`.
unsafe impl Send for TaskRef {}
// SAFETY: as for `Send`.
unsafe impl Sync for TaskRef {}

impl TaskRef {
    pub(crate) fn header(&self) -> &Header {
        // SAFETY: a counted reference keeps the cell.
        unsafe { self.0.as_ref() }
    }

    fn state(&self) -> &State {
        &self.header().state
    }

    fn vtable(&self) -> &'static Vtable {
        self.header().vtable
    }

    /// Identifies the task among all that exist now.
    pub(crate) fn address(&self) -> usize {
        self.0.addr().get()
    }

    pub(crate) fn info(&self) -> TaskInfo {
        self.header().info()
    }

    /// Tells the task's observer, if it has one.
    #[inline(always)]
    fn tell(&self, what: impl FnOnce(&dyn TaskObserver)) {
        self.header().tell(what);
    }

    /// The task's key in its executor's table; zero: it is in none.
    pub(crate) fn key(&self) -> u32 {
        self.state().key()
    }

    /// Notes the task's key, and returns the reference that its table keeps. Only for the owner of the stage, once.
    #[cfg(feature = "std")]
    pub(crate) fn insert_as(&self, key: u32) -> Self {
        self.state().set_key(key);
        Self(self.0)
    }

    /// As `clone`. `None` where that panics.
    #[cfg(feature = "std")]
    pub(crate) fn try_clone(&self) -> Option<Self> {
        self.state().try_refer().then(|| Self(self.0))
    }

    /// # Safety
    ///
    /// It must be the last reference.
    unsafe fn free(self) {
        let (free, cell) = (self.vtable().free, self.0);
        forget(self);
        // SAFETY: the functions in a cell's header are those of its types; there is no other reference.
        unsafe { free(cell) }
    }
}

impl Clone for TaskRef {
    fn clone(&self) -> Self {
        self.state().refer();
        Self(self.0)
    }
}

impl Drop for TaskRef {
    fn drop(&mut self) {
        if self.state().unrefer() {
            // SAFETY: it was the last reference, and the cell's own functions are given it.
            unsafe { (self.vtable().free)(self.0) }
        }
    }
}

#[cfg(feature = "std")]
impl TaskRef {
    fn executor(&self) -> &dyn Executor {
        // SAFETY: the functions in a cell's header are those of its types.
        unsafe { (self.vtable().executor)(self) }
    }
}

/// As the task's executor.
#[cfg(feature = "std")]
impl Executor for TaskRef {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        self.executor().submit(task)
    }

    fn schedule(&self, task: Task) {
        self.executor().schedule(task);
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        self.executor().drive(future);
    }

    fn wait(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        self.executor().wait(future);
    }

    fn block_in_place(&self, work: &mut dyn FnMut()) {
        self.executor().block_in_place(work);
    }

    fn clock(&self) -> Option<Arc<dyn crate::executor::Clock>> {
        self.executor().clock()
    }

    fn runs_only_here(&self) -> bool {
        self.executor().runs_only_here()
    }

    fn observer(&self) -> Option<&dyn Observer> {
        self.executor().observer()
    }
}

impl Header {
    fn info(&self) -> TaskInfo {
        TaskInfo::new(self.id, &self.label)
    }

    /// Tells the task's observer, if it has one. Else costs a look.
    #[inline(always)]
    fn tell(&self, what: impl FnOnce(&dyn TaskObserver)) {
        if self.state.is_observed() {
            self.tell_observer(what);
        }
    }

    #[cold]
    fn tell_observer(&self, what: impl FnOnce(&dyn TaskObserver)) {
        observe::tell(self.label.observer(), what);
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.state.is_completed()
    }
}

impl<F, E> Cell<F, E>
where
    F: Future + 'static,
    F::Output: 'static,
    E: Executor,
{
    const VTABLE: Vtable = Vtable {
        run: Self::run,
        // SAFETY: in all of these, the caller's reference is to a cell of these types, and the caller knows who owns the stage.
        fail: |cell, failure| unsafe { Self::of(cell).fail(failure) },
        // SAFETY: as above.
        schedule: |cell, task| unsafe { Self::of(cell) }.executor.schedule(task),
        // SAFETY: as above.
        #[cfg(feature = "std")]
        executor: |cell| unsafe { &Self::of(cell).executor },
        take_result: Self::take_result as join::TakeResult<F::Output> as *const (),
        // SAFETY: as above.
        empty_stage: |cell| unsafe { Self::of(cell).empty_stage() },
        free: Self::free,
    };

    /// # Safety
    ///
    /// These must be its types.
    unsafe fn of(cell: &TaskRef) -> &Self {
        // SAFETY: the header is the first field, and the reference keeps the cell. Its pointer comes from the whole cell's
        // box. What others change meanwhile is in an `UnsafeCell` or atomic.
        unsafe { cell.0.cast().as_ref() }
    }

    /// # Safety
    ///
    /// The pointer must come from a `Box` of these types, and there must be no reference.
    unsafe fn free(cell: NonNull<Header>) {
        // SAFETY: as asked of the caller.
        let cell = unsafe { Box::from_raw(cell.cast::<Self>().as_ptr()) };
        cell.header.tell(|observer| {
            // SAFETY: there is no reference, so the stage is ours.
            if cell.stage.with_mut(|stage| matches!(unsafe { &*stage }, Stage::Future(_))) {
                observer.ended(End::Unreachable);
            }
        });
        // A destructor of the user's may panic.
        contain(|| drop(cell));
    }
}
