//! Runs blocking work for tasks of any executor, on a [`Threaded`] that the process shares.
//!
//! A task that sleeps, computes for long, or waits for a disk delays the other tasks on its thread. Such work belongs in
//! [`unblock`], which returns its output as a future, or in [`spawn_blocking`], which returns a handle. [`Unblock`] wraps
//! blocking readers and writers.
//!
//! The executor starts at its first use. It has 512 threads at most; more work waits, as [`Builder::queue_when_full`]
//! describes. An idle thread leaves after ten seconds. [`configure`] changes all this before the first use.
//!
//! # Examples
//!
//! ```
//! use polyexec_threaded::blocking::unblock;
//!
//! # async fn example() -> std::io::Result<()> {
//! let toml = unblock(|| std::fs::read_to_string("Cargo.toml")).await?;
//! println!("{} bytes", toml.len());
//! # Ok(())
//! # }
//! # polyexec_core::block_on(example()).unwrap();
//! ```
//!
//! # Spawning from blocking work
//!
//! In the closure, [`Handle::current`] is the executor that [`spawn_blocking`] or [`unblock`] was called in, if any. So a task
//! spawned there runs beside the caller's, not on a thread for blocking work. The output of detached work and the closure of
//! aborted work are dropped on these threads: if their destructors spawn, those tasks run there, too.

use std::io;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use polyexec_core::executor::process::Process;
use polyexec_core::executor::{LazyStart, Rejected, Task, context, is_large};
use polyexec_core::{AbortOnDrop, Executor, Handle, JoinHandle, StillRunning, task};

pub use self::unblock::Unblock;
pub use crate::Builder;
use crate::{Threaded, ThreadedHandle};

mod unblock;

/// The most threads by default, as in tokio: enough for work that waits, and few enough for any system.
const MAX_THREADS: usize = 512;

/// The executor, or `None` if it was shut down before its first use.
static EXECUTOR: LazyStart<Option<ThreadedHandle>, Builder> = LazyStart::new();

/// Runs `work` on a thread where it may block, and returns its handle. Works inside and outside of executors.
///
/// The work is a task like any other; joining it returns its output or its panic. An abort before it begins drops it when its
/// turn comes. An abort after that changes nothing: the work runs to its end.
///
/// If all threads are busy, the work waits for one. So work that waits for other blocking work may deadlock.
///
/// # What dropping does
///
/// Dropping the handle detaches the work. Dropping [`unblock`]'s future cancels it instead.
///
/// # Examples
///
/// ```
/// use polyexec_threaded::blocking::spawn_blocking;
///
/// let sum = spawn_blocking(|| (1..=1_000_000_u64).sum::<u64>());
/// assert_eq!(sum.join().unwrap(), 500_000_500_000);
///
/// let error = spawn_blocking(|| panic!("on purpose")).join().unwrap_err();
/// assert_eq!(error.into_panic().downcast_ref(), Some(&"on purpose"));
/// ```
///
/// # Errors
///
/// The handle resolves as rejected if the executor has no thread at all and the system has none, and as shut down after
/// [`shutdown_timeout`].
#[track_caller]
pub fn spawn_blocking<F, T>(work: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    if const { is_large::<F>() } {
        return begin(Box::new(work));
    }
    begin(work)
}

#[track_caller]
fn begin<F, T>(work: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let caller = Handle::current();
    task::Builder::new().spawn_on(&Shared, async move {
        // The thread may block: no executor has to make up for it.
        context::outside(|_| {
            let _caller = caller.map(context::enter);
            work()
        })
    })
}

/// Runs `work` on a thread where it may block, and returns its output as a future.
///
/// The work is queued by this call, as by [`spawn_blocking`], even if the future is never polled.
///
/// # Examples
///
/// ```
/// use polyexec_threaded::blocking::unblock;
///
/// # polyexec_core::block_on(async {
/// let entries = unblock(|| std::fs::read_dir(".").map(Iterator::count)).await;
/// # assert!(entries.is_ok());
/// # });
/// ```
///
/// # Panics
///
/// The future panics with the panic of `work`. It also panics if there is no thread at all, or after a shutdown;
/// [`spawn_blocking`] returns these as errors.
///
/// # Cancel safety
///
/// Dropping the future before `work` begins cancels it: `work` is dropped when its turn comes. Dropping it later changes
/// nothing but that the output is dropped.
#[track_caller]
pub fn unblock<F, T>(work: F) -> Unblocked<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    if const { is_large::<F>() } {
        return Unblocked(begin(Box::new(work)).abort_on_drop());
    }
    Unblocked(begin(work).abort_on_drop())
}

