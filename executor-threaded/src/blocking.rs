//! Blocking work of any executor's tasks, on a [`Threaded`] that the process shares: bounded, and started when it is first
//! needed. How tasks wait for its threads, `Builder::queue_when_full` says.
//!
//! A task that sleeps, computes for long, or waits for a disk holds up the others on its thread. It gives such work to
//! [`unblock`] and awaits what comes of it, or to [`spawn_blocking`] for a handle. [`Unblock`] is for what reads and writes.
//!
//! There are 512 threads at most, and work beyond that waits for one; a thread that has had none for ten seconds leaves.
//! [`configure`] changes that before the first use.
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
//! # Whose tasks are spawned in it
//!
//! In the closure, [`Handle::current`] is the executor of whoever called [`spawn_blocking`] or [`unblock`]: so what spawns
//! there spawns beside its caller, not on threads that are for blocking work. Outside of any executor, there is none. What is
//! dropped when nobody wants it any more, a detached result or a closure that was aborted, is dropped on those threads,
//! and spawns there.

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

/// The most threads, unless told otherwise: as many as tokio's. Enough for work that waits, and few enough for a system.
const MAX_THREADS: usize = 512;

/// The executor, or `None` if it was shut down before its first use.
static EXECUTOR: LazyStart<Option<ThreadedHandle>, Builder> = LazyStart::new();

/// Runs `work`, which may block, on a thread for such work, and returns its handle.
///
/// It is a task as any other, and its handle says the same: a panic comes to whoever joins. Aborted before it has begun,
/// it never runs, and is dropped when its turn has come; once it has begun, it runs to its end, and an abort changes
/// nothing.
///
/// Works anywhere, inside of executors and outside. Where there are as many threads as may be, it waits for one: so work that
/// waits for other blocking work may wait for ever.
///
/// # What dropping does
///
/// Dropping the handle detaches the work. See [`unblock`] for the other way.
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
/// The handle resolves as rejected if there is no thread at all and none to be had, and as shut down after
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
        // The thread is for blocking, so nobody is to be told of it.
        context::outside(|_| {
            let _caller = caller.map(context::enter);
            work()
        })
    })
}

/// Runs `work`, which may block, on a thread for such work, and comes to what it returns.
///
/// It begins when this is called, as [`spawn_blocking`] does, whether or not it is awaited.
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
/// When it is polled: with the panic of `work`; or if there is no thread at all and none to be had, or the shutdown has come
/// first. [`spawn_blocking`] has an error for these.
///
/// # Cancel safety
///
/// Dropped before `work` has begun, it cancels it: `work` never runs, and is dropped when its turn has come. Dropped after
/// that, it lets it run to its end, and the output is dropped.
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

/// The output of blocking work, as a future. Made by [`unblock`].
///
/// # What dropping does
///
/// Cancels the work, if it hasn't begun.
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

/// What the executor for blocking work is like by default, for [`configure`]: 512 threads at most, called `blocking-0` and
/// so on, beyond which work waits, and which stay for ten seconds.
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

/// Says what the executor for blocking work is to be like, before its first use. Begin with [`builder`]. The last one to
/// say so wins.
///
/// # Errors
///
/// `AlreadyExists`: it has started already, or was shut down. `InvalidInput`: as for [`Builder::build`].
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

/// Shuts the executor for blocking work down, for the end of the program: work that hasn't begun is dropped, and what has is
/// waited for, until `timeout` is over at the latest. From then on, [`spawn_blocking`] resolves as shut down.
///
/// Without it, work that runs when `main` returns ends there, in its midst. Called again, it waits again.
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
/// As for [`Threaded::shutdown_timeout`]: what still runs, and where it was spawned.
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
