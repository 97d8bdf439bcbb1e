//! A single-threaded queue: tasks run one after another, on the thread that made the executor, while that thread
//! drives it.
//!
//! For futures that aren't `Send`, for programs that want no threads, and for tests that want to know what runs when:
//! tasks are polled in the order in which they became ready. Other threads may spawn `Send` futures on it and wake
//! them.
//!
//! # Tasks that block
//!
//! A task that blocks (`join`, `block_on`) has the others run inside it, on its stack. Where 32 block inside each other, the newest
//! tasks run first, which are most likely those that they wait for; where 256 do, one more panics, and its handle says so.
//! `await` has no such bound.
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

pub use handle::LocalHandle;
pub use local::Local;

#[cfg(doctest)]
mod compile_fail;
mod handle;
mod local;
