//! A worker: a queue of its own, and the loop that takes tasks from it and from elsewhere. A worker belongs to the
//! thread that works as it, and goes to another thread when that one blocks.

use std::cell::RefCell;
use std::sync::Arc;

use crossbeam_deque as deque;
use polyexec_core::{Handle, Ran, Task, context};
use polyexec_crew::Jobs;

use crate::PoolHandle;
use crate::shared::{Shared, persist};
use crate::sleep::Searching;

/// Polls between looks at the shared queue, so that tasks from outside never starve. As in tokio and Go: a prime, so
/// that it falls in step with no pattern of the tasks.
const INJECTOR_INTERVAL: u32 = 61;

pub(crate) struct Worker {
    shared: Arc<Shared>,
    index: usize,
    /// First in, first out: a task that wakes itself goes behind what waits.
    queue: deque::Worker<Task>,
    /// Tasks taken so far.
    tick: u32,
    /// Where to look first when stealing.
    random: u32,
}

thread_local! {
    /// The worker that this thread works as. Never borrowed while a task runs.
    static WORKER: RefCell<Option<Worker>> = const { RefCell::new(None) };
}

impl Worker {
    pub(crate) fn new(shared: Arc<Shared>, index: usize, queue: deque::Worker<Task>) -> Self {
        let random = 2 * index as u32 + 1;
        Self { shared, index, queue, tick: 0, random }
    }

    /// The next task; sleeps until there is one. `None` when the pool shuts down.
    fn next(&mut self) -> Option<Task> {
        let mut searching = None;
        loop {
            if self.shared.is_closed() {
                return None;
            }
            if let Some(task) = self.find(&mut searching) {
                self.tick = self.tick.wrapping_add(1);
                if let Some(searching) = searching {
                    self.shared.sleep.found(searching);
                }
                return Some(task);
            }
            let Shared { sleep, .. } = &*self.shared;
            let must_stay = || self.shared.is_closed() || self.shared.has_tasks();
            searching = Some(sleep.sleep(self.index, searching, must_stay));
        }
    }

    fn find(&mut self, searching: &mut Option<Searching>) -> Option<Task> {
        let outsiders_first = self.tick.is_multiple_of(INJECTOR_INTERVAL);
        outsiders_first
            .then(|| self.injected())
            .flatten()
            .or_else(|| self.queue.pop())
            .or_else(|| self.injected_batch())
            .or_else(|| self.steal(searching))
    }

    fn injected(&self) -> Option<Task> {
        persist(|| self.shared.injector.steal())
    }

    fn injected_batch(&self) -> Option<Task> {
        let task = persist(|| self.shared.injector.steal_batch_and_pop(&self.queue))?;
        if !self.queue.is_empty() {
            // Whoever was notified of the tasks that came along may have looked while they were in neither queue.
            self.shared.sleep.notify();
        }
        Some(task)
    }

    /// Takes half of another worker's tasks, and the injector's once more, since that is where they come from.
    fn steal(&mut self, searching: &mut Option<Searching>) -> Option<Task> {
        if searching.is_none() {
            *searching = self.shared.sleep.search();
        }
        searching.as_ref()?;
        let stealers = &self.shared.stealers;
        let first = random(&mut self.random) as usize % stealers.len();
        (first..stealers.len())
            .chain(0..first)
            .filter(|victim| *victim != self.index)
            .find_map(|victim| persist(|| stealers[victim].steal_batch_and_pop(&self.queue)))
            .or_else(|| self.injected_batch())
    }
}

impl Drop for Worker {
    /// The pool holds on to the other end of the queue, and the tasks in it to the pool.
    fn drop(&mut self) {
        while let Some(task) = self.queue.pop() {
            drop(task);
        }
    }
}

/// Xorshift (Marsaglia, 2003): quick, and random enough to keep thieves apart.
fn random(state: &mut u32) -> u32 {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    *state
}

/// What each thread does: works as one worker after another. It has none while it is a spare.
pub(crate) fn work(workers: Jobs<Worker>) {
    let mut resident = None;
    for worker in workers {
        let shared = worker.shared.clone();
        // Once a thread: all its workers are of the same pool.
        resident.get_or_insert_with(|| context::reside(Handle::new(PoolHandle::new(shared.clone()))));
        give(worker);
        while let Some(Some(task)) = with(&shared, Worker::next) {
            if let Ran::Again(task) = shared.live.run(task) {
                requeue(&shared, task);
            }
        }
        // At the shutdown it ends here, with the tasks in its queue; else it was taken from this thread before.
        drop(take(&shared));
    }
}

/// Queues a task that became ready on this thread.
pub(crate) fn schedule(shared: &Arc<Shared>, task: Task) {
    if let Some(task) = push(shared, task) {
        shared.inject(task);
    } else {
        shared.sleep.notify();
    }
}

/// Queues a task that woke itself. If this thread is still a worker, it needs no notification: the worker itself will
/// come to the task, and whatever waits before it was notified of.
fn requeue(shared: &Arc<Shared>, task: Task) {
    if let Some(task) = push(shared, task) {
        shared.inject(task);
    }
}

/// Puts a task in the queue of this thread's worker; gives it back if the thread isn't one of this pool's.
fn push(shared: &Arc<Shared>, task: Task) -> Option<Task> {
    let mut task = Some(task);
    with(shared, |worker| task.take().into_iter().for_each(|task| worker.queue.push(task)));
    task
}

/// Lends this thread's worker, if it is one of this pool.
fn with<T>(shared: &Arc<Shared>, run: impl FnOnce(&mut Worker) -> T) -> Option<T> {
    let lend = |worker: &RefCell<Option<Worker>>| {
        let mut worker = worker.try_borrow_mut().ok()?;
        worker.as_mut().filter(|worker| Arc::ptr_eq(&worker.shared, shared)).map(run)
    };
    // While the thread's locals are destroyed, it is no worker any more.
    WORKER.try_with(lend).ok().flatten()
}

/// Takes this thread's worker away, if it is one of this pool.
pub(crate) fn take(shared: &Arc<Shared>) -> Option<Worker> {
    let lend = |worker: &RefCell<Option<Worker>>| {
        worker.try_borrow_mut().ok()?.take_if(|worker| Arc::ptr_eq(&worker.shared, shared))
    };
    WORKER.try_with(lend).ok().flatten()
}

/// Makes this thread work as `worker`.
pub(crate) fn give(worker: Worker) {
    WORKER.set(Some(worker));
}
