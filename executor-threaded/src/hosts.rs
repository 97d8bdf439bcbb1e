//! What each thread hosts, for a shutdown that is to say what still runs. Never polls or ends a task.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use polyexec_core::executor::Task;
use polyexec_core::{AbortHandle, TaskInfo};

/// The threads that there are, by the addresses of their entries.
#[derive(Debug, Default)]
pub(crate) struct Hosts(Mutex<HashMap<usize, Arc<Entry>>>);

#[derive(Debug, Default)]
struct Entry(Mutex<Option<AbortHandle>>);

/// One thread's entry.
///
/// # What dropping does
///
/// Forgets the thread.
pub(crate) struct Host<'a> {
    hosts: &'a Hosts,
    entry: Arc<Entry>,
}

impl Hosts {
    /// Enters another thread.
    pub(crate) fn enter(&self) -> Host<'_> {
        let host = Host { hosts: self, entry: Arc::default() };
        self.0.lock().insert(host.address(), host.entry.clone());
        host
    }

    /// The tasks that the threads host now, and that aren't over: of one that was ended while it rested, its thread may not
    /// know yet.
    pub(crate) fn unfinished(&self) -> Vec<TaskInfo> {
        let entries: Vec<_> = self.0.lock().values().cloned().collect();
        let unfinished = |entry: &Arc<Entry>| {
            let task = entry.0.lock();
            task.as_ref().filter(|task| !task.is_finished()).map(AbortHandle::task)
        };
        entries.iter().filter_map(unfinished).collect()
    }
}

impl Host<'_> {
    /// Notes that the thread hosts `task`, until the next one. A task with as many handles as there may be isn't named.
    pub(crate) fn hosts(&self, task: &Task) {
        let hosted = task.try_abort_handle();
        let before = std::mem::replace(&mut *self.entry.0.lock(), hosted);
        drop(before);
    }

    /// Notes that the thread hosts none.
    pub(crate) fn is_idle(&self) {
        let before = self.entry.0.lock().take();
        drop(before);
    }

    fn address(&self) -> usize {
        Arc::as_ptr(&self.entry).addr()
    }
}

impl Drop for Host<'_> {
    fn drop(&mut self) {
        self.hosts.0.lock().remove(&self.address());
    }
}
