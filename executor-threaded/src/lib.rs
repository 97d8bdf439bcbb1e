//! A thread per task: each task has a thread to itself until it ends. Threads are reused, or fresh for each task.
//!
//! The simplest executor, and the right one for tasks that block: a task that sleeps, computes or waits for a disk delays no
//! other task. Each live task costs a thread, even while it waits. For many tasks, see `polyexec-pool`.
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
//! [`blocking`] is one such executor, shared by the process, with a limited number of threads. Tasks of every executor send
//! their blocking work there.

#![forbid(unsafe_code)]

pub use builder::Builder;
pub use threaded::{Threaded, ThreadedHandle};

pub mod blocking;
mod builder;
mod parked;
mod respawner;
mod running;
mod threaded;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
