//! What every polyexec executor shares: the task, its handle, and the one [`Executor`] trait.
//!
//! A program depends on `polyexec`, or on the crate of one executor. Depend on this crate in a library that runs on whatever
//! executor its user chose. To write an executor, read the module [`executor`].
//!
//! # Examples
//!
//! ```
//! use polyexec_core::{Executor, JoinError};
//!
//! /// Runs on any executor there is.
//! async fn twice(executor: &(impl Executor + Clone), n: u32) -> Result<u32, JoinError> {
//!     executor.spawn(async move { 2 * n }).await
//! }
//! ```
//!
//! # Features
//!
//! `std` (default): everything that needs threads. Without it, this crate has tasks, [`JoinHandle`] as a future, and the trait,
//! for any target with an allocator. Panics aren't caught there: they unwind out of [`Task::run`](executor::Task::run), after
//! the task has ended.

#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

pub use error::{JoinError, SpawnError};
pub use executor::Executor;
pub use join::{AbortHandle, AbortOnDrop, JoinHandle};
pub use still_running::StillRunning;
pub use task::{TaskId, TaskInfo};
pub use yield_now::{YieldNow, yield_now};

#[cfg(feature = "std")]
pub use self::{
    block_on::{block_in_place, block_on, block_on_polling},
    handle::{Handle, spawn, try_spawn},
};

#[cfg(polyexec_loom)]
#[doc(hidden)]
pub use sync::modelled;

#[cfg(feature = "std")]
mod block_on;
#[cfg(doctest)]
mod compile_fail;
mod error;
pub mod executor;
#[cfg(feature = "std")]
mod handle;
mod join;
mod still_running;
mod sync;
pub mod task;
mod unwind;
mod yield_now;
