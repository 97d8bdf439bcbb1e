//! The task: what an executor moves and runs. README.md beside this file has the states of a task.

use alloc::boxed::Box;
use core::fmt;
use core::panic::{RefUnwindSafe, UnwindSafe};

pub use budget::{Proceed, consume_budget, has_budget_remaining, poll_proceed, unconstrained};
pub use builder::Builder;
pub use id::TaskId;
pub use info::TaskInfo;
#[cfg(feature = "std")]
pub use info::current;
pub(crate) use large::{Boxed, is_large};
#[cfg(feature = "std")]
pub use scope::{Scope, ScopedJoinHandle};

#[cfg(feature = "std")]
use crate::AbortHandle;
use crate::error::Failure;
use crate::{Executor, JoinHandle};
use cell::{DropGuard, Label};
#[cfg(feature = "std")]
use cell::{Table, TaskRef};
pub(crate) use spawn::{spawn, try_spawn};

pub(crate) mod budget;
mod builder;
pub(crate) mod cell;
pub(crate) mod current;
pub(crate) mod id;
mod info;
pub(crate) mod large;
#[cfg(feature = "std")]
pub(crate) mod scope;
pub(crate) mod slot;
mod spawn;
mod state;
#[cfg(feature = "std")]
pub(crate) mod thread_bound;
mod transition;

/// A task that is ready to run: a spawned future, its type erased.
///
/// A task has at most one `Task` at any time, and only its owner may [`run`](Task::run) it. An executor gets it from
/// [`Executor::submit`], from [`Executor::schedule`] after a wake, and from [`Ran::Again`].
///
/// # What dropping does
///
/// Ends the task without running it: its future is dropped here and now, and its handle resolves as shut down. So a queue that is
/// dropped with its executor leaves no handle waiting.
pub struct Task(DropGuard);

/// What became of a task that was run.
///
/// Exhaustive on purpose: an executor that ignored an answer would lose a task.
#[must_use = "the task in `Ran::Again` must go back to a queue, or it is cancelled"]
#[derive(Debug)]
pub enum Ran {
    /// It has ended: its future was dropped, and its handle has the result.
    Finished,
    /// It is idle. A wake will bring it to [`Executor::schedule`].
    Waiting,
    /// It was woken during its poll. Queue it behind the ready tasks, so that none starves.
    Again(Task),
}

// A future that panicked is never polled again, and the state is changed in one step.
impl UnwindSafe for Task {}
impl RefUnwindSafe for Task {}

impl Task {
    /// Makes a task of `future`, and its handle. A wake of the task calls `executor`.
    ///
    /// It allocates once, and once more for a future or an output that [is large](is_large). Use [`Executor::spawn`] unless the
    /// executor spawns in a way of its own.
    #[track_caller]
    pub fn new<F, E>(future: F, executor: E) -> (Self, JoinHandle<F::Output>)
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
        E: Executor,
    {
        if const { is_large::<F>() } {
            return spawn::new(Boxed::from(Box::new(future)), executor, Label::here());
        }
        spawn::new(future, executor, Label::here())
    }

    /// As [`new`](Task::new), for a future that isn't `Send`: it belongs to the calling thread.
    ///
    /// The task may go to any thread, but must be run and dropped on this one.
    ///
    /// # Panics
    ///
    /// A task that is first run on another thread ends with a panic in its handle. There, or if it is dropped there unpolled, its
    /// future leaks, since dropping it would be unsound.
    ///
    /// A polled future is pinned and may not leak. So an executor that then runs or drops its task on another thread ends the
    /// process. Without a [table](crate::executor::OwnedTasks), so does dropping the last waker or handle on another thread.
    #[cfg(feature = "std")]
    #[track_caller]
    pub fn new_local<F, E>(future: F, executor: E) -> (Self, JoinHandle<F::Output>)
    where
        F: Future + 'static,
        F::Output: 'static,
        E: Executor,
    {
        if const { is_large::<F>() } {
            return thread_bound::new(Boxed::from(Box::new(future)), executor, Label::here());
        }
        thread_bound::new(future, executor, Label::here())
    }

    pub(crate) fn of(cell: DropGuard) -> Self {
        Self(cell)
    }

    /// Polls the task's future once, on this thread. Drops it instead if the task was aborted.
    ///
    /// Never panics: the handle gets the future's panic. Without `std`, the panic also unwinds out of this call, after the
    /// task has ended.
    ///
    /// A future that panicked is dropped during the unwinding, so that a destructor may ask
    /// [`std::thread::panicking`](https://doc.rust-lang.org/std/thread/fn.panicking.html). A second panic, of a destructor, is
    /// contained; without `std` it ends the process.
    ///
    /// Its wakers and its handle keep an idle task; the last of them drops it. An executor that must end its idle tasks at
    /// shutdown uses [`OwnedTasks::run`](crate::executor::OwnedTasks::run) instead.
    pub fn run(self) -> Ran {
        self.0.into_ref().run(None)
    }

    /// As [`run`](Task::run), for an executor with a table, into which it inserts the task before that is idle.
    #[cfg(feature = "std")]
    #[inline]
    pub(crate) fn run_in(self, table: &dyn Table) -> Ran {
        self.0.into_ref().run(Some(table))
    }

    pub(crate) fn address(&self) -> usize {
        self.0.address()
    }

    /// The task's id, the same as its handle's.
    pub fn id(&self) -> TaskId {
        self.0.header().id
    }

    /// The task's id, name and place.
    pub fn info(&self) -> TaskInfo {
        self.0.info()
    }

    /// A handle that aborts the task and names it, even after the task has ended.
    ///
    /// # Panics
    ///
    /// If the task has 2²⁶ wakers and handles already. On an executor's own thread, call
    /// [`try_abort_handle`](Task::try_abort_handle): a task that leaks its wakers shouldn't end the thread.
    #[cfg(feature = "std")]
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle::new(TaskRef::clone(&self.0))
    }

    /// As [`abort_handle`](Task::abort_handle), but `None` where that panics.
    #[cfg(feature = "std")]
    pub fn try_abort_handle(&self) -> Option<AbortHandle> {
        self.0.try_clone().map(AbortHandle::new)
    }

    /// The task's key in its executor's table; zero: it is in none.
    #[cfg(feature = "std")]
    pub(crate) fn key(&self) -> u32 {
        self.0.key()
    }

    /// Ends the task with `why`, unless it has ended already.
    pub(crate) fn end(self, why: Failure) {
        self.0.into_ref().cancel(why);
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Task").field(&self.info()).finish()
    }
}
