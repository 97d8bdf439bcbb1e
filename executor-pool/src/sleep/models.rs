//! The protocol of `sleep`, with a queue that orders nothing: a task that is missed is a deadlock. Run by `verify/loom`.

use super::*;
use std::sync::atomic::Ordering::{Acquire, Release};

use loom::sync::Arc;
use loom::thread;
use polyexec_core::modelled::{check, check_fewer};

use crate::sync::{AtomicBool, AtomicUsize};

/// A watch that is over as soon as its thread goes on: so it ends at every moment there is.
const MOMENT: Duration = Duration::ZERO;

/// A watch that never ends by itself: a model is over before.
const LONG: Duration = Duration::from_secs(3600);

/// Workers, and what they look at.
struct Pool {
    sleep: Sleep,
    /// How many tasks wait in workers' queues, and in the shared one.
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

    /// As `Worker::put` and `Shared::inject`.
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

    /// As `Shared::must_look`.
    fn must_look(&self, is_seen_to: bool) -> bool {
        self.closed.load(Acquire) || self.injected.load(Relaxed) > 0 || !is_seen_to && self.queued.load(Relaxed) > 0
    }

    /// As in `Worker::search`.
    fn more(&self) -> Option<Queued> {
        match self.injected.load(Relaxed) {
            0 => (self.queued.load(Relaxed) > 0).then_some(Queued::Plenty),
            _ => Some(Queued::Injected),
        }
    }

    /// As `Worker::search`: sleeps like that at first, and soundly after the first sleep. Whether there was a task.
    fn search(&self, worker: usize, mut sleeps: Sleeps) -> bool {
        let mut searching = self.sleep.search();
        loop {
            if self.closed.load(Acquire) {
                return false;
            }
            if let Some(search) = searching.take() {
                if self.take() {
                    self.sleep.found(search, || self.more());
                    return true;
                }
                searching = Some(search);
            }
            let awake =
                self.sleep.sleep(worker, searching, sleeps, |is_seen_to| self.must_look(is_seen_to), &mut Vec::new());
            searching = Some(awake.searching);
            sleeps = Sleeps::Soundly;
        }
    }

    /// Runs the task that it finds for ever, or ends at the shutdown.
    fn work(this: &Arc<Self>, worker: usize, sleeps: Sleeps) -> thread::JoinHandle<bool> {
        let pool = this.clone();
        thread::spawn(move || pool.search(worker, sleeps))
    }

    /// As `Shared::shut_down`.
    fn shut_down(&self) {
        self.closed.store(true, Release);
        self.sleep.wake_all();
    }

    /// When everybody is done, nobody searches or sleeps.
    fn is_at_rest(&self) -> bool {
        let beds = self.sleep.beds.lock();
        self.sleep.counts().0 == 0 && beds.asleep.is_empty() && beds.watchman.is_none()
    }
}

fn check_search(name: &str, workers: usize, processors: usize, queued: Queued, sleeps: Sleeps) {
    check(name, move || {
        let pool = Pool::new(workers, processors);
        let worker = Pool::work(&pool, 0, sleeps);
        pool.put(queued);
        assert!(worker.join().unwrap());
        assert!(pool.is_at_rest());
    });
}

#[test]
fn a_task_and_a_worker_that_falls_asleep() {
    for queued in [Queued::Next, Queued::Plenty, Queued::Injected] {
        for sleeps in [Sleeps::Soundly, Sleeps::Watching(MOMENT), Sleeps::Undisturbed(MOMENT)] {
            // With a single worker nobody searches at first; with three, half of them may.
            for workers in [1, 3] {
                check_search(&format!("{queued:?} and {sleeps:?}, {workers} workers"), workers, 2, queued, sleeps);
            }
        }
    }
}

/// As many are awake as there are processors: all is left to the watchman.
#[test]
fn a_task_and_a_watchman_where_it_is_crowded() {
    for queued in [Queued::Next, Queued::Plenty, Queued::Injected] {
        for sleeps in [Sleeps::Watching(MOMENT), Sleeps::Undisturbed(MOMENT)] {
            check_search(&format!("{queued:?} and {sleeps:?}, crowded"), 2, 1, queued, sleeps);
        }
    }
}

