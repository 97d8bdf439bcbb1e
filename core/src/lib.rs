//! What every polyexec executor shares: the task, its handle, and the one [`Executor`] trait.
//!
//! A program depends on `polyexec`, or on the crate of one executor. This crate is for libraries that want to run on
//! whatever executor their user chose, and for those who write an executor.
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
//! `std` (default): what needs threads. Without it there are [`Task`], [`JoinHandle`] as a future, and the trait, for
//! any target with an allocator. Panics aren't caught there: they unwind out of [`Task::run`], after the task has ended.

#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

pub use error::{JoinError, Rejected, SpawnError};
pub use executor::Executor;
pub use join::{AbortHandle, AbortOnDrop, JoinHandle};
pub use still_running::StillRunning;
pub use task::{Ran, Task, TaskId, TaskSlot};

#[cfg(polyexec_loom)]
#[doc(hidden)]
pub use sync::modelled;

#[cfg(feature = "std")]
pub use self::{
    alarm::Alarm,
    block_on::{block_in_place, block_on, block_on_polling, park_on},
    clock::{Clock, clock},
    context::{Handle, spawn, try_spawn},
    driver::Driver,
    live::LiveTasks,
    park::Parker,
    task::{AtHome, Home},
};

#[cfg(feature = "std")]
mod alarm;
#[cfg(feature = "std")]
mod block_on;
#[cfg(feature = "std")]
mod clock;
#[cfg(doctest)]
mod compile_fail;
#[cfg(feature = "std")]
pub mod context;
#[cfg(feature = "std")]
mod driver;
mod error;
mod executor;
mod join;
#[cfg(feature = "std")]
mod live;
#[cfg(feature = "std")]
mod park;
#[cfg(feature = "std")]
pub mod process;
#[cfg(feature = "std")]
pub mod reactor;
mod still_running;
mod sync;
pub mod task;
mod unwind;
