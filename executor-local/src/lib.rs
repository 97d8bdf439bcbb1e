//! A single-threaded executor: runs tasks one after another, on the thread that made it.
//!
//! Take it for futures that aren't `Send`, for programs without threads, and for tests that depend on the order of polls: tasks
//! run in the order in which they became ready. Other threads may spawn `Send` futures on it, and wake its tasks.
//!
//! # Tasks that block
//!
//! A task that blocks (`join`, `block_on`) runs the other tasks meanwhile, on its own stack. From 32 such tasks inside each
//! other, the newest ready tasks run first, which the blocked ones most likely wait for. The 257th panics, and its handle
//! returns the panic. `await` has no such limit.
//!
//! # Examples
//!
//! ```
//! use polyexec_local::Local;
//! use std::{cell::Cell, rc::Rc};
//!
//! let local = Local::new();
//! let count = Rc::new(Cell::new(0));
//! let task = local.spawn_local({
//!     let count = count.clone();
//!     async move { count.set(count.get() + 1) }
//! });
//! local.block_on(task).unwrap();
//! assert_eq!(count.get(), 1);
//! ```

#![forbid(unsafe_code)]

pub use builder::Builder;
pub use handle::LocalHandle;
pub use local::Local;
pub use polyexec_core::spawn_local;

mod builder;
#[cfg(doctest)]
mod compile_fail;
mod handle;
mod local;
mod on_ready;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
