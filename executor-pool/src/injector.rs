//! The queue of tasks from threads that are no workers. Says when it is closed, so that no task comes after the shutdown
//! has emptied it.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use polyexec_core::executor::Task;

use crate::sync::{AtomicUsize, Mutex, deque};

#[cfg(all(test, polyexec_loom))]
mod models;

/// The most tasks that a worker takes at a time: enough that it seldom comes, few enough that the others get some.
pub(crate) const MAX_BATCH: usize = 64;

/// So many tasks in the queue at once, or more, are a flood of them.
pub(crate) const FLOOD: usize = 8;

/// Room for so many tasks is kept when the queue is empty; more is given back.
const KEPT: usize = 4096;

#[derive(Default)]
pub(crate) struct Injector {
    queue: Mutex<Queue>,
    /// The length of the queue, to be read without the lock. Written under it.
    len: AtomicUsize,
}

#[derive(Default)]
struct Queue {
    tasks: VecDeque<Task>,
    closed: bool,
}

impl Injector {
    /// Puts a task behind the others, or gives it back if the pool has shut down. The caller then notifies.
    pub(crate) fn push(&self, task: Task) -> Result<(), Task> {
        let mut queue = self.queue.lock();
        if queue.closed {
            return Err(task);
        }
        queue.tasks.push_back(task);
        self.len.store(queue.tasks.len(), Relaxed);
        Ok(())
    }

    /// How many there seem to be.
    pub(crate) fn len(&self) -> usize {
        // Relaxed: a hint.
        self.len.load(Relaxed)
    }

    /// Whether there is none. Whoever must not miss one has a fence before this, and whoever pushed one after.
    pub(crate) fn is_empty(&self) -> bool {
        // Acquire: pairs with the Release in `pop`.
        self.len.load(Acquire) == 0
    }

    /// Takes the first task. What the worker has queued before is seen by whoever sees the task gone.
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

    /// Takes one worker's share of the tasks, with as much to be seen as of [`pop`](Injector::pop): the first is returned, the others
    /// go to `local`, so many. If there are others, the caller then notifies.
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
        let is_too_large = queue.tasks.is_empty() && queue.tasks.capacity() > KEPT;
        let room = is_too_large.then(|| std::mem::take(&mut queue.tasks));
        drop(queue);
        drop(room);
        first.map(|first| (first, share - 1))
    }

    /// Takes no more, and gives back what is left.
    pub(crate) fn close(&self) -> impl Sized {
        let mut queue = self.queue.lock();
        queue.closed = true;
        self.len.store(0, Relaxed);
        std::mem::take(&mut queue.tasks)
    }
}
