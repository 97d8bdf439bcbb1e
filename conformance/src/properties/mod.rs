//! One file per chapter, one function per property. Each panics if its property doesn't hold.

#![allow(clippy::waker_clone_wake, reason = "all ways to wake are tried, whichever is the shortest")]
#![allow(clippy::type_complexity, clippy::unit_arg, reason = "checks are closures that are handed about")]

pub(crate) mod abort;
pub(crate) mod blocking;
pub(crate) mod borrowing;
pub(crate) mod detach;
pub(crate) mod drop_order;
pub(crate) mod fairness;
pub(crate) mod join;
pub(crate) mod memory;
pub(crate) mod observers;
pub(crate) mod panic;
pub(crate) mod poll;
pub(crate) mod scale;
pub(crate) mod scope;
pub(crate) mod sets;
pub(crate) mod shutdown;
pub(crate) mod spawn;
pub(crate) mod task_locals;
pub(crate) mod threads;
pub(crate) mod wake;
pub(crate) mod waker;
