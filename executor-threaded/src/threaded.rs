//! The executor: a task goes to a thread, which polls it to its end and sleeps while it waits.

use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use std::{fmt, io};

use futures_task::{FutureObj, SpawnError as SpawnObjError};
use polyexec_core::executor::driver::Looks;
use polyexec_core::executor::process::Process;
use polyexec_core::executor::{Boxed, OwnedTasks, Ran, Rejected, Task, context, is_large};
use polyexec_core::{Executor, Handle, JoinHandle, SpawnError, StillRunning, block_in_place, block_on};
use polyexec_threads::{Crew, Given, Jobs, Settings};

use crate::Builder;
use crate::hosts::Hosts;
use crate::mailbox::Mailbox;
use crate::steward::Steward;

/// Runs each task on a thread of its own.
///
/// # What dropping does
///
/// Shuts down: every future is dropped, on this thread or, if it is being polled, when that poll ends; every handle
/// resolves; every thread is waited for. A poll that doesn't end makes this wait for ever: see
/// [`shutdown_timeout`](Threaded::shutdown_timeout). Dropped in one of its own tasks, it doesn't wait: the threads end by
/// themselves.
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
pub struct Threaded {
    handle: ThreadedHandle,
    made_in: Process,
    /// It needs no shutdown any more.
    is_over: bool,
}

/// Spawns tasks on a [`Threaded`], from anywhere.
///
/// # What dropping does
///
/// Nothing to the executor. A handle that outlives it refuses tasks.
#[derive(Clone)]
pub struct ThreadedHandle(Arc<Shared>);

// A task's panic stays with the task, and no code of anybody's runs while a queue is changed.
impl UnwindSafe for ThreadedHandle {}
impl RefUnwindSafe for ThreadedHandle {}

struct Shared {
    crew: Crew<Task>,
    /// Each task that rests, with the mailbox of its thread.
    live: OwnedTasks<Arc<Mailbox>>,
    hosts: Hosts,
    /// If tasks wait for a thread, instead of being refused.
    steward: Option<Steward>,
}

impl Threaded {
    /// An executor that starts threads as tasks come, and uses them again.
    pub fn new() -> Self {
        Self::without_steward(Builder::new().settings())
    }

    /// Configures an executor.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// # Errors
    ///
    /// There is no thread for the steward.
    pub(crate) fn with(settings: Settings, steward: Option<Steward>) -> io::Result<Self> {
        let handle = ThreadedHandle::new(settings, steward);
        if let Some(steward) = &handle.0.steward {
            // Refers to it until the shutdown stops it.
            let executor = handle.clone();
            steward.start(move || executor.0.crew.catch_up())?;
        }
        Ok(Self { handle, made_in: Process::current(), is_over: false })
    }

    fn shut_down(&self, timeout: Option<Duration>) -> Result<(), StillRunning> {
        if self.made_in.is_current() {
            return self.handle.shut_down(timeout);
        }
        // The parent's, whose threads aren't here: its memory stays as it is.
        std::mem::forget(self.handle.clone());
        Ok(())
    }

    fn without_steward(settings: Settings) -> Self {
        Self { handle: ThreadedHandle::new(settings, None), made_in: Process::current(), is_over: false }
    }

    /// A handle, for other threads and for code that takes any executor.
    pub fn handle(&self) -> ThreadedHandle {
        self.handle.clone()
    }

