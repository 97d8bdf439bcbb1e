//! A work-stealing executor: one worker per processor, each with its own queue. An idle worker steals from the others.
//!
//! For programs with many tasks. A task that must block calls [`block_in_place`](polyexec_core::block_in_place), and its worker
//! goes to another thread at once. A block that isn't announced is noticed within ten milliseconds;
//! [`on_stall`](Builder::on_stall) reports its task.
//!
//! How the scheduler works is described in `src/README.md`.
//!
//! # Examples
//!
//! ```
//! use polyexec_pool::Pool;
//!
//! let pool = Pool::builder().worker_threads(2).build()?;
//! let squares: Vec<_> = (1..=3).map(|n| pool.spawn(async move { n * n })).collect();
//! let sum: u32 = squares.into_iter().map(|square| square.join().unwrap()).sum();
//! assert_eq!(sum, 14);
//! # Ok::<(), std::io::Error>(())
//! ```

#![forbid(unsafe_code)]
#![cfg_attr(polyexec_loom, allow(dead_code, reason = "a modelled pool has no monitor"))]

pub use builder::Builder;
pub use pool::{Pool, PoolHandle};
pub use stall::Stall;
pub use worker_info::WorkerInfo;

mod builder;
mod handoff;
mod hooks;
mod injector;
mod job;
mod lifo_slot;
#[cfg(not(polyexec_loom))]
mod monitor;
#[cfg(polyexec_loom)]
#[path = "monitor/none.rs"]
mod monitor;
mod policy;
mod pool;
mod remote;
mod remotes;
mod shared;
mod shutdown;
mod sleep;
mod stall;
mod sync;
mod system;
mod watched;
mod worker;
mod worker_info;
