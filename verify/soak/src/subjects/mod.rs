//! The executors of this workspace.

mod local;
mod ours;
mod pool;
mod threaded;

use crate::run::Entry;

pub use ours::{Of, Ours, OursHandle, Owner};

/// All of them.
pub fn ours() -> Vec<Entry> {
    let version = concat!("polyexec ", env!("CARGO_PKG_VERSION"));
    vec![
        Entry::of::<Ours<polyexec_pool::Pool>>(version),
        Entry::of::<Ours<polyexec_threaded::Threaded>>(version),
        Entry::of::<Ours<polyexec_local::Local>>(version),
    ]
}
