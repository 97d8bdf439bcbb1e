//! What every polyexec executor shares: the task, its handle, and the one [`Executor`] trait.
//!
//! A library depends on this crate, and runs on any executor that its user chose. A program depends on `polyexec`, or on
//! the crate of one executor. The module [`executor`] explains how to write an executor.
//!
//! # Examples
//!
//! ```
//! use polyexec_core::{Executor, JoinError};
//!
//! /// Runs on any executor.
//! async fn twice(executor: &(impl Executor + Clone), n: u32) -> Result<u32, JoinError> {
//!     executor.spawn(async move { 2 * n }).await
//! }
//! ```
//!
//! # Features
//!
//! `std` (default): everything that needs threads. Without it, this crate has tasks, [`JoinHandle`] as a future, and the
//! trait, for any target with an allocator. Without it, panics aren't caught: they unwind out of
//! [`Task::run`](executor::Task::run), after the task has ended.
//!
//! On a target without 64-bit atomics, such as Cortex-M, this crate takes them from
//! [portable-atomic](https://docs.rs/portable-atomic). Their locks aren't for interrupt handlers, which wake tasks. So the
//! program enables a feature of that crate, `critical-section` or `unsafe-assume-single-core`.

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
    handle::{Handle, spawn, spawn_local, try_spawn},
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
pub mod observe;
mod still_running;
mod sync;
pub mod task;
mod unwind;
mod yield_now;

/// Tests the examples of the README.
#[cfg(all(doctest, feature = "std"))]
#[doc = include_str!("../README.md")]
mod readme {}
