//! The LIFO slot: the task that was woken or spawned last, whose memory is still in the cache. Its worker runs it next; others
//! may steal it if the worker doesn't get to it.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use polyexec_core::executor::{Task, TaskSlot};

use crate::sync::AtomicU32;

#[cfg(all(test, polyexec_loom))]
pub(crate) mod models;

#[derive(Default)]
pub(crate) struct LifoSlot {
    task: TaskSlot,
    /// Hint: the number of the task in the slot, or zero. May be stale during a concurrent take or put. If it is
    /// zero, the slot is empty, or some thread is about to take the task.
    filled: AtomicU32,
}

impl LifoSlot {
    /// Puts a task in the slot, and returns the one that was there. Only for the worker itself, which numbers its tasks from
    /// one.
    pub(crate) fn put(&self, number: u32, task: Task) -> Option<Task> {
        debug_assert_ne!(number, 0);
        let before = self.task.swap(task);
        // Relaxed: the notification that follows has a fence, and so has a thread that must not miss the task.
        self.filled.store(number, Relaxed);
        before
    }

    /// Takes the task out. Only for the worker itself.
    pub(crate) fn take(&self) -> Option<Task> {
        if !self.is_filled() {
            return None;
        }
        // Release: pairs with the Acquire in `is_filled`. A thread that sees it empty sees what the worker queued before.
        self.filled.store(0, Release);
        self.task.take()
    }

    /// Takes the task out, for another worker.
    pub(crate) fn steal(&self) -> Option<Task> {
        let number = self.filled.load(Relaxed);
        if number == 0 {
            return None;
        }
        let stolen = self.task.take();
        // If the number has changed, so has the task, and the worker has said what is in the slot.
        let _ = self.filled.compare_exchange(number, 0, Relaxed, Relaxed);
        stolen
    }

    /// Hint: whether there is a task in the slot.
    pub(crate) fn is_filled(&self) -> bool {
        // Acquire: pairs with the Release in `take`.
        self.filled.load(Acquire) != 0
    }
}

#[cfg(all(test, not(polyexec_loom)))]
mod tests {
    use super::*;
    use std::future::pending;
    use std::pin::Pin;

    use polyexec_core::executor::Rejected;
    use polyexec_core::{Executor, TaskId};

    /// An executor for tasks that are never run.
    struct NoExecutor;

    impl Executor for NoExecutor {
        fn submit(&self, task: Task) -> Result<(), Rejected> {
            Err(Rejected::shut_down(task))
        }
        fn schedule(&self, _: Task) {}
        fn drive(&self, _: Pin<&mut dyn Future<Output = ()>>) {}
    }

    fn task() -> Task {
        Task::new(pending::<()>(), NoExecutor).0
    }

    fn id(task: Option<Task>) -> Option<TaskId> {
        task.map(|task| task.id())
    }

    #[test]
    fn the_task_that_was_put_last_comes_out_once() {
        let slot = LifoSlot::default();
        assert!(!slot.is_filled() && slot.take().is_none() && slot.steal().is_none());
        let (first, second, third) = (task(), task(), task());
        let ids = [&first, &second, &third].map(|task| Some(task.id()));
        assert!(slot.put(1, first).is_none());
        assert_eq!(id(slot.put(2, second)), ids[0]);
        assert!(slot.is_filled());
        assert_eq!(id(slot.take()), ids[1]);
        assert!(!slot.is_filled() && slot.take().is_none());
        assert!(slot.put(3, third).is_none());
        assert_eq!(id(slot.steal()), ids[2]);
        assert!(!slot.is_filled() && slot.steal().is_none() && slot.take().is_none());
    }

    #[test]
    fn a_thief_hides_no_later_task() {
        let slot = LifoSlot::default();
        drop(slot.put(1, task()));
        // A thief has read the number and taken the task. Before it clears the hint, the worker puts another one.
        let stolen = slot.task.take();
        assert!(stolen.is_some() && slot.put(2, task()).is_none());
        assert!(slot.filled.compare_exchange(1, 0, Relaxed, Relaxed).is_err());
        assert!(slot.is_filled() && slot.steal().is_some());
    }
}
