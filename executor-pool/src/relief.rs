//! Notices that a worker is in a poll which doesn't end, tells of it, and gives its seat to another one. When this happens,
//! `monitor` decides.
//!
//! A poll that sleeps in the system uses no processor: its worker is relieved at once, so that the pool is at strength
//! again. One that computes does; another worker would only take turns with it, so it is relieved late, if tasks wait
//! and nobody is free for them, and not many of them at a time.
//!
//! # Which of the two it is
//!
//! Each thread has a clock that goes while it has a processor. Read at two looks, it tells of the time in between. A
//! thread that had a processor most of the time computes. One that had none sleeps, or waits for a processor that others use.
//! Those two only `/proc` tells apart, and to ask it takes a file. A process may have no file left, and may see no
//! `/proc`: then a clock that stands still counts as sleep. Where others use the processors, polls that compute are relieved
//! by mistake then, and each mistake is a thread that takes turns with the others. So not many of them are made at a time.
//!
//! # What comes after it
//!
//! Who was relieved may not know it at once, and queue a task once more where nobody looks any more. So each look takes what
//! it has. That ends when its clock has stood still from one look to the next: the thread was without a processor after it was
//! relieved, so that it sees this when it goes on. What it had queued before was seen. So hundreds that sleep cost a look nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use polyexec_threads::WhenBusy;

use crate::Stall;
use crate::desk::Desk;
use crate::job::Job;
use crate::shared::Shared;
use crate::sleep::Queued;
use crate::sync::deque::Worker as Queue;
use crate::system::CpuTime;
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
    /// What its thread's clock said at a look, and when that was.
    clock: (Option<CpuTime>, Instant),
}

/// What a thread did from one look to the next, by its clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Did {
    /// It had no processor at all.
    Nothing,
    /// It had a processor for less than a tenth of the time.
    Little,
    /// It may be that, or what follows.
    Unknown,
    /// It had a processor for more than half of the time.
    Compute,
}

impl Did {
    fn during(elapsed: Duration, used: Option<Duration>) -> Self {
        match used {
            None => Self::Unknown,
            Some(Duration::ZERO) => Self::Nothing,
            Some(used) if used < elapsed / 10 => Self::Little,
            Some(used) if used > elapsed / 2 => Self::Compute,
            Some(_) => Self::Unknown,
        }
    }
}

impl Seen {
    /// A poll that is seen for the first time.
    fn first(desk: &Desk, now: Instant) -> Self {
        Self { polls: desk.polls(), since: now, clock: (desk.thread().cpu_time(), now) }
    }

    /// What is seen of the worker at this look, and what its thread did since the last one.
    fn anew(self, desk: &Desk, now: Instant) -> (Self, Did) {
        if desk.polls() != self.polls {
            return (Self::first(desk, now), Did::Unknown);
        }
        let (before, then) = self.clock;
        if now - then < INTERVAL {
            // A look that came early: the monitor was woken though it was awake.
            return (self, Did::Unknown);
        }
        let time = desk.thread().cpu_time();
        let used = time.zip(before).and_then(|(time, before)| time.since(before));
        (Self { clock: (time, now), ..self }, Did::during(now - then, used))
    }

    /// Whether the thread has had a processor since the last look at its clock.
    fn has_run_since(&self, desk: &Desk) -> bool {
        self.clock.0 != desk.thread().cpu_time()
    }
}

/// A worker that is in its last poll. Or in the one after that, if that ended when its worker was relieved.
struct Relieved {
    desk: Arc<CachePadded<Desk>>,
    seen: Seen,
    why: Why,
    /// It knows that it was relieved when it goes on, and queues nothing any more.
    is_settled: bool,
}

/// Why a worker is relieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// Its thread sleeps.
    Sleeps,
    /// Its thread's clock stands still, and the system doesn't say why.
    Still,
    /// Tasks wait, for long.
    Late,
}

impl Relieved {
    /// Whether it may yet do something without knowing that it was relieved.
    fn is_awake(&self) -> bool {
        !self.is_settled && !self.desk.is_retired()
    }

    /// Whether its thread, which was taken for one that sleeps, has run all the same.
    fn may_be_mistake(&self) -> bool {
        self.why == Why::Still && (!self.is_settled || self.seen.has_run_since(&self.desk))
    }
}

