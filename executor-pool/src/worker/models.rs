//! Whole pools of one or two workers under loom, on threads of the model. Run by `verify/loom`.

use super::*;

use loom::sync::{Condvar, Mutex};
use loom::thread;
use polyexec_core::{
    Executor, JoinHandle,
    modelled::{Drops, check_fewer},
};
use polyexec_threads::{Settings, ThreadPool};

use crate::hooks::Hooks;
use crate::sleep::Sleep;

/// A pool, and a function that starts its workers on threads of the model.
fn pool(workers: usize, processors: usize) -> (PoolHandle, impl FnOnce() -> Vec<thread::JoinHandle<()>>) {
    let queues: Vec<_> = (0..workers).map(|_| deque::Worker::new_fifo()).collect();
    let remotes = queues.iter().map(|queue| Arc::new(CachePadded::new(Remote::new(queue.stealer(), 0)))).collect();
    // Starts none.
    let threads = ThreadPool::new(Settings::new("model"), |_| ());
    let shared = Arc::new(Shared::new(remotes, Sleep::new(workers, processors), threads, Hooks::default()));
    let pool = PoolHandle::new(shared.clone());
    let start = move || {
        let workers = queues.into_iter().enumerate().map(|(index, queue)| {
            let worker = Box::new(Worker::new(shared.clone(), index, queue));
            thread::spawn(move || run(worker, &ThreadId::default()))
        });
        workers.collect()
    };
    (pool, start)
}

fn end(pool: &PoolHandle, threads: Vec<thread::JoinHandle<()>>) {
    crate::shutdown::shut_down(pool.shared());
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let Shared { injector, remotes, tasks, .. } = &**pool.shared();
    assert!(injector.is_empty() && !remotes.snapshot().iter().any(|remote| remote.has_tasks()) && tasks.is_empty());
}

/// As [`end`], for a model of something else.
fn end_unseen(pool: &PoolHandle, threads: Vec<thread::JoinHandle<()>>) {
    loom::stop_exploring();
    end(pool, threads);
}

/// Opened once. A task that waits for it blocks its worker.
#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn wait(&self) {
        let mut is_open = self.is_open.lock().unwrap();
        while !*is_open {
            is_open = self.opened.wait(is_open).unwrap();
        }
    }
}

#[test]
fn a_task_from_outside_and_a_worker() {
    check_fewer("pool: a task from outside and a worker", 1, || {
        let (pool, start) = pool(1, 1);
        let threads = start();
        let futures = Drops::default();
        let future = futures.token();
        pool.spawn(async move { drop(future) }).join().unwrap();
        end_unseen(&pool, threads);
        assert_eq!(futures.count(), 1);
    });
}

#[test]
fn a_task_from_outside_and_two_workers() {
    check_fewer("pool: a task from outside and two workers", 2, || {
        let (pool, start) = pool(2, 2);
        let threads = start();
        pool.spawn(async {}).join().unwrap();
        end_unseen(&pool, threads);
    });
}

#[test]
fn shutdown_and_a_spawn() {
    check_fewer("pool: shutdown and a spawn", 1, || {
        let (pool, start) = pool(1, 1);
        let threads = start();
        let futures = Drops::default();
        let spawner = thread::spawn({
            let (pool, future) = (pool.clone(), futures.token());
            move || match pool.spawn(async move { drop(future) }).join() {
                Ok(()) => {}
                Err(error) => assert!(error.is_shutdown()),
            }
        });
        end(&pool, threads);
        spawner.join().unwrap();
        assert_eq!(futures.count(), 1);
    });
}

/// A task that wakes itself goes behind what waits, and isn't lost.
#[test]
fn shutdown_and_a_task_that_wakes_itself() {
    check_fewer("pool: shutdown and a task that wakes itself", 1, || {
        let (pool, start) = pool(1, 1);
        let threads = start();
        let futures = Drops::default();
        let future = futures.token();
        let mut turns = 2;
        let handle: JoinHandle<()> = pool.spawn(std::future::poll_fn(move |cx| {
            let _ = &future;
            turns -= 1;
            if turns == 0 {
                return std::task::Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            std::task::Poll::Pending
        }));
        end(&pool, threads);
        match handle.join() {
            Ok(()) => {}
            Err(error) => assert!(error.is_shutdown()),
        }
        assert_eq!(futures.count(), 1);
    });
}

/// What a task spawns before its poll blocks is run by another worker.
#[test]
fn a_task_behind_a_long_poll() {
    check_fewer("pool: a task behind a long poll", 3, || {
        let (pool, start) = pool(2, 2);
        let gate = Arc::new(Gate::default());
        let spawner = pool.clone();
        let blocks = pool.spawn(async move {
            let opener = gate.clone();
            drop(spawner.spawn(async move { opener.open() }));
            gate.wait();
        });
        // Started late: how a task from outside wakes them is a model of its own, and would multiply the orders of this one.
        let threads = start();
        blocks.join().unwrap();
        end_unseen(&pool, threads);
    });
}

/// Two tasks were injected. A worker may take both, and the other one must steal the second.
#[test]
fn a_batch_from_outside_whose_first_task_waits_for_the_second() {
    check_fewer("pool: a batch whose first task waits for the second", 2, || {
        let (pool, start) = pool(2, 2);
        let gate = Arc::new(Gate::default());
        let (waiter, opener) = (gate.clone(), gate);
        let first = pool.spawn(async move { waiter.wait() });
        drop(pool.spawn(async move { opener.open() }));
        let threads = start();
        first.join().unwrap();
        end_unseen(&pool, threads);
    });
}
