//! A table of tasks in parts, each under its lock. Knows nothing of what is in it.

use parking_lot::Mutex;

pub(crate) const SHARDS: usize = 16;

/// A thread's tasks have ids in blocks of this many, so that threads seldom meet in a shard.
const IDS_PER_BLOCK: u64 = 1024;

#[derive(Default)]
pub(crate) struct Shards<T>([Mutex<T>; SHARDS]);

impl<T> Shards<T> {
    /// The shard of the task with this id.
    pub(crate) fn of(&self, id: u64) -> &Mutex<T> {
        &self.0[(id / IDS_PER_BLOCK) as usize % SHARDS]
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Mutex<T>> {
        self.0.iter()
    }
}
