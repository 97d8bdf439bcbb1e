//! A cache of threads that run jobs: named, bounded, reused, and joined at the end.
//!
//! [`ThreadPool::submit`] is the only way in. Its argument [`WhenBusy`] says what happens if all threads are busy. The crate
//! knows nothing of tasks: an executor chooses what a job is.
//!
//! # Examples
//!
//! ```
//! use polyexec_threads::{Settings, Submitted, ThreadPool, WhenBusy};
//! use std::sync::mpsc;
//!
//! let (sender, results) = mpsc::channel();
//! let threads = ThreadPool::new(Settings::new("squares"), move |jobs| {
//!     for n in jobs {
//!         sender.send(n * n).unwrap();
//!     }
//! });
//! assert_eq!(threads.submit(7, WhenBusy::Refuse).unwrap(), Submitted::Accepted);
//! assert_eq!(results.recv(), Ok(49));
//! threads.close();
//! threads.join();
//! ```

#![forbid(unsafe_code)]

pub use jobs::Jobs;
pub use limit::most_threads;
pub use pool::ThreadPool;
pub use settings::{MIN_STACK, Settings, contain};
pub use submit::{Refused, Submitted, WhenBusy};

mod jobs;
mod limit;
mod live;
mod members;
mod pool;
mod queue;
mod settings;
mod submit;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
