//! Jobs that wait for a thread, and threads that leave, in processes of their own where threads are scarce.

#![cfg(target_os = "linux")]

use std::sync::mpsc::{Sender, channel};
use std::thread::{self, Builder, JoinHandle};

use polyexec_conformance::scarce::Scarcity::{self, Memory, Threads};
use polyexec_conformance::scarce::with_scarcity;
use polyexec_threads::{Crew, Jobs, Settings};

/// By number or by memory, there are less than ten threads to be had.
const SCARCE: [Scarcity; 2] = [Threads(10), Memory(640)];

/// Of one thread, in bytes: so large that few have room.
const STACK: usize = 64 << 20;

/// All threads that are to be had. Each lives until it is taken from here.
fn hogs() -> Vec<(Sender<()>, JoinHandle<()>)> {
    let mut hogs = Vec::new();
    loop {
        assert!(hogs.len() < 100, "threads aren't scarce here");
        let (sender, end) = channel();
        match Builder::new().stack_size(STACK).spawn(move || end.recv().unwrap_or_default()) {
            Ok(hog) => hogs.push((sender, hog)),
            Err(_) => return hogs,
        }
    }
}

fn crew(settings: Settings) -> (Crew<u32>, std::sync::mpsc::Receiver<u32>) {
    let (sender, done) = channel();
    let settings = Settings { stack_size: Some(STACK), ..settings };
    let crew = Crew::new(settings, move |jobs: Jobs<u32>| jobs.for_each(|job| sender.send(job).unwrap()));
    (crew, done)
}

#[test]
fn a_job_that_waits_has_a_thread_once_there_is_one() {
    for scarcity in SCARCE {
        with_scarcity(scarcity, || {
            let (crew, done) = crew(Settings::new("scarce"));
            let mut hogs = hogs();
            crew.queue(1).unwrap();
            crew.queue(2).unwrap();
            assert!(crew.give(3).unwrap_err().cause.unwrap().raw_os_error().is_some());
            // Of an odd number, lest those that wait change places and change back.
            for _ in 0..101 {
                assert!(crew.catch_up(), "there is no thread to be had");
            }
            assert!(done.try_recv().is_err());

            let (end, hog) = hogs.pop().unwrap();
            drop(end);
            hog.join().unwrap();
            while crew.catch_up() {
                thread::yield_now();
            }
            // In the order in which they came.
            assert_eq!([done.recv(), done.recv()], [Ok(1), Ok(2)]);
            drop(hogs);
            crew.close();
            crew.join();
        });
    }
}

#[test]
fn the_memory_of_threads_that_have_left_is_there_for_the_next() {
    for scarcity in SCARCE {
        with_scarcity(scarcity, || {
            let (crew, done) = crew(Settings { keep_alive: None, ..Settings::new("fresh") });
            let mut hogs = hogs();
            // Room for one, and for one only.
            let (end, hog) = hogs.pop().unwrap();
            drop(end);
            hog.join().unwrap();
            for job in 0..100 {
                while crew.give(job).is_err() {
                    thread::yield_now();
                }
                assert_eq!(done.recv(), Ok(job));
            }
            crew.close();
            crew.join();
        });
    }
}
