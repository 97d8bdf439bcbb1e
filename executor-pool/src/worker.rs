//! A worker: a queue of its own, and the loop that takes tasks from it and from elsewhere. A worker belongs to the
//! thread that works as it, and goes to another thread when that one blocks.

use std::cell::RefCell;
use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::yield_now;
use std::time::{Duration, Instant};

use crossbeam_deque as deque;
use crossbeam_utils::CachePadded;
use polyexec_core::task::is_polling;
use polyexec_core::{Handle, Ran, Task, context};
use polyexec_crew::Jobs;

use crate::PoolHandle;
use crate::injector::MAX_BATCH;
use crate::shared::{Desk, Shared};
use crate::sleep::{LONGEST_WATCH, Queued, SHORTEST_WATCH, Sleeps};

/// Polls between looks at the shared queue, so that tasks from outside never starve. As in tokio and Go: a prime, so
/// that it falls in step with no pattern of the tasks.
const INJECTOR_INTERVAL: u32 = 61;

/// Polls in a row of tasks that were just woken, before one that waits has its turn: tasks that wake each other delay
/// those that wait by so many for each.
const MAX_FAVOURED: u32 = 16;

/// Looks at the shared queue before a searcher gives up, with `PAUSES` in between: thirty microseconds or so in all,
/// which is about what it costs to fall asleep and to be woken. So a searcher hardly loses more than twice of what it
/// would have lost had it known what was to come.
const LOOKS: u32 = 240;
const PAUSES: u32 = 5;
/// After so many searches in vain, half as many looks, and so on: that nothing comes may be the searcher's own fault, if
/// the thread that would bring it waits for this very processor.
const VAIN_A_HALVING: u32 = 4;
const MAX_HALVINGS: u32 = 4;
/// Searches in vain until the searcher takes its time again.
const MAX_VAIN: u32 = 64;
/// Looks at the shared queue for each at the other workers, whose cache lines should be left alone meanwhile: a
/// microsecond or so. A worker that has begun no other poll in between is in a long one.
const LOOKS_A_ROUND: u32 = 8;

/// So many tasks in the shared queue at once, or more, are a flood of them.
const FLOOD: usize = 8;
/// How many looks a worker waits for a whole batch to gather in the shared queue, where there was a flood, or a trickle,
/// the last time: else it takes the tasks one by one from the hands of whoever spawns them.
const LOOKS_IN_FLOOD: u32 = 32;
const LOOKS_IN_TRICKLE: u32 = 8;

/// A stolen task that kept the thief busy for less time than this, with all that came of it, was not worth stealing: that
/// is what it costs to move its memory from one processor to another, there and back.
const WORTH_STEALING: Duration = Duration::from_nanos(500);
/// Stolen tasks from whose time something can be learned.
const ENOUGH_LOOT: u32 = 8;
/// A thief that has learned so often in a row that the tasks are too short leaves the others alone, and sleeps before it
/// steals again. Until then it waits awake, each time twice as long.
const MAX_RESTRAINT: u32 = 4;

