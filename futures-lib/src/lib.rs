//! Futures for every executor: [`Counter`] counts its polls, [`yield_now`] lets other tasks run, [`watch`] observes polls.
//!
//! They need nothing but a waker, and no `std`. Timers, sockets and files are in `polyexec-io`.
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

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub use counter::{Counter, Inspect, count};
pub use polyexec_core::{YieldNow, yield_now};
pub use watch::{Moment, watch};

mod counter;
mod watch;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
