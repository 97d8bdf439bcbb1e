//! polyexec's tasks on [async-executor](https://docs.rs/async-executor), the executor of smol.
//!
//! [`Smol`] owns an executor and the threads that run it. [`SmolHandle`] uses an executor that the program runs, beside the
//! tasks that it has already.
//!
//! # Examples
//!
//! ```
//! use std::sync::Arc;
//!
//! use polyexec_core::Executor;
//! use polyexec_smol::SmolHandle;
//!
//! let smol = Arc::new(async_executor::Executor::new());
//! let executor = SmolHandle::new(&smol);
//!
//! let theirs = smol.spawn(async { 6 });
//! let ours = executor.spawn(async { theirs.await * 7 });
//! // Runs the tasks on this thread.
//! assert_eq!(executor.block_on(ours).unwrap(), 42);
//! ```
//!
//! # What async-executor decides
//!
//! Each task is a future that async-executor polls, in its order. A spawn allocates three times: the task, async-executor's, and
//! where the two meet.
//!
//! A task that blocks (`join`, `block_on`) runs other tasks meanwhile, on its own stack, as on a `Local`. The 65th inside each
//! other panics, and its handle returns the panic. A poll that blocks without saying so holds up its thread.

#![forbid(unsafe_code)]

pub use handle::SmolHandle;
pub use owner::Smol;

mod handle;
mod owner;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
