//! Notices that a worker is in a poll which doesn't end, tells of it, and gives its seat to another one. When this happens,
//! `monitor` decides.
//!
//! A poll that sleeps in the system uses no processor: its worker is relieved at once, so that the pool is at strength
//! again. One that computes does; another worker would only take turns with it, so it is relieved late, if tasks wait
//! and nobody is free for them, and not many of them at a time.
//!
//! Who was relieved may not know it at once, and queue a task once more where nobody looks any more. So each look takes what
//! it has; and there are more looks until its thread sleeps, and for a while after that. What it has then is seen; and when
//! it wakes up it sees that it was relieved, which is long ago.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;

use crate::Stall;
use crate::desk::Desk;
use crate::job::Job;
use crate::shared::Shared;
use crate::sleep::Queued;
use crate::sync::deque::Worker as Queue;
use crate::worker::Worker;

/// Between two looks. A poll is long when it was there at a look and still is at the next one: after ten milliseconds at
/// the latest.
pub(crate) const INTERVAL: Duration = Duration::from_millis(5);

/// How long a poll may compute, or do what nobody knows, while tasks wait for its worker. A thread that takes turns with it
/// makes them wait for less than that, and costs little then.
const LATE: Duration = Duration::from_millis(100);

/// The workers of one pool, as they were at the last look.
pub(crate) struct Rounds {
    pub(crate) shared: Arc<Shared>,
    seats: Box<[Option<Seen>]>,
    relieved: Vec<Relieved>,
}

/// A poll, or the pause after it.
#[derive(Clone, Copy)]
struct Seen {
    /// How many the worker had begun.
    polls: u32,
    /// When it was seen first.
    since: Instant,
}

impl Seen {
    /// What is seen of the worker at this look.
    fn anew(before: Option<Self>, desk: &Desk, now: Instant) -> Self {
        let polls = desk.polls();
        before.filter(|seen| seen.polls == polls).unwrap_or(Self { polls, since: now })
    }
}

/// A worker that is in its last poll. Or in the one after that, if that ended when its worker was relieved.
struct Relieved {
    desk: Arc<CachePadded<Desk>>,
    seen: Seen,
    computes: bool,
}

impl Relieved {
    /// Whether it may yet do something without knowing that it was relieved.
    fn is_awake(&self) -> bool {
        !self.desk.is_retired() && self.desk.thread().sleeps() != Some(true)
    }
}

/// What a look has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quiet {
    /// Every worker sleeps, and those that were relieved sleep in their polls.
    Yes,
    /// Some are at work, or wait for a thread.
    No,
}

impl Rounds {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { seats: vec![None; shared.workers].into(), relieved: Vec::new(), shared }
    }

    /// Whether a look may find something soon. Has a fence before it, and who comes to work, or goes without a thread, one
    /// after.
    pub(crate) fn is_due(&self) -> bool {
        self.shared.crew.is_behind()
            || self.shared.roster.copy().iter().any(|desk| desk.is_at_work())
            || self.relieved.iter().any(Relieved::is_awake)
    }

    /// Looks at each worker, and does what is to be done.
    pub(crate) fn look(&mut self, now: Instant) -> Quiet {
        self.see_to_relieved(now);
        let desks = self.shared.roster.copy();
        // A worker that waits for a thread is given one as soon as it is to be had.
        let is_behind = self.shared.crew.catch_up();
        let mut quiet = if is_behind || self.relieved.iter().any(Relieved::is_awake) { Quiet::No } else { Quiet::Yes };
        for (seat, desk) in desks.iter().enumerate() {
            if !desk.is_at_work() {
                self.seats[seat] = None;
                continue;
            }
            quiet = Quiet::No;
            let before = self.seats[seat];
            let seen = Seen::anew(before, desk, now);
            self.seats[seat] = Some(seen);
            let duration = now - seen.since;
            if duration < INTERVAL {
                // Seen for the first time; or so is the second, since a look came early: the monitor was woken though it
                // was awake.
                continue;
            }
            let computes = desk.thread().sleeps() != Some(true);
            if !computes || duration >= LATE && self.is_late_relief_due() {
                self.relieve(seat, Relieved { desk: desk.clone(), seen, computes });
            }
            // Last: the one thread that may be left should work, not be in somebody's hook.
            self.tell(desk, seen, now);
        }
        quiet
    }

    /// Ends the tasks of those that were relieved: the pool shuts down.
    pub(crate) fn end_tasks(self) {
        self.relieved.iter().for_each(|relieved| relieved.desk.end_tasks());
    }

    /// Tells of a long poll, once: it is noted until then.
    fn tell(&self, desk: &Desk, Seen { polls, since }: Seen, now: Instant) {
        if let Some(task) = desk.take_noted(polls) {
            self.give(Job::Tell(Stall { task, duration: now - since }, self.shared.clone()));
        }
    }

    /// Whether tasks wait that nobody is free to run, and one more thread that computes does no harm.
    fn is_late_relief_due(&self) -> bool {
        let Shared { injector, roster, sleep, workers, .. } = &*self.shared;
        let waits = !injector.is_empty() || roster.copy().iter().any(|desk| desk.has_tasks());
        waits && !sleep.is_anyone_free() && self.relieved.iter().filter(|relieved| relieved.computes).count() < *workers
    }

    /// Gives the seat to a new worker, with the tasks that are there.
    fn relieve(&mut self, seat: usize, relieved: Relieved) {
        let desk = &relieved.desk;
        if !desk.relieve() {
            return;
        }
        let queue = Queue::new_fifo();
        while let Some(task) = desk.steal(&queue) {
            queue.push(task);
        }
        // Others compare it with what they have seen there before.
        let polls = desk.polls().wrapping_add(1);
        self.shared.roster.change(seat, Arc::new(CachePadded::new(Desk::new(queue.stealer(), polls))));
        self.give(Job::Work(Box::new(Worker::new(self.shared.clone(), seat, queue))));
        // Who was about to sleep may have looked while the tasks were at neither desk.
        self.shared.sleep.notify(Queued::Plenty);
        self.relieved.push(relieved);
    }

    /// A thread takes the job as soon as there is one: whoever was relieved, at the latest.
    fn give(&self, job: Job) {
        let given = self.shared.crew.queue(job);
        assert!(given.is_ok(), "a crew is closed only after the monitor has forgotten its pool");
    }

    /// Takes the tasks of those that are still in their last poll, and forgets the others.
    fn see_to_relieved(&mut self, now: Instant) {
        self.relieved.retain(|relieved| !relieved.desk.is_retired());
        for relieved in &mut self.relieved {
            let queue = Queue::new_fifo();
            while let Some(task) = relieved.desk.steal(&queue).or_else(|| queue.pop()) {
                // It can't have shut down: see `give`.
                drop(self.shared.inject(task));
            }
            relieved.seen = Seen::anew(Some(relieved.seen), &relieved.desk, now);
        }
        for Relieved { desk, seen, .. } in &self.relieved {
            if now - seen.since >= INTERVAL {
                self.tell(desk, *seen, now);
            }
        }
    }
}

