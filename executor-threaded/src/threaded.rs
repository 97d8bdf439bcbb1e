//! The executor: each task gets a thread, which polls it to its end. Leaves the threads to `polyexec-threads`.

use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use std::{fmt, io};

use futures_task::{FutureObj, SpawnError as SpawnObjError};
use polyexec_core::executor::driver::Looks;
use polyexec_core::executor::process::Process;
use polyexec_core::executor::{Boxed, OwnedTasks, Ran, Rejected, Task, context, is_large};
use polyexec_core::observe::{Observer, WorkerEvent, tell_worker};
use polyexec_core::task::Scope;
use polyexec_core::{Executor, Handle, JoinHandle, SpawnError, StillRunning, block_in_place, block_on};
use polyexec_threads::{Jobs, Settings, Submitted, ThreadPool, WhenBusy};

use crate::Builder;
use crate::parked::ParkedSlot;
use crate::respawner::Respawner;
use crate::running::RunningSlots;

/// Runs each task on a thread of its own.
///
/// # What dropping does
///
/// Shuts down: drops every future, resolves every handle, and joins every thread. A future that is being polled is dropped on
/// its own thread when the poll ends, any other one on this thread.
///
/// A poll that never ends blocks this for ever: see [`shutdown_timeout`](Threaded::shutdown_timeout). In one of its own tasks,
/// the drop joins nothing: the threads end by themselves.
///
/// # Examples
///
/// ```
/// use polyexec_threaded::Threaded;
///
/// let threaded = Threaded::new();
/// // The task may block: it has the thread to itself.
/// let slow = threaded.spawn(async { std::fs::read("Cargo.toml").map(|bytes| bytes.len()) });
/// println!("{:?}", slow.join());
/// ```
#[derive(Debug)]
pub struct Threaded {
    handle: ThreadedHandle,
    made_in: Process,
    /// Shut down already: the drop does nothing.
    is_over: bool,
}

/// Spawns tasks on a [`Threaded`], from anywhere.
///
/// # What dropping does
///
/// Nothing to the executor. A handle that outlives its executor refuses tasks.
#[derive(Clone)]
pub struct ThreadedHandle(Arc<Shared>);

// A task's panic stays with the task, and no user code runs while a queue changes.
impl UnwindSafe for ThreadedHandle {}
impl RefUnwindSafe for ThreadedHandle {}

struct Shared {
    threads: ThreadPool<Task>,
    /// Each idle task, with the parked slot of its thread.
    owned: OwnedTasks<Arc<ParkedSlot>>,
    running: RunningSlots,
    observer: Option<Arc<dyn Observer>>,
    /// Present if tasks wait for a busy thread instead of being refused.
    respawner: Option<Respawner>,
}

impl Threaded {
    /// An executor that starts threads when it needs them, and reuses them.
    pub fn new() -> Self {
        Self::over(ThreadedHandle::new(Builder::new().settings(), None, None))
    }

    /// Configures an executor.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// # Errors
    ///
    /// The system has no thread for the respawner.
    pub(crate) fn with(
        settings: Settings,
        respawner: Option<Respawner>,
        observer: Option<Arc<dyn Observer>>,
    ) -> io::Result<Self> {
        let handle = ThreadedHandle::new(settings, respawner, observer);
        if let Some(respawner) = &handle.0.respawner {
            // A cycle, until the shutdown stops the respawner.
            let executor = handle.clone();
            respawner.start(move || executor.0.threads.retry())?;
        }
        Ok(Self::over(handle))
    }

    fn over(handle: ThreadedHandle) -> Self {
        Self { handle, made_in: Process::current(), is_over: false }
    }

    fn shut_down(&self, timeout: Option<Duration>) -> Result<(), StillRunning> {
        if self.made_in.is_current() {
            return self.handle.shut_down(timeout);
        }
        // A forked child has none of its parent's threads: leave the executor as it is.
        std::mem::forget(self.handle.clone());
        Ok(())
    }

    /// A handle, for other threads, and for code that takes any executor.
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
    /// The system has no thread, or the executor has as many as [`max_threads`](Builder::max_threads) allows.
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

    /// Shuts down like a drop, but waits for running polls until `timeout` at most. Then it names those that still run.
    ///
    /// Idle futures are dropped on this thread before it waits. A task whose poll ends later ends then, with its thread. A task
    /// that blocks for ever keeps its thread, and what its future owns. In one of its own tasks, this waits for nothing, and
    /// names that task, too.
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
    /// Some threads were still running: [`StillRunning`] names their tasks, and counts the threads. A thread in its
    /// [`on_thread_stop`](Builder::on_thread_stop) hook, or in a destructor of its thread-locals, has no task any more.
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

