//! A worker and the scheduler's loop: next task, run it, or else search and park. `queues` chooses the next task, `search`
//! looks elsewhere and sleeps.
//!
//! The loop owns the worker. It lends it to the thread-local in `current` while user code runs, so that wakes and spawns find the
//! worker's queue. A task that blocks takes it from there and hands it over to another thread; this thread's loop then
//! ends with the task's poll.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use polyexec_core::Handle;
use polyexec_core::executor::driver::{self, Priority, ReadyWakers};
use polyexec_core::executor::{Ran, Task};
use polyexec_core::observe::WorkerEvent;
use polyexec_threads::{WhenBusy, contain};

use crate::job::Job;
use crate::policy::{BATCH, EVENTS_AT, MIN_TIMED_SLEEP};
use crate::remote::Remote;
use crate::shared::Shared;
use crate::sync::deque;
use crate::system::ThreadId;
use crate::{PoolHandle, WorkerInfo, monitor, remotes};

mod current;
#[cfg(all(test, polyexec_loom))]
mod models;
mod queues;
mod search;

/// On cache lines of its own (two, since processors fetch them in pairs): it changes with each poll, and the next worker's box may
/// be beside it.
#[repr(align(128))]
pub(crate) struct Worker {
    shared: Arc<Shared>,
    /// Clones of the pool's handle that are made on this thread share its count.
    handle: PoolHandle,
    index: usize,
    /// First in, first out: a task that wakes itself goes behind what waits.
    queue: deque::Worker<Task>,
    /// What other threads see of this worker.
    remote: Arc<CachePadded<Remote>>,
    /// What this worker sees of the others.
    remotes: remotes::Snapshot,
    /// Polls so far.
    polls: u32,
    /// Polls until the next look at the injector.
    until_injector: u32,
    /// The worker ran out of local tasks since its last periodic look at the injector.
    took_batch: bool,
    /// Tasks put in the LIFO slot so far.
    lifo_pushes: u32,
    /// Tasks taken from the LIFO slot since the queue's last turn.
    lifo_polls: u32,
    /// The wakers of events are being called: one notification will do for all their tasks.
    defers_notifications: bool,
    /// State of the random numbers: where to look first when stealing.
    random: u32,
    /// The polls of each other worker at the last look.
    seen_polls: Box<[u32]>,
    /// When the current sample of steals began, and how many tasks it has. Cleared by a sleep or a verdict.
    stolen: Option<(Instant, u32)>,
    /// Steals in a row that cost more than they brought.
    steal_backoff: u32,
    /// Fruitless searches in a row.
    fruitless: u32,
    /// The length of the next timed sleep.
    timed_sleep: Duration,
}

/// What the loop does next. All of it is user code.
enum Turn {
    /// Poll a task.
    Run(Task),
    /// Call the wakers of events.
    Wake(ReadyWakers),
}

impl Worker {
    pub(crate) fn new(shared: Arc<Shared>, index: usize, queue: deque::Worker<Task>) -> Self {
        let remotes = shared.remotes.snapshot();
        Self {
            handle: PoolHandle::new(shared.clone()),
            index,
            queue,
            remote: remotes[index].clone(),
            // Continues its predecessor's count: the same number again would look like the same poll.
            polls: remotes[index].polls(),
            until_injector: 0,
            took_batch: false,
            lifo_pushes: 0,
            lifo_polls: 0,
            defers_notifications: false,
            random: 2 * index as u32 + 1,
            seen_polls: remotes.iter().map(|_| 0).collect(),
            remotes,
            stolen: None,
            steal_backoff: 0,
            fruitless: 0,
            timed_sleep: MIN_TIMED_SLEEP,
            shared,
        }
    }

    /// The next turn; sleeps until there is one. `None` if the pool shuts down, or this worker was detached.
    ///
    /// `again` is the task of the last turn, if it woke itself.
    fn next(&mut self, again: Option<Task>) -> Option<Turn> {
        if self.remote.is_detached() {
            again.into_iter().for_each(|again| self.queue.push(again));
            return None;
        }
        if let Some(woken) = self.look_for_events() {
            again.into_iter().for_each(|again| self.queue.push(again));
            return Some(Turn::Wake(woken));
        }
        let task = match self.next_task(again) {
            Some(task) => task,
            None => match self.search()? {
                Turn::Run(task) => task,
                Turn::Wake(woken) => return Some(Turn::Wake(woken)),
            },
        };
        if self.remote.is_detached() {
            // In the meantime. No worker looks at its queue any more, so this poll must leave no task there.
            self.queue.push(task);
            return None;
        }
        self.polls = self.polls.wrapping_add(1);
        self.remote.begin_poll(self.polls);
        Some(Turn::Run(task))
    }

    /// Looks for events once in a while, so that they never starve.
    fn look_for_events(&mut self) -> Option<ReadyWakers> {
        if self.until_injector != EVENTS_AT {
            return None;
        }
        // The look counts as a poll.
        self.until_injector -= 1;
        Some(driver::look(Priority::Worker)).filter(|woken| !woken.is_empty())
    }

    /// Calls the wakers of events. Their tasks go to this worker's queue, and others are notified once a batch. Returns
    /// `None` if a waker blocked, and the worker was handed over.
    fn wake(self: Box<Self>, mut woken: ReadyWakers) -> Option<Box<Self>> {
        let mut worker = self;
        while !woken.is_empty() {
            worker.defer_notifications();
            let (lent, ()) = current::lend(worker, || woken.wake_some(BATCH));
            // Without a worker, the rest is called here as it drops.
            worker = lent?;
            worker.notify_deferred();
        }
        Some(worker)
    }

    /// Tells the monitor that it may be detached from now on.
    fn start(&self) {
        self.remote.start();
        monitor::notify();
    }

