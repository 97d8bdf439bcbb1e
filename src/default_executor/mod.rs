//! The process's default executor: started when the first task needs it, never shut down.
//!
//! Which one it is, and how it is started, is said in the module of its feature.

use std::io;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use polyexec_core::executor::process::{PerProcess, Process};
use polyexec_core::executor::{Boxed, Rejected, Task, context, is_large};
use polyexec_core::{Executor, Handle, JoinHandle, SpawnError};

#[cfg(all(feature = "local", not(any(feature = "pool", feature = "threaded"))))]
use local as chosen;
#[cfg(feature = "pool")]
use pool as chosen;
#[cfg(all(feature = "threaded", not(feature = "pool")))]
use threaded as chosen;

#[cfg(all(feature = "local", not(any(feature = "pool", feature = "threaded"))))]
mod local;
#[cfg(feature = "pool")]
mod pool;
#[cfg(all(feature = "threaded", not(feature = "pool")))]
mod threaded;

/// The kind of the default executor: the first of pool, threaded, local that is compiled in.
pub type DefaultExecutor = chosen::Owner;

/// Set once, when the default executor has started.
static STARTED: PerProcess<chosen::Handle> = PerProcess::new();

/// Held while it is being started. No user code runs meanwhile.
static STARTING: PerProcess<Mutex<()>> = PerProcess::new();

/// A handle of the process's default executor, which may not have started yet: its first task starts it.
///
/// The default executor is the first of pool, threaded, local that is compiled in, as its crate sets it up by default.
/// It lives as long as the process: what it runs when `main` returns ends there. (Where `local` is the only one, it
/// runs on a thread of its own, in the background.)
///
/// Should it be impossible to start it, because no thread is to be had, then that task is rejected, and the next one
/// tries again.
///
/// # What dropping does
///
/// Nothing to the executor.
///
/// # Examples
///
/// ```
/// use polyexec::{DefaultHandle, Executor, task};
///
/// let reader = task::Builder::new().name("reader").spawn_on(&DefaultHandle, async { 1 + 1 });
/// assert_eq!(DefaultHandle.block_on(reader).unwrap(), 2);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DefaultHandle;

impl DefaultHandle {
    /// Starts the default executor, unless it runs already: for a program that wants to know early whether it can.
    ///
    /// # Errors
    ///
    /// The system's reason for not starting a thread.
    pub fn start(self) -> io::Result<()> {
        started().map(drop)
    }
}

impl Executor for DefaultHandle {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        match started() {
            Ok(executor) => executor.submit(task),
            Err(cause) => Err(Rejected::unable(task, cause)),
        }
    }

    fn schedule(&self, task: Task) {
        match STARTED.get() {
            Some(executor) => executor.schedule(task),
            // It has taken no task yet, so there is none of its own to wake.
            None => drop(task),
        }
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        let _context = context::enter(handle());
        polyexec_core::block_on(future);
    }
}

/// Spawns `future` as a task of its own, and returns its handle.
///
/// Inside a task, and inside an executor's `block_on`, this is a task of that executor; elsewhere of the process's
/// [default executor](DefaultHandle), which is started if need be. It never panics: an executor that can't take the
/// task resolves the handle with an error.
///
/// # Examples
///
/// ```
/// let outer = polyexec::spawn(async {
///     let inner = polyexec::spawn(async { 6 });
///     inner.await.map(|six| six * 7)
/// });
/// assert_eq!(outer.join().unwrap().unwrap(), 42);
/// ```
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    if const { is_large::<F>() } {
        return spawn_small(Boxed::from(Box::new(future)));
    }
    spawn_small(future)
}

#[track_caller]
fn spawn_small<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match Handle::current() {
        Some(executor) => executor.spawn(future),
        None => DefaultHandle.spawn(future),
    }
}

/// As [`spawn`], but gives the future back if the executor can't take it.
///
/// # Errors
///
/// The executor's reason for not taking the task, and the future.
#[track_caller]
pub fn try_spawn<F>(future: F) -> Result<JoinHandle<F::Output>, SpawnError<F>>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    if const { is_large::<F>() } {
        return try_spawn_small(Boxed::from(Box::new(future))).map_err(SpawnError::unboxed);
    }
    try_spawn_small(future)
}

#[track_caller]
fn try_spawn_small<F>(future: F) -> Result<JoinHandle<F::Output>, SpawnError<F>>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match Handle::current() {
        Some(executor) => executor.try_spawn(future),
        None => DefaultHandle.try_spawn(future),
    }
}

/// Polls `future` on this thread until it is ready, and sleeps between the polls until its waker is called.
///
/// Works anywhere: on a plain thread, inside another `block_on`, and inside a task, where the executor's other tasks go
/// on meanwhile. [`spawn`] finds the executor of the surrounding task, and outside of one the
/// [default executor](DefaultHandle); this alone doesn't start it.
///
/// # Examples
///
/// ```
/// let sum = polyexec::block_on(async {
///     let tasks = [1, 2, 3].map(|n| polyexec::spawn(async move { n * n }));
///     let mut sum = 0;
///     for task in tasks {
///         sum += task.await?;
///     }
///     Ok::<_, polyexec::JoinError>(sum)
/// });
/// assert_eq!(sum.unwrap(), 14);
/// ```
///
/// # Panics
///
/// If `future` does.
pub fn block_on<F: Future>(future: F) -> F::Output {
    if const { is_large::<F>() } {
        return context::block_on_default(handle, Box::pin(future));
    }
    context::block_on_default(handle, future)
}

/// This thread's: so threads that ask for it often don't meet at one count.
fn handle() -> Handle {
    thread_local!(static HANDLE: Handle = Handle::new(DefaultHandle));
    // While the thread's locals are being destroyed, there is none.
    HANDLE.try_with(Handle::clone).unwrap_or_else(|_| Handle::new(DefaultHandle))
}

/// The default executor, which this starts unless it runs already.
fn started() -> io::Result<&'static chosen::Handle> {
    // Here a child notices that it is one.
    Process::current();
    if let Some(executor) = STARTED.get() {
        return Ok(executor);
    }
    let _starting = STARTING.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    // Another thread may have started it while this one waited.
    if STARTED.get().is_none() {
        let executor = chosen::start()?;
        assert!(STARTED.set(executor).is_ok(), "only set under the lock");
    }
    Ok(STARTED.get().expect("just set"))
}
