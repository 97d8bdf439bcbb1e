//! One trait, many executors.
//!
//! A program is written once, against one [`Executor`] trait, and runs on a work-stealing pool, on a thread per task, on
//! a single-threaded queue, or on an executor that someone else wrote. Which one is a matter of a Cargo feature, or of
//! one line.
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
//! No executor was set up: outside of one, [`spawn`] uses the process's default executor, and starts it if need be.
//! Inside a task it spawns on that task's executor, whichever it is.
//!
//! # Choosing an executor
//!
//! | Feature | Owner | Runs its tasks | For |
//! |---|---|---|---|
//! | `pool` (default) | `Pool` | on as many threads as there are cores, which steal work from each other | many tasks that compute and wait |
//! | `threaded` | `Threaded` | on a thread each, reused or fresh | tasks that block: files, devices, long computations |
//! | `local` | `Local` | on one thread, one after another | futures that aren't `Send`; a program in an exact order |
//!
//! Features only add: with several, each executor is there under its name, and [`spawn`] uses the first of pool,
//! threaded, local. To swap the executor of a program that uses `spawn` and `block_on` alone:
//!
//! ```toml
//! polyexec = { version = "0.1", default-features = false, features = ["threaded"] }
//! ```
//!
//! A program that owns its executor swaps one line, since owners have the same methods:
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
//! # Sockets, timers, files and blocking work
//!
//! | Feature | Brings |
//! |---|---|
//! | `time` | the module `time`: sleeps, timeouts, intervals |
//! | `net` | the module `net`: TCP, UDP, Unix sockets; readiness, attempts, and options before a connection |
//! | `fs` | the module `fs`: files, by way of async-fs |
//! | `blocking` | `spawn_blocking`, `unblock` and the module `blocking`: work that blocks, off the executor's threads |
//! | `hyper` | the module `hyper`: what hyper 1 asks of a runtime |
//!
//! They run on every executor, those of others included, and choose none.
//!
//! # For libraries
//!
//! A library takes `&(impl Executor + Clone)`, or a [`Handle`]. It depends on `polyexec-core`, or on `polyexec` with
//! `default-features = false`, so that the program chooses the executor.
//!
//! # Blocking work
//!
//! With the feature `blocking`, whichever the executor, `unblock` runs work that blocks on a thread for such work, and
//! awaits it; `spawn_blocking` gives a handle; `blocking::Unblock` makes an async stream of a blocking one. There are 512 such threads at most, shared by the process; work beyond that
//! waits. The feature chooses no executor.
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
//! # Without a feature
//!
//! There is no default executor: [`spawn`] works inside the tasks of an executor that comes from elsewhere, and outside
//! of one its handle resolves as rejected.

#![forbid(unsafe_code)]

pub use polyexec_core::{
    AbortHandle, AbortOnDrop, Executor, Handle, JoinError, JoinHandle, SpawnError, StillRunning, TaskId, TaskInfo,
    YieldNow, block_in_place, block_on_polling, executor, task, yield_now,
};

#[cfg(feature = "fs")]
pub use polyexec_io::fs;
#[cfg(feature = "hyper")]
pub use polyexec_io::hyper;
#[cfg(feature = "net")]
pub use polyexec_io::net;
#[cfg(feature = "time")]
pub use polyexec_io::time;
#[cfg(feature = "local")]
pub use polyexec_local::{self as local, Local};
#[cfg(feature = "pool")]
pub use polyexec_pool::{self as pool, Pool};
#[cfg(feature = "blocking")]
pub use polyexec_threaded::blocking::{self, spawn_blocking, unblock};
#[cfg(feature = "threaded")]
pub use polyexec_threaded::{self as threaded, Threaded};

#[cfg(any(feature = "pool", feature = "threaded", feature = "local"))]
pub use default_executor::{DefaultExecutor, DefaultHandle, block_on, spawn, try_spawn};
#[cfg(not(any(feature = "pool", feature = "threaded", feature = "local")))]
pub use polyexec_core::{block_on, spawn, try_spawn};

#[cfg(any(feature = "pool", feature = "threaded", feature = "local"))]
mod default_executor;
