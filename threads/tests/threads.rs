//! Threads that start, stay, leave, and fail to start.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use polyexec_conformance::watched;
use polyexec_threads::WhenBusy::{Refuse, Wait, WaitAlways};
use polyexec_threads::{Jobs, Settings, Submitted, ThreadPool};

/// Reports the name of its thread when it begins. Ends when `end` is sent to, or dropped.
struct Job {
    begun: Sender<String>,
    end: Receiver<()>,
}

fn job() -> (Job, Receiver<String>, Sender<()>) {
    let (begun, begins) = channel();
    let (ends, end) = channel();
    (Job { begun, end }, begins, ends)
}

fn pool(settings: Settings) -> ThreadPool<Job> {
    ThreadPool::new(settings, |jobs: Jobs<Job>| {
        for job in jobs {
            let name = thread::current().name().unwrap_or_default().to_owned();
            job.begun.send(name).unwrap();
            // An error, too: the test doesn't care when it ends.
            let _ = job.end.recv();
        }
    })
}

#[test]
fn threads_are_named_by_number() {
    watched!();
    let pool = pool(Settings::new("name"));
    let (first, begins, _end) = job();
    assert_eq!(pool.submit(first, Refuse).unwrap(), Submitted::Accepted);
    assert_eq!(begins.recv().unwrap(), "name-0");
    let (second, begins, _end) = job();
    assert_eq!(pool.submit(second, Refuse).unwrap(), Submitted::Accepted);
    assert_eq!(begins.recv().unwrap(), "name-1");
}

#[test]
fn a_job_beyond_the_limit_comes_back() {
    watched!();
    let pool = pool(Settings::new("one").max_threads(1));
    let (first, begins, end) = job();
    assert_eq!(pool.submit(first, Refuse).unwrap(), Submitted::Accepted);
    begins.recv().unwrap();

    let (second, begins, _end) = job();
    let refused = pool.submit(second, Refuse).unwrap_err();
    assert_eq!(refused.cause().unwrap().kind(), std::io::ErrorKind::WouldBlock);

    // Once the first job has ended, the one thread takes it.
    drop(end);
    let mut again = refused.into_job();
    while let Err(refused) = pool.submit(again, Refuse) {
        again = refused.into_job();
        thread::yield_now();
    }
    assert_eq!(begins.recv().unwrap(), "one-0");
}

#[test]
fn a_job_comes_back_if_the_system_has_no_thread() {
    watched!();
    // Half of the address space: no system has that much.
    let pool = pool(Settings::new("none").stack_size(isize::MAX as usize / 4096 * 4096));
    let (one, begins, _end) = job();
    let refused = pool.submit(one, Refuse).unwrap_err();
    assert!(refused.cause().is_some());
    drop(refused.into_job());
    assert!(begins.recv().is_err(), "a thread ran it");
    pool.close();
    pool.join();
}

/// Half of the address space, and more: no system has that much.
const TOO_LARGE: [usize; 4] =
    [isize::MAX as usize / 4096 * 4096, isize::MAX as usize, isize::MAX as usize + 1, usize::MAX];

#[test]
fn a_stack_of_an_impossible_size_is_an_error() {
    watched!();
    for stack_size in TOO_LARGE {
        let pool = pool(Settings::new("none").stack_size(stack_size));
        let (one, ..) = job();
        assert!(pool.submit(one, Refuse).unwrap_err().cause().unwrap().raw_os_error().is_some());
    }
}

#[test]
fn a_thread_that_fails_to_start_does_not_count_as_busy() {
    watched!();
    let pool = Arc::new(pool(Settings::new("one").stack_size(TOO_LARGE[0]).max_threads(1)));
    let submitters = [(); 3].map(|()| {
        let pool = pool.clone();
        thread::spawn(move || {
            for _ in 0..2_000 {
                let (one, ..) = job();
                let refused = pool.submit(one, Refuse).unwrap_err();
                let cause = refused.cause().unwrap();
                assert!(cause.raw_os_error().is_some(), "not the system's error: {cause}");
            }
        })
    });
    for submitter in submitters {
        submitter.join().unwrap();
    }
}

#[test]
fn a_waiting_job_is_dropped_when_the_pool_closes() {
    watched!();
    let pool = pool(Settings::new("one").max_threads(1));
    let (first, begins, end) = job();
    assert_eq!(pool.submit(first, WaitAlways).unwrap(), Submitted::Accepted);
    begins.recv().unwrap();
    let (second, begins, _end) = job();
    assert_eq!(pool.submit(second, WaitAlways).unwrap(), Submitted::Accepted);
    assert!(!pool.is_short_of_threads() && !pool.retry(), "the pool has all its threads");
    pool.close();
    assert!(begins.recv().is_err(), "a thread runs it");
    assert!(!pool.retry());
    end.send(()).unwrap();
    pool.join();
}

#[test]
fn a_closed_pool_refuses_jobs_and_finishes_running_ones() {
    watched!();
    let pool = pool(Settings::new("closed"));
    let (first, begins, end) = job();
    assert_eq!(pool.submit(first, Refuse).unwrap(), Submitted::Accepted);
    begins.recv().unwrap();
    pool.close();
    let (second, ..) = job();
    assert!(pool.submit(second, Refuse).unwrap_err().cause().is_none());
    end.send(()).unwrap();
    pool.join();
}

