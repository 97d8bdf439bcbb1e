//! Names a worker to the user's hook.

/// Names a worker of a [`Pool`](crate::Pool): its index, and how many there are. Given to the hook of
/// [`on_worker_start`](crate::Builder::on_worker_start).
///
/// # What dropping does
///
/// Nothing to the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WorkerInfo {
    index: usize,
    workers: usize,
}

impl WorkerInfo {
    pub(crate) fn new(index: usize, workers: usize) -> Self {
        Self { index, workers }
    }

    /// Which worker it is, from zero on. At most one thread at a time takes tasks for it.
    pub fn index(&self) -> usize {
        self.index
    }

    /// How many workers the pool has: [`Pool::worker_threads`](crate::Pool::worker_threads).
    pub fn workers(&self) -> usize {
        self.workers
    }
}