/// What a look has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quiet {
    /// Every worker sleeps, and those that were relieved know it or will.
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
        self.shared.crew.is_short_of_threads()
            || self.shared.roster.copy().iter().any(|desk| desk.is_at_work())
            || self.relieved.iter().any(Relieved::is_awake)
    }

    /// Looks at each worker, and does what is to be done.
    pub(crate) fn look(&mut self, now: Instant) -> Quiet {
        self.see_to_relieved(now);
        let desks = self.shared.roster.copy();
        // A worker that waits for a thread is given one as soon as it is to be had.
        let is_behind = self.shared.crew.retry();
        let mut quiet = if is_behind || self.relieved.iter().any(Relieved::is_awake) { Quiet::No } else { Quiet::Yes };
        for (seat, desk) in desks.iter().enumerate() {
            if !desk.is_at_work() {
                self.seats[seat] = None;
                continue;
            }
            quiet = Quiet::No;
            let (seen, did) = match self.seats[seat] {
                Some(seen) => seen.anew(desk, now),
                None => (Seen::first(desk, now), Did::Unknown),
            };
            self.seats[seat] = Some(seen);
            let duration = now - seen.since;
            if duration < INTERVAL {
                // Seen for the first time; or so is the second, since a look came early.
                continue;
            }
            if let Some(why) = self.reason(desk, did, duration) {
                self.relieve(seat, Relieved { desk: desk.clone(), seen, why, is_settled: false });
            }
            // Last: the one thread that may be left should work, not be in somebody's hook.
            self.tell(desk, seen, now);
        }
        quiet
    }

    /// Whether to relieve a worker whose poll takes so long already, and why.
    fn reason(&self, desk: &Desk, did: Did, duration: Duration) -> Option<Why> {
        let sleeps = if did == Did::Compute { Some(false) } else { desk.thread().sleeps() };
        let is_still = matches!(did, Did::Nothing | Did::Little);
        if sleeps == Some(true) {
            Some(Why::Sleeps)
        } else if sleeps.is_none() && is_still && self.count(Relieved::may_be_mistake) < self.shared.workers {
            Some(Why::Still)
        } else if duration >= LATE && self.is_late_relief_due() {
            Some(Why::Late)
        } else {
            None
        }
    }

    fn count(&self, which: impl Fn(&Relieved) -> bool) -> usize {
        self.relieved.iter().filter(|relieved| which(relieved)).count()
    }

    /// Ends the tasks of those that were relieved: the pool shuts down.
    pub(crate) fn end_tasks(self) {
        self.relieved.iter().for_each(|relieved| relieved.desk.end_tasks());
    }

    /// Tells of a long poll, once: it is noted until then.
    fn tell(&self, desk: &Desk, Seen { polls, since, .. }: Seen, now: Instant) {
        if let Some(task) = desk.take_noted(polls) {
            self.give(Job::Tell(Stall { task, duration: now - since }, self.shared.clone()));
        }
    }

    /// Whether tasks wait that nobody is free to run, and one more thread that computes does no harm.
    fn is_late_relief_due(&self) -> bool {
        let Shared { injector, roster, sleep, workers, .. } = &*self.shared;
        let waits = !injector.is_empty() || roster.copy().iter().any(|desk| desk.has_tasks());
        waits && !sleep.is_anyone_free() && self.count(|relieved| relieved.why == Why::Late) < *workers
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
        let given = self.shared.crew.submit(job, WhenBusy::WaitAlways);
        assert!(given.is_ok(), "a crew is closed only after the monitor has forgotten its pool");
    }

    /// Takes the tasks of those that are still in their last poll, and forgets those that have ended it.
    fn see_to_relieved(&mut self, now: Instant) {
        let mut all = std::mem::take(&mut self.relieved);
        all.retain(|relieved| !relieved.desk.is_retired());
        for Relieved { desk, seen, is_settled, .. } in all.iter_mut().filter(|relieved| !relieved.is_settled) {
            let did;
            // Before its tasks are taken: if it settled, they are its last.
            (*seen, did) = seen.anew(desk, now);
            *is_settled = did == Did::Nothing;
            let queue = Queue::new_fifo();
            while let Some(task) = desk.steal(&queue).or_else(|| queue.pop()) {
                // It can't have shut down: see `give`.
                drop(self.shared.inject(task));
            }
            if now - seen.since >= INTERVAL {
                self.tell(desk, *seen, now);
            }
        }
        self.relieved = all;
    }
}

#[cfg(all(test, target_os = "linux", not(polyexec_loom)))]
mod tests {
    use super::*;
    use std::future::pending;
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
    use std::sync::mpsc;
    use std::thread;

    use polyexec_core::executor::Task;
    use polyexec_threads::{Settings, ThreadPool};

    use crate::PoolHandle;
    use crate::job::Hooks;
    use crate::sleep::Sleep;
    use crate::system::{ThreadId, probe};