/// A watchman that is to be woken sleeps until then.
#[test]
fn a_watchman_is_woken_for_what_he_may_have() {
    for (queued, sleeps) in [
        (Queued::Plenty, Sleeps::Watching(LONG)),
        (Queued::Injected, Sleeps::Watching(LONG)),
        (Queued::Injected, Sleeps::Undisturbed(LONG)),
    ] {
        check(&format!("{queued:?} and a long watch"), move || {
            let pool = Pool::new(2, 2);
            let worker = thread::spawn({
                let pool = pool.clone();
                move || {
                    // What is queued before he is registered, and isn't the shared queue's, he leaves to his next look.
                    let awake = pool.sleep.sleep(0, None, sleeps, |_| pool.must_look(false), &mut Vec::new());
                    assert!(pool.take());
                    pool.sleep.found(awake.searching, || pool.more());
                }
            });
            pool.put(queued);
            worker.join().unwrap();
            assert!(pool.is_at_rest());
        });
    }
}

/// Each of two tasks needs a worker of its own.
fn check_two(name: &str, first: Queued, second: Queued, sleeps: [Sleeps; 2]) {
    check_fewer(name, 1, move || {
        let pool = Pool::new(3, 3);
        let workers = [0, 1].map(|worker| Pool::work(&pool, worker, sleeps[worker]));
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
    check_two("two tasks and two workers", Queued::Injected, Queued::Injected, [Sleeps::Soundly; 2]);
    check_two("two tasks of a worker and two others", Queued::Plenty, Queued::Plenty, [Sleeps::Soundly; 2]);
}

#[test]
fn two_tasks_and_a_watchman_and_another() {
    let sleeps = [Sleeps::Soundly, Sleeps::Watching(MOMENT)];
    check_two("two tasks, a watchman and another", Queued::Injected, Queued::Injected, sleeps);
    check_two("two tasks of a worker, a watchman and another", Queued::Next, Queued::Plenty, sleeps);
}

/// The searcher has a task, and is busy from then on: what it was left to find is another's.
#[test]
fn the_last_searcher_and_a_notification() {
    for queued in [Queued::Plenty, Queued::Injected] {
        check(&format!("the last searcher and {queued:?}"), move || {
            let pool = Pool::new(4, 4);
            let searching = pool.sleep.search().unwrap();
            let sleeper = Pool::work(&pool, 0, Sleeps::Soundly);
            let notifier = thread::spawn({
                let pool = pool.clone();
                move || pool.put(queued)
            });
            pool.sleep.found(searching, || pool.more());
            assert!(sleeper.join().unwrap());
            notifier.join().unwrap();
            assert!(pool.is_at_rest());
        });
    }
}

#[test]
fn shutdown_and_workers_that_fall_asleep() {
    for sleeps in [Sleeps::Soundly, Sleeps::Watching(LONG)] {
        check(&format!("shutdown and {sleeps:?}"), move || {
            let pool = Pool::new(3, 3);
            let worker = Pool::work(&pool, 0, sleeps);
            pool.shut_down();
            assert!(!worker.join().unwrap());
        });
    }
    // There is one watchman at most; the other one sleeps like everybody.
    for sleeps in [Sleeps::Soundly, Sleeps::Watching(LONG)] {
        check(&format!("shutdown and two workers, {sleeps:?}"), move || {
            let pool = Pool::new(3, 3);
            let workers = [0, 1].map(|worker| Pool::work(&pool, worker, sleeps));
            pool.shut_down();
            for worker in workers {
                assert!(!worker.join().unwrap());
            }
        });
    }
}

/// Woken once by either, the worker keeps no call for its next sleep, and is counted once.
#[test]
fn shutdown_and_a_notification() {
    check("shutdown and a notification", || {
        let pool = Pool::new(3, 3);
        let worker = thread::spawn({
            let pool = pool.clone();
            move || {
                let awake = pool.sleep.sleep(
                    0,
                    None,
                    Sleeps::Soundly,
                    |is_seen_to| pool.must_look(is_seen_to),
                    &mut Vec::new(),
                );
                pool.sleep.found(awake.searching, || None);
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

/// A watch that ends by itself while the watchman is woken.
#[test]
fn the_end_of_a_watch_and_a_notification() {
    check("the end of a watch and a notification", || {
        let pool = Pool::new(2, 2);
        let watchman = thread::spawn({
            let pool = pool.clone();
            move || {
                let awake = pool.sleep.sleep(0, None, Sleeps::Watching(MOMENT), |_| false, &mut Vec::new());
                pool.sleep.found(awake.searching, || None);
            }
        });
        pool.put(Queued::Injected);
        watchman.join().unwrap();
        assert!(pool.is_at_rest());
        assert!(!pool.sleep.parkers[0].park_until(Some(Instant::now())), "a call was left over");
    });
}
