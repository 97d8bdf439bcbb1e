//! One trait, many executors.
//!
//! Write a program once, against one [`Executor`] trait. It runs on a work-stealing pool, on a thread per task, on a
//! single-threaded queue, or on an executor of your own. A Cargo feature or one line swaps the executor.
//!
//! # A first program
//!
//! ```
//! # #[cfg(any(feature = "pool", feature = "threaded", feature = "local"))]
//! fn main() {
//!     let words = ["one", "trait", "many", "executors"];
//!     let tasks = words.map(|word| polyexec::spawn(async move { word.len() }));
//!     let lengths = tasks.map(|task| task.join().unwrap());
//!     assert_eq!(lengths, [3, 5, 4, 9]);
//! }
//! # #[cfg(not(any(feature = "pool", feature = "threaded", feature = "local")))]
//! # fn main() {}
//! ```
//!
//! There is no runtime to set up. Outside of any executor, [`spawn`] uses the process's
//! [default executor](DefaultExecutor), and starts it. Inside a task, it spawns on that task's executor.
//!
//! # Choosing an executor
//!
//! | Feature | Owner | Runs its tasks | For |
//! |---|---|---|---|
//! | `pool` (default) | `Pool` | on one worker thread per core; idle workers steal | many tasks that compute and wait |
//! | `threaded` | `Threaded` | on one thread per task, reused or fresh | tasks that block: files, devices, long computations |
//! | `local` | `Local` | on your thread, one after another | futures that aren't `Send`; an exact order; no threads |
//!
//! Features only add. With several, the default executor is the first of pool, threaded, local, unless the program calls
//! [`set_default`], or the environment has `POLYEXEC_EXECUTOR=threaded` (or `pool`, `local`). A program that uses only `spawn`
//! and `block_on` is swapped by feature:
//!
//! ```toml
//! polyexec = { version = "0.1", default-features = false, features = ["threaded"] }
//! ```
//!
//! A program that owns its executor changes one line, since all owners have the same methods:
//!
//! ```
//! # #[cfg(all(feature = "pool", feature = "threaded"))]
//! # fn main() -> std::io::Result<()> {
//! let executor = polyexec::Pool::new()?; // or polyexec::Threaded::new()
//! let answer = executor.spawn(async { 6 * 7 });
//! assert_eq!(executor.block_on(answer).unwrap(), 42);
//! // Dropping the owner drops its tasks and joins its threads.
//! # Ok(())
//! # }
//! # #[cfg(not(all(feature = "pool", feature = "threaded")))]
//! # fn main() {}
//! ```
//!
//! # An async `main`, and async tests
//!
//! With the feature `macros`, `#[polyexec::main]` runs an async `main`, and `#[polyexec::test]` an async test: on the default
//! executor, on one of its own, or one test on each executor.
//!
//! ```
//! # #[cfg(all(feature = "macros", any(feature = "pool", feature = "threaded", feature = "local")))]
//! # mod program {
//! #[polyexec::main]
//! async fn main() -> Result<(), polyexec::JoinError> {
//!     assert_eq!(polyexec::spawn(async { 6 * 7 }).await?, 42);
//!     Ok(())
//! }
//!
//! #[polyexec::test(executors = "all")]
//! async fn every_executor_multiplies() {
//!     assert_eq!(polyexec::spawn(async { 6 * 7 }).await.unwrap(), 42);
//! }
//! # }
//! ```
//!
//! # Sockets, timers, files and blocking work
//!
//! | Feature | Brings |
//! |---|---|
//! | `time` | the module `time`: sleeps, timeouts, intervals |
//! | `net` | the module `net`: TCP, UDP and Unix sockets, socket options, readiness |
//! | `fs` | the module `fs`: files and folders |
//! | `blocking` | `spawn_blocking`, `unblock` and the module `blocking`: blocking work on threads of its own |
//! | `process` | the module `process`: child processes (Unix) |
//! | `signal` | the module `signal`: Ctrl-C and other signals (Unix) |
//! | `stdio` | the module `stdio`: standard input, output and error |
//! | `io` | the module `io`: copies both ways, and connections within the process |
//! | `hyper` | the module `hyper`: adapters for hyper 1 |
//! | `hyper-server` | `hyper::serve`: a server for HTTP/1 and HTTP/2, for services of hyper and tower |
//! | `hyper-client` | `hyper::HyperConnector`, for hyper-util's client |
//! | `tokio` | `tokio::context`: tokio's sockets, timers and libraries, unwrapped; and `Tokio`, an executor on a tokio runtime |
//! | `smol` | `Smol`, an executor on async-executor |
//! | `observe` | observers: the dump of `observe::Tasks` says what each task does, and which are stuck; `observe::Timeline` records what tasks and workers do, and shows it as text |
//!
//! They work on every executor, also on other projects' executors, and none of them chooses an executor.
//!
//! # For libraries
//!
//! A library takes `&(impl Executor + Clone)`, or a [`Handle`]. It depends on `polyexec-core`, or on `polyexec` with
//! `default-features = false`, so that the program chooses the executor.
//!
//! # Many tasks
//!
//! [`JoinSet`] joins tasks in the order of their ends, and limits how many run at a time. A [`scope()`] ends after the tasks that
//! it spawned, and the first failure cancels the others. [`CancellationToken`] tells tasks to stop, and [`TaskTracker`] waits
//! until they have. All of them work on every executor.
//!
//! Their `spawn`, and that of [`task::Builder`], need an executor around them: a task, or a `block_on`. Elsewhere they start none, as
//! [`spawn`] does, and the task's error says so. `spawn_on(&DefaultExecutor, ..)` works everywhere.
//!
//! # Blocking work
//!
//! `unblock` runs a blocking closure on another thread and awaits its result. `spawn_blocking` returns a handle.
//! `blocking::Unblock` turns a blocking reader or writer into an async one. The process shares up to 512 threads for this;
//! further work waits for one.
//!
//! ```
//! # #[cfg(all(feature = "blocking", any(feature = "pool", feature = "threaded", feature = "local")))]
//! # fn main() {
//! let lines = polyexec::block_on(async {
//!     let text = polyexec::unblock(|| std::fs::read_to_string("Cargo.toml")).await?;
//!     Ok::<_, std::io::Error>(text.lines().count())
//! });
//! assert!(lines.unwrap() > 10);
//! # }
//! # #[cfg(not(all(feature = "blocking", any(feature = "pool", feature = "threaded", feature = "local"))))]
//! # fn main() {}
//! ```
//!
//! # Without an executor
//!
//! Without the features `pool`, `threaded` and `local`, and until `set_default` is called, there is no default executor.
//! [`spawn`] then works inside the tasks of any executor. Elsewhere its handle resolves as rejected, and says why.

