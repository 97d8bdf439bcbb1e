//! Waiting jobs and leaving threads where the system has few threads. Each test is a process of its own.

#![cfg(target_os = "linux")]

use std::sync::mpsc::{Receiver, channel};
use std::thread;

use polyexec_conformance::scarce::Scarcity::{self, Memory, Threads};
use polyexec_conformance::scarce::{Hogs, STACK, with_scarcity};
use polyexec_threads::WhenBusy::{Refuse, WaitAlways};
use polyexec_threads::{Jobs, Settings, Submitted, ThreadPool};

/// The system has fewer than ten threads: by number, or by memory.
const SCARCE: [Scarcity; 2] = [Threads(10), Memory(640)];

fn pool(settings: Settings) -> (ThreadPool<u32>, Receiver<u32>) {
    let (sender, done) = channel();
    let settings = settings.stack_size(STACK);
    let pool = ThreadPool::new(settings, move |jobs: Jobs<u32>| jobs.for_each(|job| sender.send(job).unwrap()));
    (pool, done)
}

#[test]
fn a_waiting_job_gets_a_thread_once_the_system_has_one() {
    with_scarcity(SCARCE, |_| {
        let (pool, done) = pool(Settings::new("scarce"));
        let mut hogs = Hogs::take_all();
        assert_eq!(pool.submit(1, WaitAlways).unwrap(), Submitted::ShortOfThreads);
        assert_eq!(pool.submit(2, WaitAlways).unwrap(), Submitted::ShortOfThreads);
        assert!(pool.submit(3, Refuse).unwrap_err().cause().unwrap().raw_os_error().is_some());
        assert!(pool.is_short_of_threads());
        // An odd number: if retries swapped the two jobs, then an even number would swap them back.
        for _ in 0..101 {
            assert!(pool.retry(), "the system has a thread");
        }
        assert!(done.try_recv().is_err());

        hogs.end_one();
        while pool.retry() {
            thread::yield_now();
        }
        // In the order of submission.
        assert_eq!([done.recv(), done.recv()], [Ok(1), Ok(2)]);
        drop(hogs);
        pool.close();
        pool.join();
    });
}

#[test]
fn the_stack_of_an_ended_thread_is_free_for_the_next() {
    with_scarcity(SCARCE, |_| {
        let (pool, done) = pool(Settings::new("fresh").fresh_threads());
        let mut hogs = Hogs::take_all();
        // Room for exactly one thread.
        hogs.end_one();
        for job in 0..100 {
            while pool.submit(job, Refuse).is_err() {
                thread::yield_now();
            }
            assert_eq!(done.recv(), Ok(job));
        }
        pool.close();
        pool.join();
    });
}
