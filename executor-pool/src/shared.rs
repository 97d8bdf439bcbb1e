//! What the workers and the handles of a pool share.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::Instant;

use crossbeam_utils::CachePadded;
use polyexec_core::executor::{OwnedTasks, Task};
use polyexec_core::{StillRunning, block_in_place};
use polyexec_threads::ThreadPool;

use crate::injector::Injector;
use crate::job::{Hooks, Job};
use crate::monitor;
use crate::relief::Rounds;
use crate::roster::{Desks, Roster};
use crate::sleep::{Queued, Sleep};
use crate::sync::AtomicBool;

pub(crate) struct Shared {
    /// The tasks that rest.
    pub(crate) live: OwnedTasks,
    /// Tasks from threads that are no workers. They write to it all the time; the workers read what is beside it.
    pub(crate) injector: CachePadded<Injector>,
    /// How many workers there are. One that was relieved isn't counted any more.
    pub(crate) workers: usize,
    pub(crate) roster: Roster,
    pub(crate) sleep: Sleep,
    pub(crate) crew: ThreadPool<Job>,
    pub(crate) hooks: Hooks,
    /// Set by the shutdown, after `live` was closed. Never cleared.
    closed: AtomicBool,
}

impl Shared {
    pub(crate) fn new(desks: Desks, sleep: Sleep, crew: ThreadPool<Job>, hooks: Hooks) -> Self {
        Self {
            live: OwnedTasks::new(),
            injector: CachePadded::default(),
            workers: desks.len(),
            roster: Roster::new(desks),
            sleep,
            crew,
            hooks,
            closed: AtomicBool::new(false),
        }
    }

    /// Queues a task that comes from elsewhere than a worker, or gives it back if the pool has shut down.
    pub(crate) fn inject(&self, task: Task) -> Result<(), Task> {
        self.injector.push(task)?;
        self.sleep.notify(Queued::Injected);
        Ok(())
    }

    /// Ends everything, and waits for the threads.
    pub(crate) fn shut_down(self: &Arc<Self>) {
        self.close(OwnedTasks::close);
        // This may be a task of another executor, and tasks that are still polled here may wait for it.
        block_in_place(|| self.crew.join());
    }

    /// As `shut_down`, but waits until `deadline` at the latest.
    pub(crate) fn shut_down_until(self: &Arc<Self>, deadline: Option<Instant>) -> Result<(), StillRunning> {
        let tasks = self.close(OwnedTasks::close_and_list);
        match block_in_place(|| self.crew.join_until(deadline)) {
            0 => Ok(()),
            threads => {
                let still_running = tasks.iter().filter(|task| !task.is_finished());
                Err(StillRunning::new(still_running.map(|task| task.task()).collect(), threads))
            }
        }
    }

    /// Ends the tasks that rest, which `close_table` does, those that are injected, and the workers, each with the tasks in
    /// its queue.
    fn close<T>(self: &Arc<Self>, close_table: impl FnOnce(&OwnedTasks) -> T) -> T {
        // First: it starts no worker for a crew that is closed.
        let rounds = monitor::forget(self);
        let closed = close_table(&self.live);
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
        closed
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Acquire)
    }
}

#[cfg(all(test, not(polyexec_loom)))]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use polyexec_core::Executor;

    use crate::Pool;

    #[test]
    fn a_poll_that_waits_for_what_its_worker_has_next_goes_on_when_the_pool_shuts_down() {
        // Shut down before the monitor relieves the worker, in some rounds at least.
        for _ in 0..20 {
            let pool = Pool::builder().worker_threads(1).spare_threads(0).build().unwrap();
            let (handle, (begins, has_begun)) = (pool.handle(), mpsc::channel());
            let blocked = pool.spawn(async move {
                let (kept, waits) = mpsc::channel::<()>();
                // Both of a worker's places for tasks.
                for _ in 0..3 {
                    let kept = kept.clone();
                    drop(handle.spawn(async move { drop(kept) }));
                }
                drop(kept);
                begins.send(()).unwrap();
                waits.recv().unwrap_err();
            });
            has_begun.recv().unwrap();
            pool.shutdown_timeout(Duration::from_secs(60)).expect("nobody ends what it waits for");
            blocked.join().unwrap();
        }
    }
}
