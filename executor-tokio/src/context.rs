//! Puts every thread of polyexec's executors into the context of one tokio runtime. Runs none of their tasks there.

use std::cell::Cell;
use std::future::pending;
use std::sync::OnceLock;
use std::{io, thread};

use polyexec_core::executor::LazyStart;
use polyexec_core::executor::context::on_enter;
use polyexec_core::executor::process::Process;
use tokio::runtime::{Builder, Handle};

/// The runtime that all threads are in.
static RUNTIME: LazyStart<Handle> = LazyStart::new();

/// The runtime's own thread, which waits for tokio's sockets and timers, and runs tokio's tasks.
const THREAD: &str = "tokio-context";

thread_local! {
    /// The process in which this thread has entered the runtime.
    static ENTERED: Cell<Option<Process>> = const { Cell::new(None) };
}

/// Makes tokio's sockets, timers and libraries work in the tasks of every executor, unwrapped.
///
/// The first call starts one current-thread runtime on a thread of its own. From then on, each thread is in that runtime's
/// context before it polls a future of ours: the workers of all executors, their spare threads, the threads for blocking work,
/// and those in a `block_on`. Returns the runtime's handle.
///
/// Call it early, at the start of `main` or of the first `async fn`. A poll or a blocking closure that another thread has begun before
/// the call stays outside to its end, and tokio panics there: "there is no reactor running". A thread that is in a tokio runtime
/// of the program's, such as a worker of [`Tokio`](crate::Tokio), stays in that one.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use polyexec_core::block_on;
///
/// polyexec_tokio::context()?;
/// // No tokio runtime in sight.
/// let late = block_on(async {
///     tokio::time::timeout(Duration::from_millis(1), std::future::pending::<()>()).await
/// });
/// assert!(late.is_err());
/// # std::io::Result::Ok(())
/// ```
///
/// # What runs where
///
/// | In a task of ours | runs |
/// |---|---|
/// | futures of tokio's crates: sockets, timers, channels, clients, servers | in the task, on its executor |
/// | what the system tells them | on the runtime's thread, which wakes the task |
/// | `tokio::spawn` | on the runtime's thread: it must not block, and shares that thread with all others |
/// | `tokio::task::spawn_blocking` | on threads of tokio |
/// | `tokio::task::block_in_place` | here, unannounced: use [`block_in_place`](polyexec_core::block_in_place) |
/// | `tokio::task::spawn_local` | panics, outside of tokio's `LocalSet` |
///
/// Tokio has no hook by which `tokio::spawn` could reach another executor. A library that spawns a task for each connection, as
/// `axum::serve` does, runs those on the runtime's one thread.
///
/// A task of ours isn't a task of tokio's. So `Handle::block_on`, `Runtime::block_on` and blocking clients work in it, where tokio
/// would panic, and tokio's cooperative budget doesn't apply: a task whose tokio sockets are always ready should now and then
/// await [`consume_budget`](polyexec_core::task::consume_budget).
///
/// # Cost
///
/// A poll and a `block_on` look at a thread-local, and each thread takes a reference to the runtime once.
///
/// # At exit, and after a fork
///
/// The runtime lives as long as the process, and is never shut down: what runs there when `main` returns ends there. A forked
/// child calls `context` again, which starts its own runtime. The parent's tokio sockets and timers don't work in the child.
///
/// # Errors
///
/// The system has no thread for the runtime, or no file. The next call tries again. `AlreadyExists`: the program has given
/// [`on_enter`] a hook of its own.
pub fn context() -> io::Result<&'static Handle> {
    // Here a forked child notices that it is one.
    Process::current();
    let runtime = started()?;
    static IS_HOOKED: OnceLock<bool> = OnceLock::new();
    if !IS_HOOKED.get_or_init(|| on_enter(enter_thread)) {
        let why = "the program has a hook of its own for threads that enter an executor";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
    }
    enter_thread();
    Ok(runtime)
}

fn started() -> io::Result<&'static Handle> {
    RUNTIME.get_or_start(|_| {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        thread::Builder::new().name(THREAD.to_owned()).spawn(move || runtime.block_on(pending::<()>()))?;
        Ok(handle)
    })
}

/// Enters the runtime on this thread, to the thread's end, unless it is in one already.
fn enter_thread() {
    let entered = ENTERED.get();
    if entered.is_some_and(Process::is_known) {
        return;
    }
    match Handle::try_current() {
        // In a child, it may be the parent's.
        Ok(_) if entered.is_none() => return,
        Err(error) if error.is_thread_local_destroyed() => return,
        Ok(_) | Err(_) => {}
    }
    // Fails in a forked child only, if the system has no thread. Tokio's futures then say that there is no runtime.
    let Ok(runtime) = started() else { return };
    // A guard's drop would have to come before that of the guards around it. Without it, tokio drops the handle with the
    // thread's locals.
    std::mem::forget(runtime.enter());
    ENTERED.set(Some(Process::current()));
}