    /// A pool of workers without threads, and whether each job that comes is to work.
    fn pool(workers: usize) -> (Rounds, mpsc::Receiver<bool>) {
        let (sender, jobs) = mpsc::channel();
        let crew = ThreadPool::new(Settings::new("relief"), move |jobs| {
            jobs.into_iter().for_each(|job| sender.send(matches!(job, Job::Work(_))).unwrap());
        });
        let desk = |_| Arc::new(CachePadded::new(Desk::new(Queue::new_fifo().stealer(), 0)));
        let desks = (0..workers).map(desk).collect();
        let shared = Arc::new(Shared::new(
            desks,
            Sleep::new(workers, 1),
            crew,
            Hooks { on_stall: Some(Arc::new(|_| ())), ..Hooks::default() },
        ));
        (Rounds::new(shared), jobs)
    }

    fn end(rounds: &Rounds) {
        rounds.shared.crew.close();
        rounds.shared.crew.join();
    }

    impl Rounds {
        fn desk(&self, seat: usize) -> Arc<CachePadded<Desk>> {
            self.shared.roster.copy()[seat].clone()
        }

        /// The seat's worker begins a poll on `thread`.
        fn begin_poll(&self, seat: usize, thread: &ThreadId) -> Arc<CachePadded<Desk>> {
            let desk = self.desk(seat);
            desk.thread().set(thread);
            desk.begin_poll(desk.polls() + 1);
            desk.come();
            desk
        }
    }

    /// Looks, of which each comes so long after the one before that a thread has hardly had a processor in between.
    struct Looks(Instant);

    impl Looks {
        fn new() -> Self {
            Self(Instant::now())
        }

        fn look(&mut self, rounds: &mut Rounds) -> Quiet {
            self.0 += Duration::from_secs(3600);
            rounds.look(self.0)
        }

        fn look_without_files(&mut self, rounds: &mut Rounds) {
            probe::without_files(|| self.look(rounds));
        }
    }

    /// A thread that sleeps, or runs.
    struct Other {
        number: ThreadId,
        runs: Arc<AtomicBool>,
        is_over: Arc<AtomicBool>,
        thread: Option<thread::JoinHandle<()>>,
    }

    impl Other {
        fn new() -> Self {
            let (runs, is_over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
            let (its_runs, its_is_over) = (runs.clone(), is_over.clone());
            let (number, comes) = mpsc::channel();
            let thread = thread::spawn(move || {
                number.send(ThreadId::here()).unwrap();
                while !its_is_over.load(SeqCst) {
                    if !its_runs.load(SeqCst) {
                        thread::park();
                    }
                }
            });
            let number = comes.recv().unwrap();
            Self { number, runs, is_over, thread: Some(thread) }
        }

        fn asleep() -> Self {
            let other = Self::new();
            while other.number.sleeps() == Some(false) {
                thread::yield_now();
            }
            other
        }

        fn running() -> Self {
            let other = Self::new();
            other.run();
            other
        }

        /// Comes back when the thread has had a processor.
        fn run(&self) {
            let before = self.number.cpu_time();
            self.runs.store(true, SeqCst);
            self.thread.as_ref().unwrap().thread().unpark();
            while self.number.cpu_time() == before || self.number.sleeps() != Some(false) {
                thread::yield_now();
            }
        }
    }

    impl Drop for Other {
        fn drop(&mut self) {
            self.is_over.store(true, SeqCst);
            let thread = self.thread.take().unwrap();
            thread.thread().unpark();
            thread.join().unwrap();
        }
    }

    #[test]
    fn a_poll_is_not_long_at_a_look_that_comes_early() {
        polyexec_conformance::watched!();
        let (mut rounds, jobs) = pool(1);
        let (task, _) = Task::new(pending::<()>(), PoolHandle::new(rounds.shared.clone()));
        let thread = Other::asleep();
        let desk = rounds.begin_poll(0, &thread.number);
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
        end(&rounds);
    }

    #[test]
    fn nothing_is_said_of_less_than_an_interval() {
        polyexec_conformance::watched!();
        let (rounds, _jobs) = pool(1);
        let (thread, now) = (Other::asleep(), Instant::now());
        let desk = rounds.begin_poll(0, &thread.number);
        let (seen, did) = Seen::first(&desk, now).anew(&desk, now + INTERVAL / 2);
        assert_eq!(did, Did::Unknown);
        // It counts from the first of them.
        let (seen, did) = seen.anew(&desk, now + INTERVAL);
        assert_eq!(did, Did::Nothing);
        thread.run();
        let (_, did) = seen.anew(&desk, now + INTERVAL + Duration::from_secs(3600));
        assert_eq!(did, Did::Little);
        end(&rounds);
    }

