//! The task: what an executor moves, and what it may do with it.

use alloc::boxed::Box;
use core::fmt;
use core::panic::{Location, RefUnwindSafe, UnwindSafe};

pub use budget::{Proceed, consume_budget, has_budget_remaining, poll_proceed, unconstrained};
pub use builder::Builder;
#[cfg(feature = "std")]
pub use cell::current_id;
pub use id::TaskId;
pub use info::TaskInfo;
pub(crate) use large::{Boxed, is_large};

#[cfg(feature = "std")]
use crate::AbortHandle;
use crate::error::Failure;
use crate::{Executor, JoinHandle};
use cell::DropGuard;
#[cfg(feature = "std")]
use cell::{Table, TaskRef};
pub(crate) use spawn::{spawn, try_spawn};

pub(crate) mod budget;
mod builder;
pub(crate) mod cell;
pub(crate) mod current;
pub(crate) mod id;
mod info;
pub(crate) mod label;
pub(crate) mod large;
pub(crate) mod slot;
mod spawn;
mod state;
#[cfg(feature = "std")]
pub(crate) mod thread_bound;
mod transition;

/// A task that is ready to run: the future of somebody's `spawn`, to whom its types don't matter any more.
///
/// There is at most one `Task` of a task at any time, in a queue or on its way: whoever has it is the one to
/// [`run`](Task::run) it. An executor gets it from [`Executor::submit`], from [`Executor::schedule`] when it was
/// woken, and from [`Ran::Again`].
///
/// # What dropping does
///
/// Dropping a `Task` instead of running it ends the task: its future is dropped, here and now, and its handle resolves
/// as shut down. So a queue that is dropped with its executor loses nothing and leaves nobody waiting.
pub struct Task(DropGuard);

/// What became of a task that was run.
#[must_use = "the task in `Ran::Again` must go back to a queue, or it is cancelled"]
#[derive(Debug)]
pub enum Ran {
    /// It is over: its future was dropped, and its handle has the result.
    Finished,
    /// It rests until it is woken; then it comes to [`Executor::schedule`].
    Waiting,
    /// It was woken while it ran. Put it behind the tasks that wait already, so that none starves.
    Again(Task),
}

// A future that panicked is never polled again, and the state is changed in one step.
impl UnwindSafe for Task {}
impl RefUnwindSafe for Task {}

impl Task {
    /// Makes a task of `future`, which calls `executor` when it is woken, and its handle. One allocation, and another one for a
    /// future or an output that [is large](is_large).
    ///
    /// This is for executors that have a way of their own to spawn; all others use [`Executor::spawn`].
    #[track_caller]
    pub fn new<F, E>(future: F, executor: E) -> (Self, JoinHandle<F::Output>)
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
        E: Executor,
    {
        if const { is_large::<F>() } {
            return spawn::new(Boxed::from(Box::new(future)), executor, Location::caller());
        }
        spawn::new(future, executor, Location::caller())
    }

    /// As [`new`](Task::new), for a future that isn't `Send`: it belongs to the calling thread.
    ///
    /// The task itself may go to any thread, but must be run and dropped on this one.
    ///
    /// # Panics
    ///
    /// Run on another thread before it was ever run at home, the task finishes with a panic in its handle, and the
    /// future leaks; dropped on another thread, the future leaks, too: dropping it there would be unsound.
    ///
    /// A future that was polled is pinned, and may not even leak: an executor that runs or drops its task on another
    /// thread then ends the process. So does one that runs it without a [table](crate::executor::OwnedTasks), if the last of its
    /// wakers and handles is dropped on another thread.
    #[cfg(feature = "std")]
    #[track_caller]
    pub fn new_local<F, E>(future: F, executor: E) -> (Self, JoinHandle<F::Output>)
    where
        F: Future + 'static,
        F::Output: 'static,
        E: Executor,
    {
        if const { is_large::<F>() } {
            return thread_bound::new(Boxed::from(Box::new(future)), executor, Location::caller());
        }
        thread_bound::new(future, executor, Location::caller())
    }

    pub(crate) fn of(cell: DropGuard) -> Self {
        Self(cell)
    }

    /// Polls the task's future once, on this thread; or drops it, if the task was aborted.
    ///
    /// Never panics: a panic of the future goes to the handle. Without `std` it also unwinds further, out of this call; the
    /// task has ended then, too.
    ///
    /// A future that panicked is dropped during the unwinding, so that a destructor may ask
    /// [`std::thread::panicking`](https://doc.rust-lang.org/std/thread/fn.panicking.html). If a destructor panics then, that
    /// panic is contained, and the handle has the first one; without `std` it ends the process.
    ///
    /// An executor that shuts down while tasks rest runs them with [`OwnedTasks::run`](crate::executor::OwnedTasks::run) instead.
    /// Run with this, a task that rests is kept by its wakers and its handle, and dropped with the last of them.
    pub fn run(self) -> Ran {
        self.0.into_ref().run(None)
    }

    /// As [`run`](Task::run), for an executor with a table: there the task is entered before it rests.
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

    /// Aborts the task, and tells what it is called, from anywhere, for as long as one likes: when it is over, too.
    ///
    /// # Panics
    ///
    /// If the task has 2²⁶ wakers and handles already. An executor's own threads call
    /// [`try_abort_handle`](Task::try_abort_handle): a task that leaks its wakers is no reason for one of them to end.
    #[cfg(feature = "std")]
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle::new(TaskRef::clone(&self.0))
    }

    /// As [`abort_handle`](Task::abort_handle). `None` where that panics.
    #[cfg(feature = "std")]
    pub fn try_abort_handle(&self) -> Option<AbortHandle> {
        self.0.try_clone().map(AbortHandle::new)
    }

    /// The task's key in its executor's table; zero: it is in none.
    #[cfg(feature = "std")]
    pub(crate) fn key(&self) -> u32 {
        self.0.key()
    }

    /// Ends the task with `why`, unless it is over already.
    pub(crate) fn end(self, why: Failure) {
        self.0.into_ref().cancel(why);
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Task").field(&self.info()).finish()
    }
}
