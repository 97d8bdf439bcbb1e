//! Ends a pool: its tasks, then its workers, then its threads. The README beside this file says in which order and why.

use std::sync::Arc;
use std::time::Instant;

use polyexec_core::executor::OwnedTasks;
use polyexec_core::{StillRunning, block_in_place};

use crate::monitor;
use crate::shared::Shared;

/// Ends everything, and waits for the threads.
pub(crate) fn shut_down(shared: &Arc<Shared>) {
    close(shared, OwnedTasks::close);
    // This may be a task of another executor, and polls that still run here may wait for that one's tasks.
    block_in_place(|| shared.threads.join());
}

/// As [`shut_down`], but waits until `deadline` at most.
pub(crate) fn shut_down_until(shared: &Arc<Shared>, deadline: Option<Instant>) -> Result<(), StillRunning> {
    let tasks = close(shared, OwnedTasks::close_and_list);
    match block_in_place(|| shared.threads.join_until(deadline)) {
        0 => Ok(()),
        threads => {
            let still_running = tasks.iter().filter(|task| !task.is_finished());
            Err(StillRunning::new(still_running.map(|task| task.task()).collect(), threads))
        }
    }
}

/// Ends the waiting tasks by `close_tasks`, the injected ones, and the workers with the tasks in their queues.
fn close<T>(shared: &Arc<Shared>, close_tasks: impl FnOnce(&OwnedTasks) -> T) -> T {
    // First: the monitor starts no worker once the threads are closed.
    let handoff = monitor::remove(Arc::as_ptr(shared).addr());
    let closed = close_tasks(&shared.tasks);
    shared.close_queues();
    shared.threads.close();
    // A poll that blocks may wait for a task in the queue of its own worker, which may have been detached.
    shared.remotes.snapshot().iter().for_each(|remote| remote.end_tasks());
    handoff.into_iter().for_each(|handoff| handoff.end_tasks());
    closed
}

#[cfg(all(test, not(polyexec_loom)))]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use polyexec_core::Executor;

    use crate::Pool;

    #[test]
    fn a_poll_that_waits_for_its_own_workers_tasks_goes_on_when_the_pool_shuts_down() {
        // In some rounds the pool shuts down before the monitor detaches the worker.
        for _ in 0..20 {
            let pool = Pool::builder().worker_threads(1).spare_threads(0).build().unwrap();
            let (handle, (begins, has_begun)) = (pool.handle(), mpsc::channel());
            let blocked = pool.spawn(async move {
                let (kept, waits) = mpsc::channel::<()>();
                // In the queue and in the LIFO slot.
                for _ in 0..3 {
                    let kept = kept.clone();
                    drop(handle.spawn(async move { drop(kept) }));
                }
                drop(kept);
                begins.send(()).unwrap();
                waits.recv().unwrap_err();
            });
            has_begun.recv().unwrap();
            pool.shutdown_timeout(Duration::from_secs(60)).expect("what it waits for is ended");
            blocked.join().unwrap();
        }
    }
}
