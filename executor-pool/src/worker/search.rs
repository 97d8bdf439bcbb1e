//! What a worker does that has no task: where it looks for one, for how long, and what it learns from that for the next
//! time. How it sleeps and is woken, `sleep` decides.

use std::hint::spin_loop;
use std::task::Waker;
use std::thread::yield_now;
use std::time::{Duration, Instant};

use polyexec_core::executor::driver::Wait;
use polyexec_core::executor::{Task, driver};
use polyexec_threads::contain;

use super::Worker;
use crate::desk::Desk;
use crate::injector::{FLOOD, MAX_BATCH};
use crate::sleep::{LONGEST_WATCH, Queued, SHORTEST_WATCH, Sleeps};

/// Looks at the shared queue before a searcher gives up, with `PAUSES` in between: thirty microseconds or so in all,
/// which is about what it costs to fall asleep and to be woken. So a searcher hardly loses more than twice of what it
/// would have lost had it known what was to come.
const LOOKS: u32 = if cfg!(polyexec_loom) { 2 } else { 240 };
const PAUSES: u32 = 5;
/// After so many searches in vain, half as many looks, and so on: that nothing comes may be the searcher's own fault, if
/// the thread that would bring it waits for this very processor.
const VAIN_A_HALVING: u32 = 4;
const MAX_HALVINGS: u32 = 4;
/// Searches in vain until the searcher takes its time again.
const MAX_VAIN: u32 = 64;
/// Looks at the shared queue for each at the other workers, whose cache lines should be left alone meanwhile: a
/// microsecond or so. A worker that has begun no other poll in between is in a long one.
const LOOKS_A_ROUND: u32 = if cfg!(polyexec_loom) { 1 } else { 8 };

/// Looks at the shared queue for each at the driver, which takes a system call if there is something to wait for: four
/// microseconds or so.
const LOOKS_FOR_EVENTS: u32 = 4 * LOOKS_A_ROUND;

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

impl Worker {
    /// A task from elsewhere; sleeps until there is one. `None` when events have come, whose wakers are in `woken` then, or
    /// when the pool shuts down, or this worker was relieved.
    #[cold]
    pub(super) fn search(&mut self, woken: &mut Vec<Waker>) -> Option<Task> {
        if self.shared.is_closed() {
            return None;
        }
        driver::look(Wait::AsWorker, woken);
        if !woken.is_empty() {
            return None;
        }
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
                match self.look(comes_from, woken) {
                    Ok(task) => {
                        sleep.found(search, || self.what_waits());
                        return Some(task);
                    }
                    Err(_) if !woken.is_empty() => {
                        sleep.found(search, || self.what_waits());
                        return None;
                    }
                    Err(quiet) => sleeps = self.sleeps(quiet, comes_from),
                }
                searching = Some(search);
            }
            self.loot = None;
            if !self.desk.leave() {
                searching.into_iter().for_each(|search| sleep.found(search, || self.what_waits()));
                return None;
            }
            if let Some(on_park) = &shared.hooks.on_park {
                // The hook may take its time: no notification is left to this searcher meanwhile.
                searching.take().into_iter().for_each(|search| sleep.found(search, || self.what_waits()));
                contain(|| on_park());
            }
            let awake = sleep.sleep(self.index, searching, sleeps, |is_seen_to| self.must_look(is_seen_to), woken);
            searching = Some(awake.searching);
            if let Some(on_unpark) = &shared.hooks.on_unpark {
                // As above.
                searching.take().into_iter().for_each(|search| sleep.found(search, || self.what_waits()));
                contain(|| on_unpark());
                searching = sleep.search();
            }
            self.come();
            if !woken.is_empty() {
                self.begin_anew();
                searching.into_iter().for_each(|search| sleep.found(search, || self.what_waits()));
                return None;
            }
            comes_from = match sleeps {
                _ if awake.was_called => ComesFrom::Call,
                Sleeps::Soundly => ComesFrom::Work,
                Sleeps::Watching(_) | Sleeps::Undisturbed(_) => ComesFrom::Watch,
            };
            if sleeps == Sleeps::Soundly {
                self.begin_anew();
            }
        }
    }

    /// Looks for tasks that another worker doesn't come to: once, if others need the processor, or after a watch, where
    /// what is seen is compared with what was seen before. Else for a while, in which events may come, too, and learns whether
    /// that was in vain.
    fn look(&mut self, comes_from: ComesFrom, woken: &mut Vec<Waker>) -> Result<Task, Quiet> {
        let is_crowded = self.shared.sleep.is_crowded();
        if is_crowded || comes_from == ComesFrom::Watch {
            return self.injected(1, MAX_BATCH).map_or_else(|| self.steal(|desk| !is_crowded && desk.has_plenty()), Ok);
        }
        let looked = self.look_around(woken);
        if comes_from == ComesFrom::Work {
            self.vain = if looked.is_ok() || !woken.is_empty() { 0 } else { (self.vain + 1) % MAX_VAIN };
        }
        looked
    }

    fn look_around(&mut self, woken: &mut Vec<Waker>) -> Result<Task, Quiet> {
        let looks = LOOKS >> MAX_HALVINGS.min(self.vain / VAIN_A_HALVING);
        let gather = if self.last_injected < FLOOD { LOOKS_IN_TRICKLE } else { LOOKS_IN_FLOOD };
        let round = LOOKS_A_ROUND << self.restraint;
        let mut quiet = if self.restraint < MAX_RESTRAINT { Quiet::Everywhere } else { Quiet::LeftAlone };
        for look in 0..looks {
            let is_gathering = look < gather && look + 1 < looks;
            if let Some(task) = self.injected(if is_gathering { MAX_BATCH } else { 1 }, MAX_BATCH) {
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
            if (look + 1).is_multiple_of(LOOKS_FOR_EVENTS) {
                driver::look(Wait::AsWorker, woken);
                if !woken.is_empty() {
                    return Err(quiet);
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
        self.roster.renew(&self.shared.roster);
        let workers = self.roster.len();
        let first = random(&mut self.random) as usize % workers;
        let mut quiet = Quiet::Everywhere;
        for victim in (first..workers).chain(0..first).filter(|victim| *victim != self.index) {
            let desk = &self.roster[victim];
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

    /// Whether a worker that is about to sleep must look once more; not at what workers have queued, if somebody else sees
    /// to that.
    fn must_look(&mut self, is_seen_to: bool) -> bool {
        self.shared.is_closed() || !self.shared.injector.is_empty() || !is_seen_to && self.has_queued_tasks()
    }

    /// What tasks there are for others, at this moment.
    fn what_waits(&mut self) -> Option<Queued> {
        match self.shared.injector.is_empty() {
            false => Some(Queued::Injected),
            true => self.has_queued_tasks().then_some(Queued::Plenty),
        }
    }

    /// Whether some worker has a task in its queue, at this moment.
    fn has_queued_tasks(&mut self) -> bool {
        self.roster.renew(&self.shared.roster);
        self.roster.iter().any(|desk| desk.has_tasks())
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

/// Xorshift (Marsaglia, 2003): quick, and random enough to keep thieves apart.
fn random(state: &mut u32) -> u32 {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    *state
}