#[cfg(all(test, not(polyexec_loom)))]
mod tests {
    use super::*;
    use std::future::pending;
    use std::sync::mpsc;
    use std::thread;

    use polyexec_core::Task;
    use polyexec_crew::{Crew, Settings};

    use crate::PoolHandle;
    use crate::sleep::Sleep;
    use crate::system::ThreadId;

    /// A pool of one worker without a thread, and whether each job that comes is to work; the worker has a task noted.
    fn pool() -> (Rounds, mpsc::Receiver<bool>, Task) {
        let (sender, jobs) = mpsc::channel();
        let crew = Crew::new(Settings::new("relief"), move |jobs| {
            jobs.into_iter().for_each(|job| sender.send(matches!(job, Job::Work(_))).unwrap());
        });
        let desk = Desk::new(Queue::new_fifo().stealer(), 0);
        let desks = [Arc::new(CachePadded::new(desk))].into();
        let shared = Arc::new(Shared::new(desks, Sleep::new(1, 1), crew, Some(Arc::new(|_| ()))));
        let (task, _) = Task::new(pending::<()>(), PoolHandle::new(shared.clone()));
        (Rounds::new(shared), jobs, task)
    }

    /// Calls `blocks` with a thread that sleeps.
    fn with_a_sleeper(blocks: impl FnOnce(&ThreadId)) {
        let (number, waits) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let thread = thread::spawn(move || {
            number.send(ThreadId::here()).unwrap();
            let _ = ended.recv();
        });
        let number = waits.recv().unwrap();
        while number.sleeps() == Some(false) {
            thread::yield_now();
        }
        blocks(&number);
        drop(end);
        thread.join().unwrap();
    }

    #[test]
    fn a_poll_is_not_long_at_a_look_that_comes_early() {
        let (mut rounds, jobs, task) = pool();
        let desk = rounds.shared.roster.copy()[0].clone();
        with_a_sleeper(|thread| {
            desk.thread().set(thread);
            desk.come();
            desk.noting(task.abort_handle(), || {
                let now = Instant::now();
                assert_eq!(rounds.look(now), Quiet::No);
                // The monitor was woken though it was awake.
                rounds.look(now + Duration::from_micros(1));
                assert!(desk.is_at_work() && jobs.try_recv().is_err());
                rounds.look(now + INTERVAL);
                assert!(desk.is_relieved());
                let mut jobs = [jobs.recv().unwrap(), jobs.recv().unwrap()];
                jobs.sort_unstable();
                assert_eq!(jobs, [false, true]);
            });
        });
        rounds.shared.crew.close();
        rounds.shared.crew.join();
    }
}
