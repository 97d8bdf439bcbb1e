//! The protocol of `sleep`, with a queue that orders nothing: a task that is missed is a deadlock. Run by `verify/loom`.

use super::*;
use std::sync::atomic::Ordering::{Acquire, Release};

use loom::sync::Arc;
use loom::thread;
use polyexec_core::modelled::{check, check_fewer};

use crate::sync::{AtomicBool, AtomicUsize};

/// A timed sleep that ends as soon as its thread goes on: the model tries every moment.
const MOMENT: Duration = Duration::ZERO;

/// A timed sleep that outlasts the model.
const LONG: Duration = Duration::from_secs(3600);

/// Workers, and what they look at.
struct Pool {
    sleep: Sleep,
    /// Tasks in workers' queues, and in the injector.
    queued: AtomicUsize,
    injected: AtomicUsize,
    closed: AtomicBool,
}

impl Pool {
    fn new(workers: usize, processors: usize) -> Arc<Self> {
        Arc::new(Self {
            sleep: Sleep::new(workers, processors),
            queued: AtomicUsize::new(0),
            injected: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        })
    }

    fn queue(&self, queued: Queued) -> &AtomicUsize {
        if queued == Queued::Injected { &self.injected } else { &self.queued }
    }

    /// As `Worker::push` and `Shared::inject`.
    fn put(&self, queued: Queued) {
        self.queue(queued).fetch_add(1, Relaxed);
        self.sleep.notify(queued);
    }

    /// As a thief, or a worker that takes its share.
    fn take(&self) -> bool {
        [&self.injected, &self.queued].into_iter().any(|queue| {
            let tasks = queue.load(Relaxed);
            tasks > 0 && queue.compare_exchange(tasks, tasks - 1, Relaxed, Relaxed).is_ok()
        })
    }

    /// As `Worker::must_look`.
    fn must_look(&self, has_lookout: bool) -> bool {
        self.closed.load(Acquire) || self.injected.load(Relaxed) > 0 || !has_lookout && self.queued.load(Relaxed) > 0
    }

    /// As `Worker::waiting_tasks`.
    fn more(&self) -> Option<Queued> {
        match self.injected.load(Relaxed) {
            0 => (self.queued.load(Relaxed) > 0).then_some(Queued::Plenty),
            _ => Some(Queued::Injected),
        }
    }

    /// As `Worker::search`: the first sleep is of this kind, later ones are untimed. Whether there was a task.
    fn search(&self, worker: usize, mut kind: SleepKind) -> bool {
        let mut searching = self.sleep.start_searching();
        loop {
            if self.closed.load(Acquire) {
                return false;
            }
            if let Some(search) = searching.take() {
                if self.take() {
                    self.sleep.stop_searching(search, || self.more());
                    return true;
                }
                searching = Some(search);
            }
            let awake = self.sleep.sleep(worker, searching, kind, |has_lookout| self.must_look(has_lookout));
            searching = Some(awake.searching);
            kind = SleepKind::Untimed;
        }
    }

    /// Ends with the first task that it finds, or at the shutdown.
    fn work(this: &Arc<Self>, worker: usize, kind: SleepKind) -> thread::JoinHandle<bool> {
        let pool = this.clone();
        thread::spawn(move || pool.search(worker, kind))
    }

    /// As `Shared::close_queues`.
    fn shut_down(&self) {
        self.closed.store(true, Release);
        self.sleep.wake_all();
    }

    /// Whether no worker searches or sleeps.
    fn is_at_rest(&self) -> bool {
        let sleepers = self.sleep.sleepers.lock();
        self.sleep.counts().0 == 0 && sleepers.untimed.is_empty() && sleepers.timed.is_none()
    }
}

fn check_search(name: &str, workers: usize, processors: usize, queued: Queued, kind: SleepKind) {
    check(name, move || {
        let pool = Pool::new(workers, processors);
        let worker = Pool::work(&pool, 0, kind);
        pool.put(queued);
        assert!(worker.join().unwrap());
        assert!(pool.is_at_rest());
    });
}

#[test]
fn a_task_and_a_worker_that_falls_asleep() {
    for queued in [Queued::Next, Queued::Plenty, Queued::Injected] {
        for kind in [SleepKind::Untimed, SleepKind::Timed(MOMENT), SleepKind::Undisturbed(MOMENT)] {
            // A single worker may not search at first; of three, half may.
            for workers in [1, 3] {
                check_search(&format!("{queued:?} and {kind:?}, {workers} workers"), workers, 2, queued, kind);
            }
        }
    }
}

/// As many workers are awake as there are processors: every task is left to the timed sleeper.
#[test]
fn a_task_and_a_timed_sleeper_where_it_is_crowded() {
    for queued in [Queued::Next, Queued::Plenty, Queued::Injected] {
        for kind in [SleepKind::Timed(MOMENT), SleepKind::Undisturbed(MOMENT)] {
            check_search(&format!("{queued:?} and {kind:?}, crowded"), 2, 1, queued, kind);
        }
    }
}

