//! The task: what an executor moves, and what it may do with it.

use alloc::sync::Arc;
use core::fmt;
use core::panic::Location;
use core::sync::atomic::Ordering::Relaxed;

pub use builder::Builder;
#[cfg(feature = "std")]
pub use id::Home;
pub use id::TaskId;

use crate::error::Failure;
use crate::{Executor, JoinHandle};
use cell::{Cell, Runnable};
pub(crate) use spawn::{spawn, try_spawn};

mod builder;
pub(crate) mod cell;
#[cfg(feature = "std")]
mod home;
pub(crate) mod id;
pub(crate) mod label;
mod spawn;
mod state;

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
pub struct Task(Option<Arc<dyn Runnable>>);

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

impl Task {
    /// Makes a task of `future`, which calls `executor` when it is woken, and its handle. One allocation.
    ///
    /// This is for executors that have a way of their own to spawn; all others use [`Executor::spawn`].
    #[track_caller]
    pub fn new<F, E>(future: F, executor: E) -> (Self, JoinHandle<F::Output>)
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
        E: Executor,
    {
        let cell = Cell::new(future, executor, Location::caller());
        (Self::from_shared(cell.clone()), JoinHandle::new(cell))
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
    /// thread then ends the process.
    #[cfg(feature = "std")]
    #[track_caller]
    pub fn new_local<F, E>(future: F, executor: E) -> (Self, JoinHandle<F::Output>)
    where
        F: Future + 'static,
        F::Output: 'static,
        E: Executor,
    {
        let cell = Cell::new_local(future, executor, Location::caller());
        (Self::from_shared(cell.clone()), JoinHandle::new(cell))
    }

    /// Polls the task's future once, on this thread; or drops it, if the task was aborted.
    ///
    /// Never panics: a panic of the future goes to the handle.
    pub fn run(mut self) -> Ran {
        match self.0.take() {
            Some(cell) => cell.run(),
            None => unreachable!("only `run` and `drop` take the cell, and both end the `Task`"),
        }
    }

    /// The task's id, the same as its handle's.
    pub fn id(&self) -> TaskId {
        self.cell().header().id
    }

    /// The name that it was spawned with, if any.
    pub fn name(&self) -> Option<&str> {
        self.cell().label().name()
    }

    /// The place in the source that spawned it.
    pub fn location(&self) -> &'static Location<'static> {
        self.cell().label().location()
    }

    /// The word that belongs to the task's executor; zero in a new task.
    ///
    /// [`LiveTasks`](crate::LiveTasks) keeps a task's place in its table here, so an executor that uses it has no
    /// other use for the word.
    pub fn word(&self) -> usize {
        // Relaxed: ordered by what moves the task; `run` and `schedule` come after what was set before them.
        self.cell().header().word.load(Relaxed)
    }

    /// Sets the word that belongs to the task's executor.
    pub fn set_word(&self, word: usize) {
        // Relaxed: as in `word`.
        self.cell().header().word.store(word, Relaxed);
    }

    pub(crate) fn from_shared(cell: Arc<dyn Runnable>) -> Self {
        Self(Some(cell))
    }

    #[cfg(feature = "std")]
    pub(crate) fn share(&self) -> Arc<dyn Runnable> {
        self.cell().clone()
    }

    /// Ends the task with `why`, unless it is over already.
    pub(crate) fn end(mut self, why: Failure) {
        if let Some(cell) = self.0.take() {
            cell.shut_down(why);
        }
    }

    fn cell(&self) -> &Arc<dyn Runnable> {
        self.0.as_ref().expect("only `run` and `drop` take the cell, and both end the `Task`")
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(cell) = self.0.take() {
            cell.shut_down(Failure::ShutDown);
        }
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("id", &self.id())
            .field("name", &self.name())
            .field("location", &format_args!("{}", self.location()))
            .finish()
    }
}
