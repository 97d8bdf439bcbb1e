//! A thread per task: each task has a thread to itself until it is over. Threads are reused, or fresh for each task.
//!
//! The plainest executor there is, and the right one for tasks that block: one that sleeps, computes or waits for a
//! disk holds up nobody. It costs a thread for each task that is alive, even while the task waits; for many tasks see
//! `polyexec-pool`.
//!
//! # Examples
//!
//! ```
//! use polyexec_threaded::Threaded;
//!
//! let threaded = Threaded::new();
//! let a = threaded.spawn(async { 6 * 7 });
//! let b = threaded.spawn(async { "any output type" });
//! assert_eq!(a.join().unwrap(), 42);
//! assert_eq!(b.join().unwrap(), "any output type");
//! ```
//!
//! # Blocking work
//!
//! [`blocking`] has one such executor for the process, bounded, to which tasks of all others give their blocking work.

#![forbid(unsafe_code)]

pub use builder::Builder;
pub use threaded::{Threaded, ThreadedHandle};

pub mod blocking;
mod builder;
mod hosts;
mod mailbox;
mod steward;
mod threaded;
