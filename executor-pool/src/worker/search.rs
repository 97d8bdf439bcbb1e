//! What an idle worker does: looks elsewhere for tasks, for as long as that pays, and then sleeps. `sleep` decides which
//! sleeper is woken.
//!
//! A searching worker is stopped: the monitor doesn't scan it, and can't detach it.

use std::hint::spin_loop;
use std::thread::yield_now;
use std::time::{Duration, Instant};

use polyexec_core::executor::driver::{self, Priority};
use polyexec_core::observe::WorkerEvent;
use polyexec_threads::contain;

use super::{Turn, Worker};
use crate::policy::{
    BATCH, LOOK_PAUSES, LOOKS_FOR_BATCH, LOOKS_PER_EVENTS, LOOKS_PER_ROUND, MAX_FRUITLESS, MAX_STEAL_BACKOFF,
    MAX_TIMED_SLEEP, MIN_TIMED_SLEEP, SEARCH_LOOKS, SEARCHES_PER_HALVING, STEAL_COST, STEAL_SAMPLE,
};
use crate::remote::Remote;
use crate::sleep::{Queued, Searching, Sleep, SleepKind};

/// Why a worker searches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// It has run its last task, or saw a new one just before it slept.
    Idle,
    /// Another thread woke it.
    Woken,
    /// Its timed sleep is over.
    Timeout,
}

/// What a fruitless look saw of the other workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Others {
    /// None has begun a poll in the meantime.
    Quiet,
    /// Some began a poll. None has a task to spare.
    Busy,
    /// The thief has backed off, and didn't look at them.
    Skipped,
}

/// The end of a look.
enum Looked {
    Found(Turn),
    Fruitless(Others),
}

impl Worker {
    /// Finds a turn elsewhere; sleeps until there is one. `None` if the pool shuts down, or this worker was detached.
    #[cold]
    pub(super) fn search(&mut self) -> Option<Turn> {
        if self.shared.is_closed() {
            return None;
        }
        let woken = driver::look(Priority::Worker);
        if !woken.is_empty() {
            return Some(Turn::Wake(woken));
        }
        self.learn_from_steals();
        if !self.remote.leave_running() {
            return None;
        }
        let turn = self.search_and_sleep()?;
        self.start();
        Some(turn)
    }

    fn search_and_sleep(&mut self) -> Option<Turn> {
        let shared = self.shared.clone();
        let mut searching = shared.sleep.start_searching();
        let mut cause = Cause::Idle;
        loop {
            if shared.is_closed() {
                return None;
            }
            let mut kind = SleepKind::Untimed;
            if let Some(search) = searching {
                match self.look(cause) {
                    Looked::Found(turn) => {
                        self.stop_searching(&shared.sleep, Some(search));
                        return Some(turn);
                    }
                    Looked::Fruitless(others) => kind = self.sleep_kind(others, cause),
                }
                searching = Some(search);
            }
            self.stolen = None;
            if let Some(on_park) = &shared.hooks.on_park {
                // The hook may take its time: no task is left to this searcher until it returns.
                self.stop_searching(&shared.sleep, searching.take());
                contain(|| on_park());
            }
            shared.hooks.tell(self.index, WorkerEvent::Parked);
            let awake = shared.sleep.sleep(self.index, searching, kind, |has_lookout| self.must_look(has_lookout));
            shared.hooks.tell(self.index, WorkerEvent::Unparked);
            searching = Some(awake.searching);
            if let Some(on_unpark) = &shared.hooks.on_unpark {
                // As above.
                self.stop_searching(&shared.sleep, searching.take());
                contain(|| on_unpark());
                searching = shared.sleep.start_searching();
            }
            if !awake.woken.is_empty() {
                self.forget_lessons();
                self.stop_searching(&shared.sleep, searching);
                return Some(Turn::Wake(awake.woken));
            }
            cause = match kind {
                _ if awake.was_called => Cause::Woken,
                SleepKind::Untimed => Cause::Idle,
                SleepKind::Timed(_) | SleepKind::Undisturbed(_) => Cause::Timeout,
            };
            if kind == SleepKind::Untimed {
                self.forget_lessons();
            }
        }
    }

    /// Passes the search on to another worker, if there are tasks for one.
    fn stop_searching(&mut self, sleep: &Sleep, searching: Option<Searching>) {
        searching.into_iter().for_each(|search| sleep.stop_searching(search, || self.waiting_tasks()));
    }

    /// Looks for tasks that another worker won't get to soon.
    ///
    /// Looks once after a timed sleep, which compares with what was seen before it, and where other threads need the
    /// processor. Otherwise looks for a while, also for events, and remembers whether that was fruitless.
    fn look(&mut self, cause: Cause) -> Looked {
        let is_crowded = self.shared.sleep.is_crowded();
        if is_crowded || cause == Cause::Timeout {
            return match self.take_injected(1, BATCH) {
                Some(task) => Looked::Found(Turn::Run(task)),
                None => self.steal(|remote| !is_crowded && remote.has_plenty()),
            };
        }
        let looked = self.look_for_a_while();
        if cause == Cause::Idle {
            self.fruitless = match looked {
                Looked::Found(_) => 0,
                Looked::Fruitless(_) => (self.fruitless + 1) % MAX_FRUITLESS,
            };
        }
        looked
    }

