//! A worker: a queue of its own, and the loop that takes tasks from it, or else searches for some. A worker belongs to the
//! thread that works as it, and goes to another thread when that one blocks.

use std::cell::RefCell;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use polyexec_core::executor::driver::Wait;
use polyexec_core::executor::{Ran, Task, driver, is_polling};
use polyexec_threads::WhenBusy;

use crate::desk::Desk;
use crate::injector::{FLOOD, MAX_BATCH};
use crate::job::Job;
use crate::shared::Shared;
use crate::sleep::{Queued, SHORTEST_WATCH};
use crate::sync::{deque, thread_local};
use crate::system::ThreadId;
use crate::{PoolHandle, monitor, roster};

#[cfg(all(test, polyexec_loom))]
mod models;
mod search;

/// Polls between looks at the shared queue, so that tasks from outside never starve. As in tokio and Go: a prime, so
/// that it falls in step with no pattern of the tasks.
const INJECTOR_INTERVAL: u32 = 61;

/// Tasks of a flood from outside that are taken at such a look: fewer than are polled until the next one, so that those that
/// are there already have half of the polls at least.
const MAX_OUTSIDERS: usize = INJECTOR_INTERVAL as usize / 2;

/// Polls until the look at the shared queue when the worker looks for events: in between two of those.
const EVENTS_TURN: u32 = INJECTOR_INTERVAL / 2;

/// Tasks that events have woken, and of which others are told together.
const MAX_GATHERED: usize = 64;

/// Polls in a row of tasks that were just woken, before one that waits has its turn: tasks that wake each other delay
/// those that wait by so many for each.
const MAX_FAVOURED: u32 = 16;

pub(crate) struct Worker {
    shared: Arc<Shared>,
    /// What the tasks spawned here refer to the pool with.
    handle: PoolHandle,
    index: usize,
    /// First in, first out: a task that wakes itself goes behind what waits.
    queue: deque::Worker<Task>,
    /// What others see of this worker.
    desk: Arc<CachePadded<Desk>>,
    /// What it sees of the others.
    roster: roster::Copy,
    /// Tasks taken so far.
    polls: u32,
    /// Tasks to be taken until the next look at the shared queue.
    until_injected: u32,
    /// It has run all of its own since the last such look, and came to the shared queue by itself.
    has_come: bool,
    /// Tasks put in `next` so far.
    puts: u32,
    /// Whether wakers for events are being called: their tasks are told of together.
    is_gathering: bool,
    /// Tasks taken from `next` since one was taken from elsewhere.
    favoured: u32,
    /// How many tasks there were in the shared queue when some were taken last.
    last_injected: usize,
    /// Where to look first when stealing.
    random: u32,
    /// How many polls each of the others had begun, when it was last looked at.
    seen: Box<[u32]>,
    /// Since when tasks were stolen, without a sleep in between, and how many.
    loot: Option<(Instant, u32)>,
    /// How often in a row that wasn't worth it.
    restraint: u32,
    /// Searches in vain, since one found something or took its time.
    vain: u32,
    /// How long to watch the next time.
    watch: Duration,
}

thread_local! {
    /// The worker that this thread works as. Never borrowed while a task runs.
    static WORKER: RefCell<Option<Worker>> = const { RefCell::new(None) };
}

