//! The task that a worker runs next: the one that was woken or spawned last, whose memory is still at hand. Others may
//! take it, should the worker not come to it.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use polyexec_core::executor::{Task, TaskSlot};

use crate::sync::AtomicU32;

#[cfg(all(test, polyexec_loom))]
pub(crate) mod models;

#[derive(Default)]
pub(crate) struct Next {
    task: TaskSlot,
    /// Zero, or the number of the task in here, to be seen without taking it. May be wrong for as long as others take and
    /// put; never zero with a task that nobody is about to take.
    filled: AtomicU32,
}

impl Next {
    /// Puts a task in here, and returns the one that was. Only for the worker itself, whose tasks have numbers other than
    /// zero.
    pub(crate) fn put(&self, number: u32, task: Task) -> Option<Task> {
        debug_assert_ne!(number, 0);
        let before = self.task.swap(task);
        // Relaxed: the notification that follows has a fence, and so has whoever must not miss the task.
        self.filled.store(number, Relaxed);
        before
    }

    /// Takes the task out. Only for the worker itself.
    pub(crate) fn take(&self) -> Option<Task> {
        if !self.is_filled() {
            return None;
        }
        // Release: pairs with the Acquire in `is_filled`; who sees it empty sees what the worker has queued before.
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
        // If the number has changed, so has the task: then it isn't ours to say what is in here.
        let _ = self.filled.compare_exchange(number, 0, Relaxed, Relaxed);
        stolen
    }

    /// Whether there seems to be a task in here.
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

    /// An executor that isn't asked for anything.
    struct Nobody;

    impl Executor for Nobody {
        fn submit(&self, task: Task) -> Result<(), Rejected> {
            Err(Rejected::shut_down(task))
        }
        fn schedule(&self, _: Task) {}
        fn drive(&self, _: Pin<&mut dyn Future<Output = ()>>) {}
    }

    fn task() -> Task {
        Task::new(pending::<()>(), Nobody).0
    }

    fn id(task: Option<Task>) -> Option<TaskId> {
        task.map(|task| task.id())
    }

    #[test]
    fn the_task_that_was_put_last_comes_out_once() {
        let next = Next::default();
        assert!(!next.is_filled() && next.take().is_none() && next.steal().is_none());
        let (first, second, third) = (task(), task(), task());
        let ids = [&first, &second, &third].map(|task| Some(task.id()));
        assert!(next.put(1, first).is_none());
        assert_eq!(id(next.put(2, second)), ids[0]);
        assert!(next.is_filled());
        assert_eq!(id(next.take()), ids[1]);
        assert!(!next.is_filled() && next.take().is_none());
        assert!(next.put(3, third).is_none());
        assert_eq!(id(next.steal()), ids[2]);
        assert!(!next.is_filled() && next.steal().is_none() && next.take().is_none());
    }

    #[test]
    fn a_thief_leaves_what_was_put_meanwhile_to_be_seen() {
        let next = Next::default();
        drop(next.put(1, task()));
        // A thief has looked, and taken the task; before it says so, the worker puts another one.
        let stolen = next.task.take();
        assert!(stolen.is_some() && next.put(2, task()).is_none());
        assert!(next.filled.compare_exchange(1, 0, Relaxed, Relaxed).is_err());
        assert!(next.is_filled() && next.steal().is_some());
    }
}
