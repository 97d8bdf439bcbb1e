//! The task that a worker runs next: the one that was woken or spawned last, whose memory is still at hand. Others may
//! take it, should the worker not come to it.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use crossbeam_utils::atomic::AtomicCell;
use polyexec_core::Task;

#[derive(Default)]
pub(crate) struct Next {
    task: AtomicCell<Option<Task>>,
    /// Zero, or the number of the task in here, to be seen without taking it. May be wrong for as long as others take and
    /// put; never zero with a task that nobody is about to take.
    filled: AtomicU32,
}

impl Next {
    /// Puts a task in here, and returns the one that was. Only for the worker itself, whose tasks have numbers other than
    /// zero.
    pub(crate) fn put(&self, number: u32, task: Task) -> Option<Task> {
        debug_assert_ne!(number, 0);
        let before = self.task.swap(Some(task));
        // Relaxed: the notification that follows has a fence, and so has whoever must not miss the task.
        self.filled.store(number, Relaxed);
        before
    }

    /// Takes the task out. Only for the worker itself.
    pub(crate) fn take(&self) -> Option<Task> {
        if !self.is_filled() {
            return None;
        }
        // Relaxed: the worker's own, and a hint to others.
        self.filled.store(0, Relaxed);
        self.task.take()
    }

    /// Takes the task out, for another worker.
    pub(crate) fn steal(&self) -> Option<Task> {
        let number = self.filled.load(Relaxed);
        if number == 0 {
            return None;
        }
        let stolen = self.task.take();
        // If the number has changed, so has the task: then it isn't ours to say what is in here.
        let _ = self.filled.compare_exchange(number, 0, Relaxed, Relaxed);
        stolen
    }

    /// Whether there seems to be a task in here.
    pub(crate) fn is_filled(&self) -> bool {
        self.filled.load(Relaxed) != 0
    }
}