    #[test]
    fn who_waits_for_a_processor_does_not_sleep() {
        polyexec_conformance::watched!();
        let (mut rounds, _jobs) = pool(1);
        let mut looks = Looks::new();
        let thread = Other::running();
        let desk = rounds.begin_poll(0, &thread.number);
        for _ in 0..3 {
            looks.look(&mut rounds);
            assert!(desk.is_at_work());
        }
        end(&rounds);
    }

    #[test]
    fn who_computes_opens_no_file() {
        polyexec_conformance::watched!();
        let (mut rounds, _jobs) = pool(1);
        // Itself: its clock has gone on for more than half of the time until the next look.
        let desk = rounds.begin_poll(0, &ThreadId::here());
        let now = Instant::now();
        rounds.look(now);
        let before = desk.thread().cpu_time().unwrap();
        while desk.thread().cpu_time().unwrap().since(before).unwrap() < INTERVAL {}
        assert_eq!(probe::asked(|| _ = rounds.look(now + INTERVAL)), 1, "more than its clock was asked for");
        assert!(desk.is_at_work());
        end(&rounds);
    }

    #[test]
    fn those_that_sleep_cost_a_look_nothing() {
        polyexec_conformance::watched!();
        const BLOCKED: usize = 300;
        let (mut rounds, _jobs) = pool(2);
        let mut looks = Looks::new();
        let thread = Other::asleep();
        for _ in 0..BLOCKED {
            let desk = rounds.begin_poll(0, &thread.number);
            looks.look(&mut rounds);
            looks.look(&mut rounds);
            assert!(desk.is_relieved());
        }
        assert_eq!(rounds.relieved.len(), BLOCKED);
        // The last one is asked for once more, whether it has run since.
        looks.look(&mut rounds);
        assert_eq!(probe::asked(|| assert_eq!(looks.look(&mut rounds), Quiet::Yes)), 0);
        // One that is in a poll is asked for.
        rounds.begin_poll(1, &thread.number);
        assert_eq!(probe::asked(|| assert_eq!(looks.look(&mut rounds), Quiet::No)), 1);
        end(&rounds);
    }

    #[test]
    fn who_has_run_since_it_was_relieved_may_not_know_it() {
        polyexec_conformance::watched!();
        let (mut rounds, _jobs) = pool(1);
        let mut looks = Looks::new();
        let thread = Other::asleep();
        let desk = rounds.begin_poll(0, &thread.number);
        looks.look(&mut rounds);
        looks.look(&mut rounds);
        assert!(desk.is_relieved());
        thread.run();
        for _ in 0..3 {
            assert_eq!(looks.look(&mut rounds), Quiet::No);
            thread.run();
        }
        desk.retire();
        assert_eq!(looks.look(&mut rounds), Quiet::Yes);
        end(&rounds);
    }

    #[test]
    fn without_files_a_clock_that_stands_still_is_taken_for_sleep() {
        polyexec_conformance::watched!();
        let (mut rounds, _jobs) = pool(2);
        let mut looks = Looks::new();
        let thread = Other::asleep();
        for _ in 0..50 {
            let desks = [0, 1].map(|seat| rounds.begin_poll(seat, &thread.number));
            looks.look_without_files(&mut rounds);
            looks.look_without_files(&mut rounds);
            assert!(desks.iter().all(|desk| desk.is_relieved()));
        }
        end(&rounds);
    }

    #[test]
    fn without_files_not_many_are_taken_for_sleepers_that_are_none() {
        polyexec_conformance::watched!();
        let (mut rounds, _jobs) = pool(2);
        let mut looks = Looks::new();
        let thread = Other::asleep();
        let first = [0, 1].map(|seat| rounds.begin_poll(seat, &thread.number));
        looks.look_without_files(&mut rounds);
        looks.look_without_files(&mut rounds);
        assert!(first.iter().all(|desk| desk.is_relieved()));
        // Those are known by now to have slept. And then they run.
        looks.look_without_files(&mut rounds);
        thread.run();
        let asleep = Other::asleep();
        let second = rounds.begin_poll(0, &asleep.number);
        for _ in 0..3 {
            looks.look_without_files(&mut rounds);
            assert!(second.is_at_work());
        }
        // One of them is over.
        first[0].retire();
        looks.look_without_files(&mut rounds);
        assert!(second.is_relieved());
        end(&rounds);
    }
}
