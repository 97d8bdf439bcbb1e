//! Ends a task that isn't run: its `Task` was dropped, or its executor shuts down. Dropping one of these guards ends the task.

use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::Ordering::AcqRel;

use super::{Header, TaskRef};
use crate::sync::AtomicPtr;
#[cfg(feature = "std")]
use crate::task::transition::OnCancel;

impl TaskRef {
    /// For a shutdown that found the task in a table. Runs no user code, so the table's lock may be held. Drop the guard
    /// outside of the lock.
    #[cfg(feature = "std")]
    pub(crate) fn shut_down(&self) -> Option<ShutDownGuard> {
        match self.state().shut_down() {
            // The state has counted this reference.
            OnCancel::Cancel => Some(ShutDownGuard(ManuallyDrop::new(Self(self.0)))),
            OnCancel::Nothing => None,
        }
    }
}

/// A task whose stage belongs to a shutdown.
///
/// # What dropping does
///
/// Ends the task.
#[cfg(feature = "std")]
#[must_use]
pub(crate) struct ShutDownGuard(ManuallyDrop<TaskRef>);

#[cfg(feature = "std")]
impl Drop for ShutDownGuard {
    fn drop(&mut self) {
        // SAFETY: it isn't used after this.
        let task = unsafe { ManuallyDrop::take(&mut self.0) };
        // SAFETY: as the state has said, the stage is ours.
        unsafe { task.fail_with_executor() };
    }
}

/// The reference of a [`Task`](crate::executor::Task).
///
/// # What dropping does
///
/// Ends the task, which wasn't run.
pub(crate) struct DropGuard(pub(super) ManuallyDrop<TaskRef>);

impl DropGuard {
    pub(super) fn new(task: TaskRef) -> Self {
        Self(ManuallyDrop::new(task))
    }

    pub(crate) fn into_ref(self) -> TaskRef {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: it isn't used after this, nor dropped.
        unsafe { ManuallyDrop::take(&mut this.0) }
    }
}

/// A `Task`'s reference or none, as one atomic pointer.
pub(crate) struct AtomicDropGuard(AtomicPtr<Header>);

impl AtomicDropGuard {
    /// Moves `task` in, and moves out what was there.
    #[inline]
    pub(crate) fn swap(&self, task: Option<DropGuard>) -> Option<DropGuard> {
        let task = task.map_or(null_mut(), |task| ManuallyDrop::new(task.into_ref()).0.as_ptr());
        // Release pairs with the Acquire of the swap that takes the task out, which sees what was done with it before.
        let before = self.0.swap(task, AcqRel);
        // The reference that was moved in, with the pointer as it was. A swap moves each out once.
        NonNull::new(before).map(|cell| DropGuard::new(TaskRef(cell)))
    }
}

impl Default for AtomicDropGuard {
    fn default() -> Self {
        Self(AtomicPtr::new(null_mut()))
    }
}

impl Drop for AtomicDropGuard {
    fn drop(&mut self) {
        drop(self.swap(None));
    }
}

impl Deref for DropGuard {
    type Target = TaskRef;

    fn deref(&self) -> &TaskRef {
        &self.0
    }
}

impl Drop for DropGuard {
    fn drop(&mut self) {
        // SAFETY: it isn't used after this.
        unsafe { ManuallyDrop::take(&mut self.0) }.cancel_with_executor();
    }
}
