//! Observers of polyexec's executors.
//!
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub use tasks::{Dump, LiveTask, Stuck, TaskState, Tasks};
pub use timeline::{Event, EventKind, Lane, Recording, TaskSummary, Timeline, TimelineBuilder};

mod name;
mod shards;
mod tasks;
mod timeline;
