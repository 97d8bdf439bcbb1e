//! A worker: a queue of its own, and the loop that takes tasks from it and from elsewhere. A worker belongs to the
//! thread that works as it, and goes to another thread when that one blocks.

use std::cell::RefCell;
use std::sync::Arc;

use crossbeam_deque::{self as deque, Steal};
use polyexec_core::{Handle, Ran, Task, context};
use polyexec_crew::Jobs;

use crate::PoolHandle;
use crate::shared::Shared;
use crate::sleep::Searching;

/// Polls between looks at the shared queue, so that tasks from outside never starve. As in tokio and Go: a prime, so
/// that it falls in step with no pattern of the tasks.
const INJECTOR_INTERVAL: u32 = 61;

pub(crate) struct Worker {
    shared: Arc<Shared>,
    /// What the tasks spawned here refer to the pool with.
    handle: PoolHandle,
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
        let handle = PoolHandle::new(shared.clone());
        Self { shared, handle, index, queue, tick: 0, random }
    }

    /// The next task; sleeps until there is one. `None` when the pool shuts down.
    ///
    /// `again` is the task that was run last, if it woke itself. It needs no notification: this worker will come to it,
    /// and to whatever waits before it.
    fn next(&mut self, again: Option<Task>) -> Option<Task> {
        if let Some(task) = again {
            self.queue.push(task);
        }
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
            .then(|| self.shared.injector.pop())
            .flatten()
            .or_else(|| self.queue.pop())
            .or_else(|| self.injected())
            .or_else(|| self.steal(searching))
    }

    fn injected(&self) -> Option<Task> {
        let Shared { injector, stealers, sleep, .. } = &*self.shared;
        let task = injector.take(stealers.len(), &self.queue)?;
        if !self.queue.is_empty() {
            // Whoever was notified of the tasks that came along may have looked while they were in neither queue.
            sleep.notify();
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
            .or_else(|| self.injected())
    }
}

/// Tries until the queue has given a task or was seen empty.
fn persist(mut steal: impl FnMut() -> Steal<Task>) -> Option<Task> {
    loop {
        match steal() {
            Steal::Success(task) => return Some(task),
            Steal::Empty => return None,
            Steal::Retry => std::hint::spin_loop(),
        }
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
        let mut again = None;
        while let Some(Some(task)) = with(&shared, |worker| worker.next(again.take())) {
            if let Ran::Again(task) = shared.live.run(task) {
                again = Some(task);
            }
        }
        if let Some(task) = again {
            // The worker was taken from this thread. At the shutdown, the task ends.
            drop(shared.inject(task));
        }
        // At the shutdown it ends here, with the tasks in its queue; else it was taken from this thread before.
        drop(take(&shared));
    }
}

/// Queues a task that became ready on this thread, or gives it back if the pool has shut down.
pub(crate) fn schedule(shared: &Arc<Shared>, task: Task) -> Result<(), Task> {
    let mut task = Some(task);
    with(shared, |worker| task.take().into_iter().for_each(|task| worker.queue.push(task)));
    match task {
        // This thread isn't a worker of the pool.
        Some(task) => shared.inject(task),
        None => {
            shared.sleep.notify();
            Ok(())
        }
    }
}

/// The handle of this thread's worker, if it is one of this pool: to refer to the pool with it touches no count that
/// other threads touch all the time.
pub(crate) fn handle(shared: &Arc<Shared>) -> Option<PoolHandle> {
    with(shared, |worker| worker.handle.share())
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