pub(crate) struct Worker {
    shared: Arc<Shared>,
    /// What the tasks spawned here refer to the pool with.
    handle: PoolHandle,
    index: usize,
    /// First in, first out: a task that wakes itself goes behind what waits.
    queue: deque::Worker<Task>,
    /// What others see of this worker.
    desk: Arc<CachePadded<Desk>>,
    /// Tasks taken so far.
    polls: u32,
    /// Tasks to be taken until the next look at the shared queue.
    until_injected: u32,
    /// Tasks put in `next` so far.
    puts: u32,
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
        Self {
            handle: PoolHandle::new(shared.clone()),
            index,
            queue,
            desk: shared.desks[index].clone(),
            polls: 0,
            until_injected: 0,
            puts: 0,
            favoured: 0,
            last_injected: 0,
            random: 2 * index as u32 + 1,
            seen: shared.desks.iter().map(|_| 0).collect(),
            loot: None,
            restraint: 0,
            vain: 0,
            watch: SHORTEST_WATCH,
            shared,
        }
    }

    /// Takes a task that became ready on this thread. If the one that runs has woken or spawned it, it is to be run next,
    /// before those that wait.
    fn put(&mut self, task: Task) {
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

    /// The next task; sleeps until there is one. `None` when the pool shuts down.
    ///
    /// `again` is the task that was run last, if it woke itself. It goes behind what waits, and needs no notification:
    /// this worker will come to it, and to whatever waits before it.
    fn next(&mut self, again: Option<Task>) -> Option<Task> {
        let task = self.local(again).or_else(|| self.search())?;
        self.polls = self.polls.wrapping_add(1);
        // Relaxed: it is compared with itself, and orders nothing.
        self.desk.polls.store(self.polls, Relaxed);
        Some(task)
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
            .then(|| self.shared.injector.pop())
            .flatten()
            .or_else(|| self.favoured())
            .or_else(|| self.waiting())
            .or_else(|| self.desk.next.take())
            .or_else(|| self.injected(MAX_BATCH))
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

    /// A share of the tasks in the shared queue, if there are at least so many.
    fn injected(&mut self, at_least: usize) -> Option<Task> {
        let Shared { injector, desks, sleep, .. } = &*self.shared;
        let there = injector.len();
        if there < at_least {
            return None;
        }
        self.last_injected = there;
        let task = injector.take(desks.len(), &self.queue)?;
        if !self.queue.is_empty() {
            // Whoever was notified of the tasks that came along may have looked while they were in neither queue.
            sleep.notify(Queued::Plenty);
        }
        Some(task)
    }

    /// A task from elsewhere; sleeps until there is one.
    #[cold]
    fn search(&mut self) -> Option<Task> {
        let shared = self.shared.clone();
        let sleep = &shared.sleep;
        self.learn();
        let mut searching = sleep.search();
        let mut comes_from = ComesFrom::Work;
        loop {
            if shared.is_closed() {
                return None;
            }
            let mut sleeps = Sleeps::Soundly;
            if let Some(search) = searching {
                match self.look(comes_from) {
                    Ok(task) => {
                        sleep.found(search, || match shared.injector.is_empty() {
                            false => Some(Queued::Injected),
                            true => shared.has_tasks().then_some(Queued::Plenty),
                        });
                        return Some(task);
                    }
                    Err(quiet) => sleeps = self.sleeps(quiet, comes_from),
                }
                searching = Some(search);
            }
            self.loot = None;
            let awake = sleep.sleep(self.index, searching, sleeps, |is_seen_to| shared.must_look(is_seen_to));
            comes_from = match sleeps {
                _ if awake.was_called => ComesFrom::Call,
                Sleeps::Soundly => ComesFrom::Work,
                Sleeps::Watching(_) | Sleeps::Undisturbed(_) => ComesFrom::Watch,
            };
            if sleeps == Sleeps::Soundly {
                self.begin_anew();
            }
            searching = Some(awake.searching);
        }
    }

    /// Looks for tasks that another worker doesn't come to: once, if others need the processor, or after a watch, where
    /// what is seen is compared with what was seen before. Else for a while, and learns whether that was in vain.
    fn look(&mut self, comes_from: ComesFrom) -> Result<Task, Quiet> {
        let is_crowded = self.shared.sleep.is_crowded();
        if is_crowded || comes_from == ComesFrom::Watch {
            return self.injected(1).map_or_else(|| self.steal(|desk| !is_crowded && desk.has_plenty()), Ok);
        }
        let looked = self.look_around();
        if comes_from == ComesFrom::Work {
            self.vain = if looked.is_ok() { 0 } else { (self.vain + 1) % MAX_VAIN };
        }
        looked
    }

    fn look_around(&mut self) -> Result<Task, Quiet> {
        let looks = LOOKS >> MAX_HALVINGS.min(self.vain / VAIN_A_HALVING);
        let gather = if self.last_injected < FLOOD { LOOKS_IN_TRICKLE } else { LOOKS_IN_FLOOD };
        let round = LOOKS_A_ROUND << self.restraint;
        let mut quiet = if self.restraint < MAX_RESTRAINT { Quiet::Everywhere } else { Quiet::LeftAlone };
        for look in 0..looks {
            let is_gathering = look < gather && look + 1 < looks;
            if let Some(task) = self.injected(if is_gathering { MAX_BATCH } else { 1 }) {
                return Ok(task);
            }
            if quiet != Quiet::LeftAlone && look.is_multiple_of(round) && (look > 0 || self.restraint == 0) {
                match self.steal(Desk::has_plenty) {
                    Ok(task) => return Ok(task),
                    // The first look compares with what was seen long ago, unless restraint has made it late.
                    Err(_) if look < round => {}
                    Err(Quiet::Everywhere) => {}
                    Err(seen) => quiet = seen,
                }
            }
            match (look + 1).is_multiple_of(LOOKS_A_ROUND) {
                // A thread that the system has put on this processor may be the one to have work.
                true => yield_now(),
                false => (0..PAUSES).for_each(|_| spin_loop()),
            }
        }
        Err(quiet)
    }

    /// How to sleep after a look in vain.
    fn sleeps(&mut self, quiet: Quiet, comes_from: ComesFrom) -> Sleeps {
        match quiet {
            Quiet::Everywhere => Sleeps::Soundly,
            Quiet::LeftAlone => Sleeps::Undisturbed(self.watch()),
            // Called for nothing: what there was, its worker was about to run.
            Quiet::AllButSome if comes_from == ComesFrom::Call => Sleeps::Undisturbed(SHORTEST_WATCH),
            Quiet::AllButSome => Sleeps::Watching(self.watch()),
        }
    }

    /// Takes half of another worker's tasks, if it `has_plenty` of them, or is in a long poll.
    fn steal(&mut self, has_plenty: impl Fn(&Desk) -> bool) -> Result<Task, Quiet> {
        let desks = &self.shared.desks;
        let first = random(&mut self.random) as usize % desks.len();
        let mut quiet = Quiet::Everywhere;
        for victim in (first..desks.len()).chain(0..first).filter(|victim| *victim != self.index) {
            let desk = &desks[victim];
            let polls = desk.polls();
            let is_in_long_poll = std::mem::replace(&mut self.seen[victim], polls) == polls;
            if (has_plenty(desk) || is_in_long_poll && desk.has_tasks())
                && let Some(task) = desk.steal(&self.queue)
            {
                let (since, tasks) = self.loot.unwrap_or_else(|| (Instant::now(), 0));
                self.loot = Some((since, tasks + 1 + self.queue.len() as u32));
                return Ok(task);
            }
            if !is_in_long_poll {
                quiet = Quiet::AllButSome;
            }
        }
        Err(quiet)
    }

    /// Learns from the time that stolen tasks took, now that they are done, whether to steal again at once.
    fn learn(&mut self) {
        let Some((since, tasks)) = self.loot else { return };
        let took = since.elapsed();
        if took >= WORTH_STEALING * tasks.max(ENOUGH_LOOT) {
            self.begin_anew();
        } else if tasks >= ENOUGH_LOOT {
            self.loot = None;
            self.restraint = MAX_RESTRAINT.min(self.restraint + 1);
        }
    }

    /// Forgets what was learned: times have changed.
    fn begin_anew(&mut self) {
        self.loot = None;
        self.restraint = 0;
        self.watch = SHORTEST_WATCH;
    }

    /// How long to watch: each time in vain twice as long.
    fn watch(&mut self) -> Duration {
        let now = self.watch;
        self.watch = LONGEST_WATCH.min(2 * now);
        now
    }
}

/// What made a worker search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ComesFrom {
    /// It has run its last task, or was about to sleep and had to look again.
    Work,
    /// Somebody woke it.
    Call,
    /// It has slept for as long as it wanted.
    Watch,
}

/// What a searcher saw that found nothing to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quiet {
    /// No other worker has begun a poll meanwhile.
    Everywhere,
    /// Some have, but have no more tasks than they run themselves.
    AllButSome,
    /// It hasn't looked at the other workers.
    LeftAlone,
}

impl Drop for Worker {
    /// The pool holds on to the other end of the queue, and the tasks in it to the pool.
    fn drop(&mut self) {
        while let Some(task) = self.queue.pop().or_else(|| self.desk.next.take()) {
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
    with(shared, |worker| task.take().into_iter().for_each(|task| worker.put(task)));
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