    fn look_for_a_while(&mut self) -> Looked {
        let looks = SEARCH_LOOKS >> (self.fruitless / SEARCHES_PER_HALVING);
        let round = LOOKS_PER_ROUND << self.steal_backoff;
        let mut others = if self.steal_backoff < MAX_STEAL_BACKOFF { Others::Quiet } else { Others::Skipped };
        for look in 0..looks {
            let waits_for_batch = look < LOOKS_FOR_BATCH && look + 1 < looks;
            if let Some(task) = self.take_injected(if waits_for_batch { BATCH } else { 1 }, BATCH) {
                return Looked::Found(Turn::Run(task));
            }
            let is_round = look.is_multiple_of(round) && (look > 0 || self.steal_backoff == 0);
            if others != Others::Skipped && is_round {
                match self.steal(Remote::has_plenty) {
                    Looked::Fruitless(seen) => {
                        // The counts seen before this search are stale. So only later rounds tell whether others are busy.
                        if look >= round && seen != Others::Quiet {
                            others = seen;
                        }
                    }
                    found => return found,
                }
            }
            if (look + 1).is_multiple_of(LOOKS_PER_EVENTS) {
                let woken = driver::look(Priority::Worker);
                if !woken.is_empty() {
                    return Looked::Found(Turn::Wake(woken));
                }
            }
            match (look + 1).is_multiple_of(LOOKS_PER_ROUND) {
                // A thread that shares this processor may be about to bring work.
                true => yield_now(),
                false => (0..LOOK_PAUSES).for_each(|_| spin_loop()),
            }
        }
        Looked::Fruitless(others)
    }

    /// How to sleep after a fruitless look.
    fn sleep_kind(&mut self, others: Others, cause: Cause) -> SleepKind {
        match others {
            Others::Quiet => SleepKind::Untimed,
            Others::Skipped => SleepKind::Undisturbed(self.next_timed_sleep()),
            // Woken for nothing: the task's own worker was about to run it.
            Others::Busy if cause == Cause::Woken => SleepKind::Undisturbed(MIN_TIMED_SLEEP),
            Others::Busy => SleepKind::Timed(self.next_timed_sleep()),
        }
    }

    /// Takes half of another worker's tasks, if it `has_plenty` of them or is still in the same poll.
    fn steal(&mut self, has_plenty: impl Fn(&Remote) -> bool) -> Looked {
        self.remotes.renew(&self.shared.remotes);
        let workers = self.remotes.len();
        let first = random(&mut self.random) as usize % workers;
        let mut others = Others::Quiet;
        for victim in (first..workers).chain(0..first).filter(|victim| *victim != self.index) {
            let remote = &self.remotes[victim];
            let polls = remote.polls();
            let is_in_same_poll = std::mem::replace(&mut self.seen_polls[victim], polls) == polls;
            if (has_plenty(remote) || is_in_same_poll && remote.has_tasks())
                && let Some(task) = remote.steal(&self.queue)
            {
                let (since, tasks) = self.stolen.unwrap_or_else(|| (Instant::now(), 0));
                let stolen = 1 + self.queue.len();
                self.stolen = Some((since, tasks + stolen as u32));
                self.shared.hooks.tell(self.index, WorkerEvent::Stole { from: victim, tasks: stolen });
                return Looked::Found(Turn::Run(task));
            }
            if !is_in_same_poll {
                others = Others::Busy;
            }
        }
        Looked::Fruitless(others)
    }

    /// Whether a worker that is about to sleep must look once more. A lookout sees to the workers' queues for it.
    fn must_look(&mut self, has_lookout: bool) -> bool {
        self.shared.is_closed() || !self.shared.injector.is_empty() || !has_lookout && self.has_queued_tasks()
    }

    /// What tasks there are for others right now.
    fn waiting_tasks(&mut self) -> Option<Queued> {
        match self.shared.injector.is_empty() {
            false => Some(Queued::Injected),
            true => self.has_queued_tasks().then_some(Queued::Plenty),
        }
    }

    /// Whether a worker has a task in its queue right now.
    fn has_queued_tasks(&mut self) -> bool {
        self.remotes.renew(&self.shared.remotes);
        self.remotes.iter().any(|remote| remote.has_tasks())
    }

    /// Adjusts the backoff by the time that stolen tasks took, now that they are done.
    fn learn_from_steals(&mut self) {
        let Some((since, tasks)) = self.stolen else { return };
        let took = since.elapsed();
        if took >= STEAL_COST * tasks.max(STEAL_SAMPLE) {
            self.forget_lessons();
        } else if tasks >= STEAL_SAMPLE {
            self.stolen = None;
            self.steal_backoff = MAX_STEAL_BACKOFF.min(self.steal_backoff + 1);
        }
    }

    /// Resets the backoff and the timed sleeps: the load has changed.
    fn forget_lessons(&mut self) {
        self.stolen = None;
        self.steal_backoff = 0;
        self.timed_sleep = MIN_TIMED_SLEEP;
    }

    /// The length of a timed sleep: each fruitless one doubles it.
    fn next_timed_sleep(&mut self) -> Duration {
        let now = self.timed_sleep;
        self.timed_sleep = MAX_TIMED_SLEEP.min(2 * now);
        now
    }
}

/// Xorshift (Marsaglia, 2003): quick, and random enough to keep thieves apart.
fn random(state: &mut u32) -> u32 {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    *state
}
