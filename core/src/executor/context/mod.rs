//! Which executor runs on this thread: what `spawn` and `Handle::current` find. Runs no task.
//!
//! A context is entered once per thread, per `block_on`, or per task that a shutdown ends; never per poll.

use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use crate::executor::{Clock, Rejected, Task};
use crate::task::cell::TaskRef;
use crate::unwind::{catch, contain, discard};
use crate::{Executor, Handle};

pub use default::block_on_default;
pub use on_enter::on_enter;
pub(crate) use on_enter::{entering, polling};
pub use outside::{Outside, outside};

use stack::{Source, with};
pub(crate) use stack::{is_nested, is_outside, resident};

mod default;
mod on_enter;
mod outside;
mod stack;
#[cfg(all(test, not(polyexec_loom)))]
mod tests;

/// Makes `executor` the current one of this thread, until the guard is dropped: [`spawn`](crate::spawn) and
/// [`Handle::current`] find it.
///
/// For the author of an executor: its `drive` calls this on threads that aren't its own.
pub fn enter(executor: Handle) -> Entered {
    Entered::push(executor, false)
}

/// As [`enter`], for a thread that runs the executor's tasks.
///
/// On such a thread, [`block_on`](crate::block_on) and [`JoinHandle::join`](crate::JoinHandle::join) call the executor's
/// [`wait`](Executor::wait). So it knows when a task blocks.
pub fn reside(executor: Handle) -> Entered {
    Entered::push(executor, true)
}

/// Leaves the context of [`enter`] or [`reside`] when it is dropped.
///
/// Guards may be dropped in any order. Of the executors whose guards are left, the one entered last is the current one.
#[must_use = "dropping this leaves the executor's context"]
#[derive(Debug)]
pub struct Entered {
    /// The number of its frame. `None`: the thread's locals were being destroyed.
    frame: Option<u64>,
    /// It belongs to its thread.
    not_send: PhantomData<*const ()>,
}

impl Entered {
    fn push(executor: Handle, resides: bool) -> Self {
        Self::push_frame(executor.clock(), Source::Handle(executor), resides)
    }

    fn push_frame(clock: Option<Arc<dyn Clock>>, executor: Source, resides: bool) -> Self {
        entering();
        // While the thread's locals are being destroyed the frame is dropped here, and no executor is found.
        Self { frame: with(|stack| stack.push(executor, clock, resides)), not_send: PhantomData }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let Some(frame) = self.frame else { return };
        // This may drop an executor's last handle, whose destructor is its own code: after the borrow, not under it.
        let removed = with(|stack| stack.remove(frame));
        drop(removed);
    }
}

/// Enters the executor of a task while `end`, which never unwinds, ends the task. Nor does this unwind, whatever the
/// executor does.
///
/// A task at the limit of its references ends outside of its executor's context.
pub(crate) fn ending(task: &TaskRef, end: impl FnOnce()) {
    let context = task.try_clone().map(|executor| {
        let clock = catch(|| executor.clock()).unwrap_or_else(|payload| {
            discard(payload);
            None
        });
        Entered::push_frame(clock, Source::Task(executor), false)
    });
    end();
    contain(|| drop(context));
}

/// As [`Handle::current`].
pub(crate) fn current() -> Option<Handle> {
    if is_outside() { default::default() } else { stack::innermost() }
}

/// The clock of the executor that [`Handle::current`] finds, if that has its own.
pub(crate) fn clock() -> Option<Arc<dyn Clock>> {
    stack::clock()
}

/// The current executor. Without one, an executor that refuses everything.
pub(crate) fn here() -> Handle {
    Handle::current().unwrap_or_else(|| Handle::new(Nowhere))
}

/// The executor of a thread that is in none.
struct Nowhere;

impl Executor for Nowhere {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        let why = "no executor runs on this thread: spawn in a task or a `block_on`, or on an executor's handle";
        Err(Rejected::unable(task, why))
    }

    fn schedule(&self, task: Task) {
        drop(task);
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        crate::executor::park_on(future);
    }
}

/// Implements [`futures_task::Spawn`] for an executor: spawns and detaches.
///
/// # Errors
///
/// The executor refused the task. `futures_task` knows one reason only: that it has shut down.
pub fn spawn_obj<E: Executor + Clone>(
    executor: &E,
    future: futures_task::FutureObj<'static, ()>,
) -> Result<(), futures_task::SpawnError> {
    executor.try_spawn(future).map(drop).map_err(|_| futures_task::SpawnError::shutdown())
}
