//! The queue of tasks from threads without a worker. Refuses tasks once it is closed, so that none comes after the shutdown has
//! emptied it.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use polyexec_core::executor::Task;

use crate::policy::INJECTOR_ROOM;
use crate::sync::{AtomicUsize, Mutex, deque};

#[cfg(all(test, polyexec_loom))]
mod models;

#[derive(Default)]
pub(crate) struct Injector {
    queue: Mutex<Queue>,
    /// The length of the queue, read without the lock. Written under it.
    len: AtomicUsize,
}

#[derive(Default)]
struct Queue {
    tasks: VecDeque<Task>,
    closed: bool,
}

impl Injector {
    /// Queues a task, or gives it back if the pool has shut down. The caller then notifies.
    pub(crate) fn push(&self, task: Task) -> Result<(), Task> {
        let mut queue = self.queue.lock();
        if queue.closed {
            return Err(task);
        }
        queue.tasks.push_back(task);
        self.len.store(queue.tasks.len(), Relaxed);
        Ok(())
    }

    /// Hint: the number of tasks.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Relaxed)
    }

    /// Whether there is no task. A caller that must not miss one has a fence before this; a producer has one after its push.
    pub(crate) fn is_empty(&self) -> bool {
        // Acquire: pairs with the Release in `pop`.
        self.len.load(Acquire) == 0
    }

    /// Takes the first task. A thread that sees the task gone also sees what this worker queued before.
    pub(crate) fn pop(&self) -> Option<Task> {
        if self.is_empty() {
            return None;
        }
        let mut queue = self.queue.lock();
        let first = queue.tasks.pop_front();
        // Release: pairs with the Acquire in `is_empty`.
        self.len.store(queue.tasks.len(), Release);
        first
    }

    /// Takes one worker's share of the tasks, visible as in [`pop`](Injector::pop). Returns the first and the number of others,
    /// which are in `local`; the caller then notifies of those.
    pub(crate) fn take(&self, workers: usize, at_most: usize, local: &deque::Worker<Task>) -> Option<(Task, usize)> {
        if self.is_empty() {
            return None;
        }
        let mut queue = self.queue.lock();
        let share = (queue.tasks.len() / workers).clamp(1, at_most).min(queue.tasks.len());
        let mut tasks = queue.tasks.drain(..share);
        let first = tasks.next();
        tasks.for_each(|task| local.push(task));
        // Release: as in `pop`.
        self.len.store(queue.tasks.len(), Release);
        let is_too_large = queue.tasks.is_empty() && queue.tasks.capacity() > INJECTOR_ROOM;
        let room = is_too_large.then(|| std::mem::take(&mut queue.tasks));
        drop(queue);
        drop(room);
        first.map(|first| (first, share - 1))
    }

    /// Refuses tasks from now on, and returns those that are left.
    pub(crate) fn close(&self) -> impl Sized {
        let mut queue = self.queue.lock();
        queue.closed = true;
        self.len.store(0, Relaxed);
        std::mem::take(&mut queue.tasks)
    }
}