/// The output of blocking work, as a future. Returned by [`unblock`].
///
/// # What dropping does
///
/// Cancels the work if it has not begun.
#[derive(Debug)]
#[must_use = "dropped, it cancels the work that has not begun; await it"]
pub struct Unblocked<T>(AbortOnDrop<T>);

impl<T> Future for Unblocked<T> {
    type Output = T;

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let error = match ready!(Pin::new(&mut self.0).poll(cx)) {
            Ok(output) => return Poll::Ready(output),
            Err(error) => error,
        };
        match error.try_into_panic() {
            Ok(payload) => resume_unwind(payload),
            Err(error) => panic!("blocking work has not run: {error:?}"),
        }
    }
}

/// The default configuration of the executor for blocking work, to change and give to [`configure`].
///
/// At most 512 threads, named `blocking-0` and so on, that stay for ten seconds when idle. More work waits.
///
/// # Examples
///
/// ```
/// use polyexec_threaded::blocking;
/// use std::time::Duration;
///
/// blocking::configure(blocking::builder().max_threads(16).keep_alive(Duration::from_secs(1)))?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn builder() -> Builder {
    Threaded::builder().thread_name("blocking").max_threads(MAX_THREADS).queue_when_full()
}

/// Configures the executor for blocking work before its first use. Begin with [`builder`]; the last call wins.
///
/// # Errors
///
/// `AlreadyExists`: the executor has started already, or was shut down. `InvalidInput`: as for [`Builder::build`].
pub fn configure(builder: Builder) -> io::Result<()> {
    builder.validate()?;
    match EXECUTOR.configure(builder) {
        Ok(_) => Ok(()),
        Err(_) => {
            let why = "the executor for blocking work has started already, or was shut down";
            Err(io::Error::new(io::ErrorKind::AlreadyExists, why))
        }
    }
}

/// Shuts down the executor for blocking work: drops work that has not begun, and waits for the rest until `timeout`.
///
/// For the end of a program: without it, the process ends while work still runs. From then on, [`spawn_blocking`] resolves as
/// shut down. A second call waits again.
///
/// # Examples
///
/// ```
/// use polyexec_threaded::blocking;
/// use std::time::Duration;
///
/// let saved = blocking::spawn_blocking(|| { /* … */ });
/// # saved.join().unwrap();
/// if let Err(left) = blocking::shutdown_timeout(Duration::from_secs(5)) {
///     eprintln!("{left}");
/// }
/// ```
///
/// # Errors
///
/// As for [`Threaded::shutdown_timeout`]: names the work that still runs, and where it was spawned.
pub fn shutdown_timeout(timeout: Duration) -> Result<(), StillRunning> {
    let executor = EXECUTOR.get_or_start(|_| Ok(None));
    match executor.expect("nothing to fail") {
        Some(executor) => executor.shut_down(Some(timeout)),
        None => Ok(()),
    }
}

/// The executor for blocking work, which its first task starts.
#[derive(Clone, Copy, Debug)]
struct Shared;

impl Executor for Shared {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        match started() {
            Ok(Some(executor)) => executor.submit(task),
            Ok(None) => Err(Rejected::shut_down(task)),
            Err(cause) => Err(Rejected::unable(task, cause)),
        }
    }

    fn schedule(&self, task: Task) {
        match EXECUTOR.get() {
            Some(Some(executor)) => executor.schedule(task),
            // It has taken no task, so it has none to wake.
            Some(None) | None => drop(task),
        }
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        polyexec_core::block_on(future);
    }
}

/// The executor, which this starts unless it has started already. `None`: it was shut down before.
fn started() -> io::Result<Option<&'static ThreadedHandle>> {
    // Here a child notices that it is one.
    Process::current();
    let executor = EXECUTOR.get_or_start(|configured| {
        let threaded = configured.cloned().unwrap_or_else(builder).build()?;
        let handle = threaded.handle();
        // The process's, until its shutdown.
        std::mem::forget(threaded);
        Ok(Some(handle))
    });
    executor.map(Option::as_ref)
}