#[test]
fn a_thread_of_the_pool_does_not_join_itself() {
    watched!();
    let (sender, pools) = channel::<Arc<ThreadPool<()>>>();
    let pools = std::sync::Mutex::new(pools);
    let (done, ended) = channel();
    let pool = Arc::new(ThreadPool::new(Settings::new("self"), move |jobs: Jobs<()>| {
        for () in jobs {
            let pool = pools.lock().unwrap().recv().unwrap();
            pool.close();
            pool.join();
            done.send(()).unwrap();
        }
    }));
    assert_eq!(pool.submit((), Refuse).unwrap(), Submitted::Accepted);
    sender.send(pool).unwrap();
    ended.recv().unwrap();
}

#[test]
fn hooks_balance_and_may_panic() {
    watched!();
    let [starts, stops] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
    let (started, stopped) = (starts.clone(), stops.clone());
    let settings = Settings::new("hooks").keep_alive(Duration::ZERO);
    let settings = settings.on_start(move || {
        started.fetch_add(1, SeqCst);
        panic!("a panic in on_start");
    });
    let pool = pool(settings.on_stop(move || {
        stopped.fetch_add(1, SeqCst);
        panic!("a panic in on_stop");
    }));
    for _ in 0..20 {
        let (job, begins, _) = job();
        assert_eq!(pool.submit(job, Refuse).unwrap(), Submitted::Accepted);
        begins.recv().unwrap();
    }
    pool.close();
    pool.join();
    assert!(starts.load(SeqCst) >= 1);
    assert_eq!(starts.load(SeqCst), stops.load(SeqCst));
}

#[test]
fn threads_that_leave_are_all_joined() {
    watched!();
    for settings in [Settings::new("gone").fresh_threads(), Settings::new("gone").keep_alive(Duration::ZERO)] {
        let pool = pool(settings);
        for _ in 0..200 {
            let (job, begins, _) = job();
            assert_eq!(pool.submit(job, Refuse).unwrap(), Submitted::Accepted);
            begins.recv().unwrap();
        }
        pool.close();
        pool.join();
        // No thread is left that refers to the pool.
        assert!(format!("{pool:?}").contains("threads: 0, idle: 0"), "{pool:?}");
    }
}

/// The payload of a hook's panic. Dropping it panics, too.
struct Payload(Arc<AtomicUsize>);

impl Drop for Payload {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
        resume_unwind(Box::new(()));
    }
}

#[test]
fn the_payload_of_a_hooks_panic_is_dropped_and_may_panic() {
    let drops = Arc::new(AtomicUsize::new(0));
    let dropped = drops.clone();
    let settings = Settings::new("payload");
    let pool = pool(settings.on_start(move || resume_unwind(Box::new(Payload(dropped.clone())))));
    let (job, begins, _) = job();
    assert_eq!(pool.submit(job, Refuse).unwrap(), Submitted::Accepted);
    begins.recv().unwrap();
    assert_eq!(drops.load(SeqCst), 1);
}

#[test]
fn a_job_beyond_the_limit_waits_behind_earlier_ones() {
    watched!();
    let pool = pool(Settings::new("one").max_threads(1));
    let (first, begins, end) = job();
    assert_eq!(pool.submit(first, Wait).unwrap(), Submitted::Accepted);
    begins.recv().unwrap();

    let (all_begun, all_begins) = channel();
    for _ in 0..100 {
        let job = Job { begun: all_begun.clone(), end: channel().1 };
        // It waits for a thread that exists, so there is nothing to retry.
        assert_eq!(pool.submit(job, Wait).unwrap(), Submitted::Accepted);
    }
    assert!(!pool.is_short_of_threads() && !pool.retry());
    assert!(all_begins.try_recv().is_err());
    drop((end, all_begun));
    assert_eq!(all_begins.iter().collect::<Vec<_>>(), vec!["one-0"; 100]);

    pool.close();
    assert!(pool.submit(job().0, Wait).unwrap_err().cause().is_none());
    pool.join();
}

#[test]
fn a_job_comes_back_instead_of_waiting_in_a_pool_without_threads() {
    watched!();
    // Half of the address space: no system has that much.
    let pool = pool(Settings::new("none").stack_size(isize::MAX as usize / 4096 * 4096));
    let threads = [(); 4].map(|()| job().0).map(|job| pool.submit(job, Wait).unwrap_err());
    assert!(threads.iter().all(|refused| refused.cause().is_some()));
    assert!(!pool.is_short_of_threads());
    // Each of them waits until the others' starts are decided.
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..1_000).for_each(|_| assert!(pool.submit(job().0, Wait).is_err())));
        }
    });
    assert!(!pool.is_short_of_threads());
}

#[test]
fn a_join_with_a_deadline_counts_the_threads_that_are_left() {
    watched!();
    let pool = pool(Settings::new("late"));
    let (first, begins, end) = job();
    assert_eq!(pool.submit(first, Refuse).unwrap(), Submitted::Accepted);
    begins.recv().unwrap();
    let (second, begins, second_end) = job();
    assert_eq!(pool.submit(second, Refuse).unwrap(), Submitted::Accepted);
    begins.recv().unwrap();

    pool.close();
    assert_eq!(pool.join_until(Some(Instant::now())), 2);
    drop(end);
    while pool.join_until(Some(Instant::now())) != 1 {
        thread::yield_now();
    }
    drop(second_end);
    assert_eq!(pool.join_until(None), 0);
    assert_eq!(pool.join_until(None), 0);
}