    /// Ends this worker. A detached one moves its tasks to the injector; at the shutdown, the drop ends them.
    fn finish(self) {
        if self.remote.is_detached() {
            self.drain();
            self.remote.mark_done();
        }
    }
}

impl Drop for Worker {
    /// The pool holds the other end of the queue, and the tasks in it hold the pool.
    fn drop(&mut self) {
        while let Some(task) = self.take_own() {
            drop(task);
        }
    }
}

/// The scheduler's loop: runs `worker` on this thread until it is handed over or detached, or the pool shuts down.
fn run(mut worker: Box<Worker>, thread: &ThreadId) {
    let (shared, remote) = (worker.shared.clone(), worker.remote.clone());
    if let Some(on_worker_start) = &shared.hooks.on_worker_start {
        // Before it starts: the monitor detaches no worker whose hook takes its time.
        contain(|| on_worker_start(&WorkerInfo::new(worker.index, shared.workers)));
    }
    let index = worker.index;
    shared.hooks.tell(index, WorkerEvent::Started);
    remote.thread().set(thread);
    worker.start();
    let _handles_events = driver::work();
    let mut again = None;
    loop {
        let lent = match worker.next(again.take()) {
            Some(Turn::Run(task)) => {
                let (lent, ran) = current::lend(worker, || poll(&shared, &remote, task));
                if let Ran::Again(task) = ran {
                    again = Some(task);
                }
                lent
            }
            Some(Turn::Wake(woken)) => worker.wake(woken),
            None => {
                worker.finish();
                return shared.hooks.tell(index, WorkerEvent::Stopped);
            }
        };
        match lent {
            Some(back) => worker = back,
            None => break,
        }
    }
    if let Some(task) = again {
        // Its worker runs on another thread now. If the pool has shut down, the task ends.
        drop(shared.inject(task));
    }
}

#[inline]
fn poll(shared: &Shared, remote: &Remote, task: Task) -> Ran {
    // The monitor is told which task it is, if stalls are reported. A task with too many handles isn't.
    let reported = shared.hooks.on_stall.as_ref().and_then(|_| task.try_abort_handle());
    match reported {
        None => shared.tasks.run(task),
        Some(handle) => remote.reporting(handle, || shared.tasks.run(task)),
    }
}

impl Job for Worker {
    fn pool(&self) -> Handle {
        Handle::new(PoolHandle::new(self.shared.clone()))
    }

    fn run(self: Box<Self>, thread: &ThreadId) {
        run(self, thread);
    }
}

/// Hands this thread's worker over to another thread, since this one is about to block. It finishes its task without a worker,
/// and is then a spare thread.
pub(crate) fn hand_over(shared: &Arc<Shared>) {
    let Some(mut worker) = current::take(shared) else { return };
    shared.hooks.tell(worker.index, WorkerEvent::HandedOver);
    if worker.defers_notifications {
        // A waker blocks: this thread's loop won't notify others of what was woken.
        worker.notify_deferred();
    }
    if !worker.remote.leave_running() {
        return worker.finish();
    }
    worker.remote.forget_reported();
    // Without a thread the pool is slower until one is free, this one at the latest, or the monitor gets one. After the
    // shutdown the worker ends here with its tasks: this thread may wait for one of them.
    drop(shared.threads.submit(worker, WhenBusy::WaitAlways));
    monitor::notify();
}

/// Queues a task that became ready on this thread, or gives it back if the pool has shut down.
pub(crate) fn schedule(shared: &Arc<Shared>, task: Task) -> Result<(), Task> {
    let mut task = Some(task);
    let is_detached = current::with(shared, |worker| {
        task.take().into_iter().for_each(|task| worker.push(task));
        // Last: if the worker was detached before, this thread may have had no processor since, and the monitor has looked
        // at its queue for the last time.
        worker.remote.is_detached()
    });
    if is_detached == Some(true) {
        while let Some(task) = current::with(shared, |worker| worker.take_own()).flatten() {
            // If the pool has shut down, the task ends.
            drop(shared.inject(task));
        }
    }
    match task {
        // This thread has no worker of this pool.
        Some(task) => shared.inject(task),
        None => Ok(()),
    }
}

/// A handle with the count of this thread's worker, if it has one of this pool: other threads don't contend for it.
pub(crate) fn handle(shared: &Arc<Shared>) -> Option<PoolHandle> {
    current::with(shared, |worker| worker.handle.share())
}

#[cfg(all(test, not(polyexec_loom)))]
mod tests {
    use super::*;
    use std::future::pending;

    use polyexec_threads::{Settings, ThreadPool};

    use crate::hooks::Hooks;
    use crate::sleep::Sleep;

    #[test]
    fn a_detached_worker_leaves_nothing_in_its_queue() {
        polyexec_conformance::watched!();
        let queue = deque::Worker::new_fifo();
        let remote = Arc::new(CachePadded::new(Remote::new(queue.stealer(), 0)));
        let threads = ThreadPool::new(Settings::new("worker"), |_| ());
        let shared = Arc::new(Shared::new([remote.clone()].into(), Sleep::new(1, 1), threads, Hooks::default()));
        let task = || Task::new(pending::<()>(), PoolHandle::new(shared.clone())).0;
        let worker = Box::new(Worker::new(shared.clone(), 0, queue));
        remote.start();
        let (worker, ()) = current::lend(worker, || {
            assert!(schedule(&shared, task()).is_ok());
            assert!(remote.has_tasks() && shared.injector.is_empty());
            assert!(remote.detach());
            assert!(schedule(&shared, task()).is_ok());
            assert!(!remote.has_tasks() && shared.injector.len() == 2);
        });
        drop(worker);
        crate::shutdown::shut_down(&shared);
    }
}
