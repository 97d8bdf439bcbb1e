//! Futures for every executor: [`Counter`] counts its polls, [`yield_now`] lets other tasks run, [`watch`] observes polls.
//!
//! They need nothing but a waker, and no `std`; [`Counter`] also needs a target with 64-bit atomics. Timers, sockets
//! and files are in `polyexec-io`.
//!
//! With the feature `std`, which is on by default: [`JoinSet`] joins tasks in the order of their ends, [`CancellationToken`]
//! tells tasks to stop, [`TaskTracker`] waits until they are gone, and a [`scope()`] ends after the tasks that it spawned.
//! [`task_local!`] declares values that belong to a task.
//!
//! # Examples
//!
//! ```
//! use polyexec_futures::{count, yield_now};
//!
//! async fn sum() -> u64 {
//!     let ten = count(10).await; // pending nine times, then ready
//!     yield_now().await; // lets other tasks run
//!     ten + count(23).await
//! }
//! # assert_eq!(polyexec_core::block_on(sum()), 33);
//! ```

#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(feature = "std")]
pub use self::{
    cancellation::{CancelOnDrop, CancellationToken, Cancelled},
    join_set::JoinSet,
    scope::{Scope, ScopedHandle, TryScope, scope, try_scope},
    tracker::{TaskTracker, TaskTrackerToken, TrackedFuture},
};
#[cfg(target_has_atomic = "64")]
pub use counter::{Counter, Inspect, count};
pub use polyexec_core::{YieldNow, yield_now};
#[cfg(feature = "std")]
pub use task_local::{AccessError, LocalKey, WithValues, inherit};
pub use watch::{Moment, watch};

#[cfg(feature = "std")]
mod cancellation;
#[cfg(target_has_atomic = "64")]
mod counter;
#[cfg(feature = "std")]
mod join_set;
#[cfg(feature = "std")]
mod scope;
#[cfg(feature = "std")]
mod task_local;
#[cfg(feature = "std")]
mod tracker;
#[cfg(feature = "std")]
mod waiters;
mod watch;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