#![forbid(unsafe_code)]

pub use polyexec_core::{
    AbortHandle, AbortOnDrop, Executor, Handle, JoinError, JoinHandle, SpawnError, StillRunning, TaskId, TaskInfo,
    YieldNow, block_in_place, block_on_polling, executor, spawn_local, yield_now,
};

pub use polyexec_futures::{
    CancelOnDrop, CancellationToken, Cancelled, JoinSet, Scope, ScopedHandle, TaskTracker, TaskTrackerToken,
    TrackedFuture, TryScope, scope, task_local, try_scope,
};
#[cfg(feature = "fs")]
pub use polyexec_io::fs;
#[cfg(feature = "hyper")]
pub use polyexec_io::hyper;
#[cfg(feature = "io")]
pub use polyexec_io::io;
#[cfg(feature = "net")]
pub use polyexec_io::net;
#[cfg(all(unix, feature = "process"))]
pub use polyexec_io::process;
#[cfg(all(unix, feature = "signal"))]
pub use polyexec_io::signal;
#[cfg(feature = "stdio")]
pub use polyexec_io::stdio;
#[cfg(feature = "time")]
pub use polyexec_io::time;
#[cfg(feature = "local")]
pub use polyexec_local::{self as local, Local};
#[cfg(feature = "macros")]
pub use polyexec_macros::{main, test};
#[cfg(feature = "pool")]
pub use polyexec_pool::{self as pool, Pool};
#[cfg(feature = "smol")]
pub use polyexec_smol::{self as smol, Smol};
#[cfg(feature = "blocking")]
pub use polyexec_threaded::blocking::{self, spawn_blocking, unblock};
#[cfg(feature = "threaded")]
pub use polyexec_threaded::{self as threaded, Threaded};
#[cfg(feature = "tokio")]
pub use polyexec_tokio::{self as tokio, Tokio};

pub use default::{DefaultExecutor, SetDefaultError, block_on, set_default, spawn, try_spawn};

mod default;

/// Watches what an executor and its tasks do. With the feature `observe`, also observers: a timeline, and a dump of
/// the tasks that live.
pub mod observe {
    pub use polyexec_core::observe::*;
    #[cfg(feature = "observe")]
    pub use polyexec_observe::*;
}

/// What a task is and has: its name, its budget, values of its own, children that borrow.
pub mod task {
    pub use polyexec_core::task::*;
    pub use polyexec_futures::{AccessError, LocalKey, WithValues, inherit};
}
