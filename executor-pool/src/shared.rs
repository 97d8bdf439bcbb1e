//! What the workers and the handles of a pool share.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Release};

use crossbeam_utils::CachePadded;
use polyexec_core::{LiveTasks, Task, block_in_place};
use polyexec_crew::Crew;

use crate::injector::Injector;
use crate::job::{Job, OnStall};
use crate::monitor;
use crate::relief::Rounds;
use crate::roster::{Desks, Roster};
use crate::sleep::{Queued, Sleep};
use crate::sync::AtomicBool;

pub(crate) struct Shared {
    /// The tasks that rest.
    pub(crate) live: LiveTasks,
    /// Tasks from threads that are no workers. They write to it all the time; the workers read what is beside it.
    pub(crate) injector: CachePadded<Injector>,
    /// How many workers there are. One that was relieved isn't counted any more.
    pub(crate) workers: usize,
    pub(crate) roster: Roster,
    pub(crate) sleep: Sleep,
    pub(crate) crew: Crew<Job>,
    /// Who wants to know of long polls.
    pub(crate) on_stall: Option<OnStall>,
    /// Set by the shutdown, after `live` was closed. Never cleared.
    closed: AtomicBool,
}

impl Shared {
    pub(crate) fn new(desks: Desks, sleep: Sleep, crew: Crew<Job>, on_stall: Option<OnStall>) -> Self {
        Self {
            live: LiveTasks::new(),
            injector: CachePadded::default(),
            workers: desks.len(),
            roster: Roster::new(desks),
            sleep,
            crew,
            on_stall,
            closed: AtomicBool::new(false),
        }
    }

    /// Queues a task that comes from elsewhere than a worker, or gives it back if the pool has shut down.
    pub(crate) fn inject(&self, task: Task) -> Result<(), Task> {
        self.injector.push(task)?;
        self.sleep.notify(Queued::Injected);
        Ok(())
    }

    /// Ends everything: the tasks that rest, those that are injected, and the workers, each with the tasks in its queue.
    pub(crate) fn shut_down(self: &Arc<Self>) {
        // First: it starts no worker for a crew that is closed.
        let rounds = monitor::forget(self);
        self.live.close();
        // Release: pairs with the Acquire in `is_closed`. Workers that sleep are woken below; those that are about to
        // look once more after they have said so.
        self.closed.store(true, Release);
        self.sleep.wake_all();
        let left = self.injector.close();
        drop(left);
        self.crew.close();
        // A poll that blocks may wait for what its own worker, who may have been relieved, would come to next.
        self.roster.copy().iter().for_each(|desk| desk.end_tasks());
        rounds.into_iter().for_each(Rounds::end_tasks);
        // This may be a task of another executor, and tasks that are still polled here may wait for it.
        block_in_place(|| self.crew.join());
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Acquire)
    }
}