impl Worker {
    pub(crate) fn new(shared: Arc<Shared>, index: usize, queue: deque::Worker<Task>) -> Self {
        let roster = shared.roster.copy();
        Self {
            handle: PoolHandle::new(shared.clone()),
            index,
            queue,
            desk: roster[index].clone(),
            // Goes on from there: a number that was seen at this seat before would be taken for the same poll.
            polls: roster[index].polls(),
            until_injected: 0,
            has_come: false,
            puts: 0,
            is_gathering: false,
            favoured: 0,
            last_injected: 0,
            random: 2 * index as u32 + 1,
            seen: roster.iter().map(|_| 0).collect(),
            roster,
            loot: None,
            restraint: 0,
            vain: 0,
            watch: SHORTEST_WATCH,
            shared,
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Takes a task that became ready on this thread. If the one that runs has woken or spawned it, it is to be run next,
    /// before those that wait.
    fn put(&mut self, task: Task) {
        if self.is_gathering {
            return self.queue.push(task);
        }
        let is_alone = self.queue.is_empty() && !self.desk.next.is_filled();
        if is_alone {
            // There it is next, too, and it costs less.
            self.queue.push(task);
            self.shared.sleep.notify(Queued::Next);
        } else if !is_polling() {
            // It waits for a task that has ended, and perhaps for others after that: those should end first.
            self.queue.push(task);
            self.shared.sleep.notify(Queued::Plenty);
        } else {
            self.puts = self.puts.wrapping_add(1).max(1);
            let before = self.desk.next.put(self.puts, task);
            before.into_iter().for_each(|task| self.queue.push(task));
            self.shared.sleep.notify(Queued::Plenty);
        }
    }

    /// The next task; sleeps until there is one. `None` when events have come, whose wakers are in `woken` then, or when
    /// the pool shuts down, or this worker was relieved.
    ///
    /// `again` is the task that was run last, if it woke itself. It goes behind what waits, and needs no notification:
    /// this worker will come to it, and to whatever waits before it.
    fn next(&mut self, again: Option<Task>, woken: &mut Vec<Waker>) -> Option<Task> {
        if self.desk.is_relieved() || self.must_wake(woken) {
            again.into_iter().for_each(|again| self.queue.push(again));
            return None;
        }
        let task = self.local(again).or_else(|| self.search(woken))?;
        if self.desk.is_relieved() {
            // Meanwhile. Nobody may look at the queue any more, so nothing may be left there in this task's poll.
            self.queue.push(task);
            return None;
        }
        self.polls = self.polls.wrapping_add(1);
        self.desk.begin_poll(self.polls);
        Some(task)
    }

    /// Looks for events, now and then, so that they never starve. Whether there were some.
    fn must_wake(&mut self, woken: &mut Vec<Waker>) -> bool {
        if self.until_injected != EVENTS_TURN {
            return false;
        }
        // One is the look.
        self.until_injected -= 1;
        driver::look(Wait::AsWorker, woken);
        !woken.is_empty()
    }

    /// From now on, until [`tell_of_gathered`](Worker::tell_of_gathered), tasks are queued without a notification.
    fn gather(&mut self) {
        self.is_gathering = true;
    }

    /// Has others come for the tasks that were queued, if there is more than one.
    fn tell_of_gathered(&mut self) {
        self.is_gathering = false;
        match self.queue.len() {
            0 => (),
            1 => self.shared.sleep.notify(Queued::Next),
            _ => self.shared.sleep.notify(Queued::Plenty),
        }
    }

    /// Takes its seat, and may be relieved from then on.
    fn come(&self) {
        self.desk.come();
        monitor::notice();
    }

    /// Gives up what it has: it was relieved, and there are enough workers without this one.
    fn move_out(&self) {
        while let Some(task) = self.take_out() {
            // The pool may have shut down. Then the task ends.
            drop(self.shared.inject(task));
        }
        self.desk.retire();
    }

    fn take_out(&self) -> Option<Task> {
        self.queue.pop().or_else(|| self.desk.next.take())
    }

    /// A task from the worker's own queue, or its share of those that are nobody's yet.
    fn local(&mut self, again: Option<Task>) -> Option<Task> {
        let outsiders_first = self.until_injected == 0;
        self.until_injected = if outsiders_first { INJECTOR_INTERVAL } else { self.until_injected } - 1;
        if let Some(again) = again {
            let is_alone = self.queue.is_empty() && !self.desk.next.is_filled();
            if is_alone && !outsiders_first && !self.shared.is_closed() {
                return Some(again);
            }
            self.queue.push(again);
        }
        if self.shared.is_closed() {
            return None;
        }
        outsiders_first
            .then(|| self.outsider())
            .flatten()
            .or_else(|| self.favoured())
            .or_else(|| self.waiting())
            .or_else(|| self.desk.next.take())
            .or_else(|| self.batch())
    }

    /// The task that was put last, unless it is the turn of those that wait.
    fn favoured(&mut self) -> Option<Task> {
        if self.favoured == MAX_FAVOURED {
            return None;
        }
        self.desk.next.take().inspect(|_| self.favoured += 1)
    }

    fn waiting(&mut self) -> Option<Task> {
        self.favoured = 0;
        self.queue.pop()
    }

    /// The first task of the shared queue; or a share of a flood, whose last ones would wait for longer if they came one at a time
    /// than behind those that are here.
    fn outsider(&mut self) -> Option<Task> {
        // Who has come to them since the last such look will do so again.
        if self.has_come {
            self.has_come = false;
            return self.shared.injector.pop();
        }
        let flood = FLOOD.max(self.queue.len() / INJECTOR_INTERVAL as usize);
        self.injected(flood, MAX_OUTSIDERS).or_else(|| self.shared.injector.pop())
    }

    /// A whole batch from the shared queue, if there is one.
    fn batch(&mut self) -> Option<Task> {
        self.has_come = true;
        self.injected(MAX_BATCH, MAX_BATCH)
    }

    /// A share of the tasks in the shared queue, if there are at least so many.
    fn injected(&mut self, at_least: usize, at_most: usize) -> Option<Task> {
        let Shared { injector, workers, sleep, .. } = &*self.shared;
        let there = injector.len();
        if there < at_least {
            return None;
        }
        self.last_injected = there;
        let (task, others) = injector.take(*workers, at_most, &self.queue)?;
        if others > 0 {
            // Whoever was notified of the tasks that came along may have looked while they were in neither queue.
            sleep.notify(Queued::Plenty);
        }
        Some(task)
    }
}

impl Drop for Worker {
    /// The pool holds on to the other end of the queue, and the tasks in it to the pool.
    fn drop(&mut self) {
        while let Some(task) = self.take_out() {
            drop(task);
        }
    }
}

/// Works as `worker` on this thread, until that goes to another thread, is relieved, or the pool shuts down.
pub(crate) fn work(worker: Worker, thread: &ThreadId) {
    let (shared, desk) = (worker.shared.clone(), worker.desk.clone());
    desk.thread().set(thread);
    worker.come();
    let _sees_to_events = driver::work();
    WORKER.set(Some(worker));
    let mut again = None;
    let mut woken = Vec::new();
    loop {
        let Some(task) = with(&shared, |worker| worker.next(again.take(), &mut woken)).flatten() else {
            if woken.is_empty() {
                break;
            }
            // Here, where they may put their tasks in this worker's queue.
            let mut woken = woken.drain(..);
            while woken.len() > 0 {
                with(&shared, Worker::gather);
                driver::wake_all(woken.by_ref().take(MAX_GATHERED));
                with(&shared, Worker::tell_of_gathered);
            }
            continue;
        };
        // A task with as many handles as there may be isn't told of.
        let polled = shared.hooks.on_stall.as_ref().and_then(|_| task.try_abort_handle());
        let ran = match polled {
            None => shared.live.run(task),
            Some(polled) => desk.noting(polled, || shared.live.run(task)),
        };
        if let Ran::Again(task) = ran {
            again = Some(task);
        }
    }
    if let Some(task) = again {
        // The worker was taken from this thread. At the shutdown, the task ends.
        drop(shared.inject(task));
    }
    // It was taken from this thread before, or was relieved. At the shutdown it ends here, with the tasks in its queue.
    if let Some(worker) = take(&shared).filter(|_| desk.is_relieved()) {
        worker.move_out();
    }
}

/// Another thread becomes this one's worker, so that its tasks go on, since this one is about to block. It has none from
/// then on: it finishes its task, and is a spare.
pub(crate) fn hand_over(shared: &Arc<Shared>) {
    let Some(mut worker) = take(shared) else { return };
    if worker.is_gathering {
        // A waker has blocked. What it and others have woken is told of here, for this thread does so no more.
        worker.tell_of_gathered();
    }
    if !worker.desk.leave() {
        return worker.move_out();
    }
    worker.desk.forget_noted();
    // Without a thread to be had the pool is slower, until one is free, this one at the latest, or the monitor has one.
    // Refused, since the pool has shut down, the worker ends here, and with it its tasks: this one may wait for one of them.
    drop(shared.crew.submit(Job::Work(Box::new(worker)), WhenBusy::WaitAlways));
    monitor::notice();
}

/// Queues a task that became ready on this thread, or gives it back if the pool has shut down.
pub(crate) fn schedule(shared: &Arc<Shared>, task: Task) -> Result<(), Task> {
    let mut task = Some(task);
    let is_relieved = with(shared, |worker| {
        task.take().into_iter().for_each(|task| worker.put(task));
        // Last: relieved before, this thread may have been without a processor since, and whoever relieved it has looked at its
        // queue for the last time.
        worker.desk.is_relieved()
    });
    if is_relieved == Some(true) {
        while let Some(task) = with(shared, |worker| worker.take_out()).flatten() {
            // The pool may have shut down. Then the task ends.
            drop(shared.inject(task));
        }
    }
    match task {
        // This thread isn't a worker of the pool.
        Some(task) => shared.inject(task),
        None => Ok(()),
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
fn take(shared: &Arc<Shared>) -> Option<Worker> {
    let lend = |worker: &RefCell<Option<Worker>>| {
        worker.try_borrow_mut().ok()?.take_if(|worker| Arc::ptr_eq(&worker.shared, shared))
    };
    WORKER.try_with(lend).ok().flatten()
}

#[cfg(all(test, not(polyexec_loom)))]
mod tests {
    use super::*;
    use std::future::pending;

    use polyexec_threads::{Settings, ThreadPool};

    use crate::job::Hooks;
    use crate::sleep::Sleep;

    #[test]
    fn who_was_relieved_leaves_nothing_in_its_queue() {
        polyexec_conformance::watched!();
        let queue = deque::Worker::new_fifo();
        let desk = Arc::new(CachePadded::new(Desk::new(queue.stealer(), 0)));
        let crew = ThreadPool::new(Settings::new("worker"), |_| ());
        let shared = Arc::new(Shared::new([desk.clone()].into(), Sleep::new(1, 1), crew, Hooks::default()));
        let task = || Task::new(pending::<()>(), PoolHandle::new(shared.clone())).0;
        WORKER.set(Some(Worker::new(shared.clone(), 0, queue)));
        desk.come();
        assert!(schedule(&shared, task()).is_ok());
        assert!(desk.has_tasks() && shared.injector.is_empty());
        assert!(desk.relieve());
        assert!(schedule(&shared, task()).is_ok());
        assert!(!desk.has_tasks() && shared.injector.len() == 2);
        drop(take(&shared));
        shared.shut_down();
    }
}