    /// Spawns `future` on a thread of its own. See [`Executor::spawn`].
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        if const { is_large::<F>() } {
            return self.handle.spawn(Boxed::from(Box::new(future)));
        }
        self.handle.spawn(future)
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
        if const { is_large::<F>() } {
            return self.handle.try_spawn(Boxed::from(Box::new(future))).map_err(SpawnError::unboxed);
        }
        self.handle.try_spawn(future)
    }

    /// Shuts down as dropping it does, but waits for polls that run until `timeout` is over at the latest, and then says
    /// which these are.
    ///
    /// Futures that rest are dropped on this thread before it waits. A task that blocks for ever keeps its thread, and
    /// what its future owns; one that comes to the end of its poll later ends then, and its thread, too. Called in one of its
    /// own tasks, this doesn't wait at all, and names that task among the others.
    ///
    /// # Examples
    ///
    /// ```
    /// use polyexec_threaded::Threaded;
    /// use std::time::Duration;
    ///
    /// let threaded = Threaded::new();
    /// # let (has_begun, begin) = std::sync::mpsc::channel();
    /// let (end, is_over) = std::sync::mpsc::channel::<()>();
    /// let blocked = threaded.spawn(async move {
    /// #   has_begun.send(()).unwrap();
    ///     is_over.recv().is_err()
    /// });
    /// # begin.recv().unwrap();
    /// let left = threaded.shutdown_timeout(Duration::from_millis(10)).unwrap_err();
    /// assert_eq!(left.tasks()[0].id(), blocked.id());
    /// println!("{left}");
    ///
    /// drop(end);
    /// assert!(blocked.join().unwrap());
    /// ```
    ///
    /// # Errors
    ///
    /// Not all threads have ended: [`StillRunning`] names each task that has one, and counts the threads. A thread that is in
    /// its [`on_thread_stop`](Builder::on_thread_stop) hook, or in a destructor of its locals, has no task any more.
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Result<(), StillRunning> {
        self.is_over = true;
        self.shut_down(Some(timeout))
    }

    /// Polls `future` on this thread until it is ready. See [`Executor::block_on`].
    ///
    /// # Panics
    ///
    /// If `future` does.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        if const { is_large::<F>() } {
            return self.handle.block_on(Box::pin(future));
        }
        self.handle.block_on(future)
    }
}

impl Default for Threaded {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Threaded {
    fn drop(&mut self) {
        if !self.is_over {
            // Without a limit there is nothing to tell, but in a task of its own: that the task still runs.
            let _ = self.shut_down(None);
        }
    }
}

impl ThreadedHandle {
    fn new(settings: Settings, steward: Option<Steward>) -> Self {
        Self(Arc::new_cyclic(|shared: &Weak<Shared>| {
            let shared = shared.clone();
            let body = move |jobs| {
                // A thread is started for a task, which holds on to its executor; so only a race with the end of
                // everything finds none here.
                if let Some(shared) = shared.upgrade() {
                    host(ThreadedHandle(shared), jobs);
                }
            };
            Shared { crew: Crew::new(settings, body), live: OwnedTasks::new(), hosts: Hosts::default(), steward }
        }))
    }

    /// Ends everything, and waits for the threads, at most so long. Once more, it only waits.
    pub(crate) fn shut_down(&self, timeout: Option<Duration>) -> Result<(), StillRunning> {
        // One that is too far away is none.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let Shared { crew, live, hosts, steward } = &*self.0;
        // First: it starts no thread for a crew that is closed.
        steward.iter().for_each(Steward::stop);
        // No more tasks, then none of those that there are: a thread that still has one to begin ends it.
        crew.close();
        live.close_with(|mailbox| mailbox.close());
        // This may be a task of another executor, and tasks that are still polled here may wait for it.
        match block_in_place(|| crew.join_until(deadline)) {
            0 => Ok(()),
            threads => Err(StillRunning::new(hosts.unfinished(), threads)),
        }
    }
}

impl Executor for ThreadedHandle {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        let given = match &self.0.steward {
            None => self.0.crew.give(task),
            Some(steward) => self.0.crew.give_or_queue(task).map(|given| match given {
                Given::Taken => {}
                Given::Behind => steward.call(),
            }),
        };
        given.map_err(|refused| match refused.cause {
            Some(cause) => Rejected::unable(refused.job, cause),
            None => Rejected::shut_down(refused.job),
        })
    }

    fn schedule(&self, task: Task) {
        match self.0.live.data(&task) {
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
        context::spawn_obj(&self.handle, future)
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
    let host = executor.0.hosts.enter();
    let mut looks = Looks::new();
    for mut task in tasks {
        host.hosts(&task);
        loop {
            task = match live.run_with(task, || mailbox.clone()) {
                Ran::Finished => break,
                Ran::Again(task) => {
                    looks.polled();
                    task
                }
                Ran::Waiting => {
                    looks.polled();
                    match mailbox.take() {
                        Some(task) => task,
                        // The executor has shut down: the tasks that are left end when they are run.
                        None => break,
                    }
                }
            };
        }
        host.is_idle();
    }
}
