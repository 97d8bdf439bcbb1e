//! Two ways to [tokio](https://docs.rs/tokio): its libraries in the tasks of every executor, and polyexec's tasks on its runtimes.
//!
//! # tokio's libraries
//!
//! After one call of [`context`], futures of tokio and of the crates that are built on it work in tasks of any executor:
//!
//! ```
//! use polyexec_core::block_on;
//!
//! polyexec_tokio::context()?;
//! let sum = block_on(async {
//!     let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
//!     tokio::spawn(async move { sender.send(42).await });
//!     tokio::time::sleep(std::time::Duration::from_millis(1)).await;
//!     receiver.recv().await
//! });
//! assert_eq!(sum, Some(42));
//! # std::io::Result::Ok(())
//! ```
//!
//! # An executor on tokio
//!
//! A program that is written against [`Executor`] runs on tokio's threads, beside tokio's own tasks. [`Tokio`] owns a runtime.
//! [`TokioHandle`] uses one that the program has already.
//!
//! ```
//! use polyexec_core::Executor;
//! use polyexec_tokio::TokioHandle;
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
//! # runtime.block_on(async {
//! // In `#[tokio::main]`, say.
//! let executor = TokioHandle::current();
//! let task = executor.spawn(async {
//!     let on_tokio = tokio::spawn(async { 6 });
//!     on_tokio.await.unwrap() * 7
//! });
//! assert_eq!(task.await.unwrap(), 42);
//! # });
//! ```
//!
//! # What tokio decides
//!
//! Each task is a future that tokio polls. So tokio's scheduler decides when it runs, and its fairness is tokio's. A spawn
//! allocates three times: the task, tokio's, and where the two meet.
//!
//! On a multi-threaded runtime a task may block: `join`, `block_on` and `block_in_place` let another thread run the others
//! meanwhile, as tokio's `block_in_place` does. A poll that blocks without saying so holds up its worker. Tasks of tokio's own, those
//! of `tokio::spawn`, say so by [`tokio::task::block_in_place`] only: call `join`, `block_on` and `scope` inside of that there.
//!
//! On a current-thread runtime nothing runs while a task blocks, or the future of a `block_on`, or the body of a `scope`. **What
//! blocks there until a task of the same runtime has run waits forever**: `await` it instead. Tasks run while a thread is in the
//! runtime's `block_on`, and so does what [`Tokio::block_on`] waits for. A scope waits for its children after its body.

#![forbid(unsafe_code)]

pub use context::context;
pub use handle::TokioHandle;
pub use owner::Tokio;

#[cfg(doc)]
use polyexec_core::Executor;

mod context;
mod handle;
mod owner;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
