//! The executor: a task goes to a thread, which polls it to its end and sleeps while it waits.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Weak};

use futures_task::{FutureObj, SpawnError as SpawnObjError};
use polyexec_core::{
    Executor, Handle, JoinHandle, LiveTasks, Ran, Rejected, SpawnError, Task, block_in_place, block_on, context,
};
use polyexec_crew::{Crew, Jobs, Settings};

use crate::Builder;
use crate::mailbox::Mailbox;

/// Runs each task on a thread of its own.
///
/// # What dropping does
///
/// Shuts down: every future is dropped, on this thread or, if it is being polled, when that poll ends; every handle
/// resolves; every thread is waited for. A poll that doesn't end makes this wait for ever. Dropped in one of its own
/// tasks, it doesn't wait: the threads end by themselves.
///
/// # Examples
///
/// ```
/// use polyexec_threaded::Threaded;
///
/// let threaded = Threaded::new();
/// // It may block: the thread is its own.
/// let slow = threaded.spawn(async { std::fs::read("Cargo.toml").map(|bytes| bytes.len()) });
/// println!("{:?}", slow.join());
/// ```
#[derive(Debug)]
pub struct Threaded(ThreadedHandle);

/// Spawns tasks on a [`Threaded`], from anywhere.
///
/// # What dropping does
///
/// Nothing to the executor. A handle that outlives it refuses tasks.
#[derive(Clone)]
pub struct ThreadedHandle(Arc<Shared>);

struct Shared {
    crew: Crew<Task>,
    /// Each task that rests, with the mailbox of its thread.
    live: LiveTasks<Arc<Mailbox>>,
}

impl Threaded {
    /// An executor that starts threads as tasks come, and uses them again.
    pub fn new() -> Self {
        Self::with(Builder::new().settings())
    }

    /// Configures an executor.
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(crate) fn with(settings: Settings) -> Self {
        Self(ThreadedHandle(Arc::new_cyclic(|shared: &Weak<Shared>| {
            let shared = shared.clone();
            let body = move |jobs| {
                // A thread is started for a task, which holds on to its executor; so only a race with the end of
                // everything finds none here.
                if let Some(shared) = shared.upgrade() {
                    host(ThreadedHandle(shared), jobs);
                }
            };
            Shared { crew: Crew::new(settings, body), live: LiveTasks::new() }
        })))
    }

    /// A handle, for other threads and for code that takes any executor.
    pub fn handle(&self) -> ThreadedHandle {
        self.0.clone()
    }

    /// Spawns `future` on a thread of its own. See [`Executor::spawn`].
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.spawn(future)
    }

    /// Spawns `future` on a thread of its own, or gives it back. See [`Executor::try_spawn`].
    ///
    /// # Errors
    ///
    /// No thread can be had, or there are [as many as may be](Builder::max_threads).
    #[track_caller]
    pub fn try_spawn<F>(&self, future: F) -> Result<JoinHandle<F::Output>, SpawnError<F>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.try_spawn(future)
    }

    /// Polls `future` on this thread until it is ready. See [`Executor::block_on`].
    ///
    /// # Panics
    ///
    /// If `future` does.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }
}

impl Default for Threaded {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Threaded {
    fn drop(&mut self) {
        let Shared { crew, live } = &*self.0.0;
        // No more tasks, then none of those that there are: a thread that still has one to begin ends it.
        drop(crew.close());
        live.close_with(|mailbox| mailbox.close());
        // This may be a task of another executor, and tasks that are still polled here may wait for it.
        block_in_place(|| crew.join());
    }
}

impl Executor for ThreadedHandle {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        self.0.crew.give(task).map_err(|refused| match refused.cause {
            Some(cause) => Rejected::unable(refused.job, cause),
            None => Rejected::shut_down(refused.job),
        })
    }

    fn schedule(&self, task: Task) {
        match self.0.live.about(&task) {
            Some(mailbox) => mailbox.put(task),
            // The executor has shut down, and the task has ended.
            None => drop(task),
        }
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        let _context = context::enter(Handle::new(self.clone()));
        block_on(future);
    }
}

impl futures_task::Spawn for ThreadedHandle {
    fn spawn_obj(&self, future: FutureObj<'static, ()>) -> Result<(), SpawnObjError> {
        context::spawn_obj(self, future)
    }
}

impl futures_task::Spawn for Threaded {
    fn spawn_obj(&self, future: FutureObj<'static, ()>) -> Result<(), SpawnObjError> {
        context::spawn_obj(&self.0, future)
    }
}

impl fmt::Debug for ThreadedHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadedHandle").field("crew", &self.0.crew).field("live", &self.0.live).finish()
    }
}

/// What each thread does: one task after another, each to its end.
fn host(executor: ThreadedHandle, tasks: Jobs<Task>) {
    let live = &executor.0.live;
    let _context = context::reside(Handle::new(executor.clone()));
    let mailbox = Arc::new(Mailbox::default());
    for mut task in tasks {
        loop {
            task = match live.run_with(task, || mailbox.clone()) {
                Ran::Finished => break,
                Ran::Again(task) => task,
                Ran::Waiting => match mailbox.take() {
                    Some(task) => task,
                    // The executor has shut down: the tasks that are left end when they are run.
                    None => break,
                },
            };
        }
    }
}