/// A timed sleeper is woken before its time.
#[test]
fn a_timed_sleeper_is_woken_for_what_it_may_take() {
    for (queued, kind) in [
        (Queued::Plenty, SleepKind::Timed(LONG)),
        (Queued::Injected, SleepKind::Timed(LONG)),
        (Queued::Injected, SleepKind::Undisturbed(LONG)),
    ] {
        check(&format!("{queued:?} and a long sleep"), move || {
            let pool = Pool::new(2, 2);
            let worker = thread::spawn({
                let pool = pool.clone();
                move || {
                    // Whatever a worker queued before this one registered waits for its next look.
                    let awake = pool.sleep.sleep(0, None, kind, |_| pool.must_look(false));
                    assert!(pool.take());
                    pool.sleep.stop_searching(awake.searching, || pool.more());
                }
            });
            pool.put(queued);
            worker.join().unwrap();
            assert!(pool.is_at_rest());
        });
    }
}

/// Each of two tasks needs a worker of its own.
fn check_two(name: &str, first: Queued, second: Queued, kinds: [SleepKind; 2]) {
    check_fewer(name, 1, move || {
        let pool = Pool::new(3, 3);
        let workers = [0, 1].map(|worker| Pool::work(&pool, worker, kinds[worker]));
        pool.put(first);
        pool.put(second);
        for worker in workers {
            assert!(worker.join().unwrap());
        }
        assert!(pool.is_at_rest());
    });
}

#[test]
fn two_tasks_and_two_workers_that_fall_asleep() {
    check_two("two tasks and two workers", Queued::Injected, Queued::Injected, [SleepKind::Untimed; 2]);
    check_two("two tasks of a worker and two others", Queued::Plenty, Queued::Plenty, [SleepKind::Untimed; 2]);
}

#[test]
fn two_tasks_and_a_timed_sleeper_and_another() {
    let kinds = [SleepKind::Untimed, SleepKind::Timed(MOMENT)];
    check_two("two tasks, a timed sleeper and another", Queued::Injected, Queued::Injected, kinds);
    check_two("two tasks of a worker, a timed sleeper and another", Queued::Next, Queued::Plenty, kinds);
}

/// The searcher has found a task, and is busy: a later task must get another worker.
#[test]
fn the_last_searcher_and_a_notification() {
    for queued in [Queued::Plenty, Queued::Injected] {
        check(&format!("the last searcher and {queued:?}"), move || {
            let pool = Pool::new(4, 4);
            let searching = pool.sleep.start_searching().unwrap();
            let sleeper = Pool::work(&pool, 0, SleepKind::Untimed);
            let notifier = thread::spawn({
                let pool = pool.clone();
                move || pool.put(queued)
            });
            pool.sleep.stop_searching(searching, || pool.more());
            assert!(sleeper.join().unwrap());
            notifier.join().unwrap();
            assert!(pool.is_at_rest());
        });
    }
}

#[test]
fn shutdown_and_workers_that_fall_asleep() {
    for kind in [SleepKind::Untimed, SleepKind::Timed(LONG)] {
        check(&format!("shutdown and {kind:?}"), move || {
            let pool = Pool::new(3, 3);
            let worker = Pool::work(&pool, 0, kind);
            pool.shut_down();
            assert!(!worker.join().unwrap());
        });
    }
    // One of them at most is timed.
    for kind in [SleepKind::Untimed, SleepKind::Timed(LONG)] {
        check(&format!("shutdown and two workers, {kind:?}"), move || {
            let pool = Pool::new(3, 3);
            let workers = [0, 1].map(|worker| Pool::work(&pool, worker, kind));
            pool.shut_down();
            for worker in workers {
                assert!(!worker.join().unwrap());
            }
        });
    }
}

/// Either wakes the worker once: it keeps no call for its next sleep, and counts once.
#[test]
fn shutdown_and_a_notification() {
    check("shutdown and a notification", || {
        let pool = Pool::new(3, 3);
        let worker = thread::spawn({
            let pool = pool.clone();
            move || {
                let awake = pool.sleep.sleep(0, None, SleepKind::Untimed, |has_lookout| pool.must_look(has_lookout));
                pool.sleep.stop_searching(awake.searching, || None);
            }
        });
        let notifier = thread::spawn({
            let pool = pool.clone();
            move || pool.put(Queued::Injected)
        });
        pool.shut_down();
        worker.join().unwrap();
        notifier.join().unwrap();
        assert!(pool.is_at_rest());
        assert!(!pool.sleep.parkers[0].park_until(Some(Instant::now())), "a call was left over");
    });
}

/// A timed sleep that ends while the sleeper is woken.
#[test]
fn the_end_of_a_timed_sleep_and_a_notification() {
    check("the end of a timed sleep and a notification", || {
        let pool = Pool::new(2, 2);
        let sleeper = thread::spawn({
            let pool = pool.clone();
            move || {
                let awake = pool.sleep.sleep(0, None, SleepKind::Timed(MOMENT), |_| false);
                pool.sleep.stop_searching(awake.searching, || None);
            }
        });
        pool.put(Queued::Injected);
        sleeper.join().unwrap();
        assert!(pool.is_at_rest());
        assert!(!pool.sleep.parkers[0].park_until(Some(Instant::now())), "a call was left over");
    });
}