    /// Calls `body`, which may spawn children that borrow, and returns once they have ended. See [`Executor::scope`].
    ///
    /// # Panics
    ///
    /// If `body` or a child does.
    #[track_caller]
    pub fn scope<'env, T>(&self, body: impl for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T) -> T {
        self.handle.scope(body)
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
            // Fails only in a task of its own, which still runs.
            let _ = self.shut_down(None);
        }
    }
}

impl ThreadedHandle {
    fn new(settings: Settings, respawner: Option<Respawner>, observer: Option<Arc<dyn Observer>>) -> Self {
        Self(Arc::new_cyclic(|shared: &Weak<Shared>| {
            let shared = shared.clone();
            let body = move |jobs| {
                // A thread starts with a task, which refers to its executor. So this fails only at the very end.
                if let Some(shared) = shared.upgrade() {
                    run(ThreadedHandle(shared), jobs);
                }
            };
            Shared {
                threads: ThreadPool::new(settings, body),
                owned: OwnedTasks::new(),
                running: RunningSlots::default(),
                observer,
                respawner,
            }
        }))
    }

    /// Ends all tasks, then joins the threads until `timeout`. A second call only joins.
    pub(crate) fn shut_down(&self, timeout: Option<Duration>) -> Result<(), StillRunning> {
        // A deadline beyond what `Instant` can hold is none.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let Shared { threads, owned, running, respawner, .. } = &*self.0;
        // First: nothing starts a thread for a closed pool.
        respawner.iter().for_each(Respawner::stop);
        // First refuse new tasks, then end idle ones. A task that a thread takes after this ends when it is run.
        threads.close();
        owned.close_with(|parked| parked.close());
        // The caller may be a task of another executor, whose other tasks the polls here may wait for.
        match block_in_place(|| threads.join_until(deadline)) {
            0 => Ok(()),
            left => Err(StillRunning::new(running.unfinished(), left)),
        }
    }
}

impl Executor for ThreadedHandle {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        let Shared { threads, respawner, .. } = &*self.0;
        let when_busy = if respawner.is_some() { WhenBusy::Wait } else { WhenBusy::Refuse };
        match threads.submit(task, when_busy) {
            Ok(Submitted::Accepted) => {}
            Ok(Submitted::ShortOfThreads) => respawner.iter().for_each(Respawner::wake),
            Err(refused) => {
                return Err(match refused.into_parts() {
                    (job, Some(cause)) => Rejected::unable(job, cause),
                    (job, None) => Rejected::shut_down(job),
                });
            }
        }
        Ok(())
    }

    fn schedule(&self, task: Task) {
        match self.0.owned.data(&task) {
            Some(parked) => parked.put(task),
            // The executor has shut down, and the task has ended.
            None => drop(task),
        }
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        let _context = context::enter(Handle::new(self.clone()));
        block_on(future);
    }

    #[inline]
    fn observer(&self) -> Option<&dyn Observer> {
        self.0.observer.as_deref()
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
        f.debug_struct("ThreadedHandle").field("threads", &self.0.threads).field("owned", &self.0.owned).finish()
    }
}

/// The loop of each thread: takes one task after another, and polls each to its end.
fn run(executor: ThreadedHandle, tasks: Jobs<Task>) {
    let owned = &executor.0.owned;
    let _context = context::reside(Handle::new(executor.clone()));
    let parked = Arc::new(ParkedSlot::default());
    let running = executor.0.running.add();
    let tell =
        |event| executor.observer().into_iter().for_each(|observer| tell_worker(observer, running.number(), event));
    tell(WorkerEvent::Started);
    let mut looks = Looks::new();
    for mut task in tasks {
        running.set(&task);
        loop {
            task = match owned.run_with(task, || parked.clone()) {
                Ran::Finished => break,
                Ran::Again(task) => {
                    looks.polled();
                    task
                }
                Ran::Waiting => {
                    looks.polled();
                    tell(WorkerEvent::Parked);
                    let woken = parked.take();
                    tell(WorkerEvent::Unparked);
                    match woken {
                        Some(task) => task,
                        // The shutdown has ended the task. Those that are left end when they are run.
                        None => break,
                    }
                }
            };
        }
        running.clear();
    }
    tell(WorkerEvent::Stopped);
}
