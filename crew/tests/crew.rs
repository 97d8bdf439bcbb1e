//! Threads that come, stay, leave, and can't be had.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use polyexec_crew::{Crew, Jobs, Settings};

/// A job that tells when it begins, and ends when it is told to.
struct Job {
    begun: Sender<String>,
    end: Receiver<()>,
}

fn job() -> (Job, Receiver<String>, Sender<()>) {
    let (begun, begins) = channel();
    let (ends, end) = channel();
    (Job { begun, end }, begins, ends)
}

fn crew(settings: Settings) -> Crew<Job> {
    Crew::new(settings, |jobs: Jobs<Job>| {
        for job in jobs {
            let name = thread::current().name().unwrap_or_default().to_owned();
            job.begun.send(name).unwrap();
            // An error says that nobody cares when it ends.
            let _ = job.end.recv();
        }
    })
}

#[test]
fn threads_are_named_by_number() {
    let crew = crew(Settings::new("name"));
    let (first, begins, _end) = job();
    crew.give(first).unwrap();
    assert_eq!(begins.recv().unwrap(), "name-0");
    let (second, begins, _end) = job();
    crew.give(second).unwrap();
    assert_eq!(begins.recv().unwrap(), "name-1");
}

#[test]
fn a_job_too_many_comes_back() {
    let crew = crew(Settings { max_threads: 1, ..Settings::new("one") });
    let (first, begins, end) = job();
    crew.give(first).unwrap();
    begins.recv().unwrap();

    let (second, begins, _end) = job();
    let refused = crew.give(second).unwrap_err();
    assert_eq!(refused.cause.unwrap().kind(), std::io::ErrorKind::WouldBlock);

    // Once the first is over, the one thread takes it.
    drop(end);
    let mut again = refused.job;
    while let Err(refused) = crew.give(again) {
        again = refused.job;
        thread::yield_now();
    }
    assert_eq!(begins.recv().unwrap(), "one-0");
}

#[test]
fn a_job_without_a_thread_to_be_had_comes_back() {
    // Half of all addresses: no system has that.
    let crew = crew(Settings { stack_size: Some(isize::MAX as usize / 4096 * 4096), ..Settings::new("none") });
    let (one, begins, _end) = job();
    let refused = crew.give(one).unwrap_err();
    assert!(refused.cause.is_some());
    drop(refused.job);
    assert!(begins.recv().is_err(), "somebody ran it");
    drop(crew.close());
    crew.join();
}

#[test]
fn a_closed_crew_refuses_and_finishes() {
    let crew = crew(Settings::new("closed"));
    let (first, begins, end) = job();
    crew.give(first).unwrap();
    begins.recv().unwrap();
    drop(crew.close());
    let (second, ..) = job();
    assert!(crew.give(second).unwrap_err().cause.is_none());
    end.send(()).unwrap();
    crew.join();
}

#[test]
fn a_thread_of_the_crew_does_not_wait_for_itself() {
    let (sender, crews) = channel::<Arc<Crew<()>>>();
    let crews = std::sync::Mutex::new(crews);
    let (done, ended) = channel();
    let crew = Arc::new(Crew::new(Settings::new("self"), move |jobs: Jobs<()>| {
        for () in jobs {
            let crew = crews.lock().unwrap().recv().unwrap();
            drop(crew.close());
            crew.join();
            done.send(()).unwrap();
        }
    }));
    crew.give(()).unwrap();
    sender.send(crew).unwrap();
    ended.recv().unwrap();
}

#[test]
fn hooks_balance_and_may_panic() {
    let [starts, stops] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
    let (started, stopped) = (starts.clone(), stops.clone());
    let crew = crew(Settings {
        keep_alive: Some(Duration::ZERO),
        on_start: Some(Arc::new(move || {
            started.fetch_add(1, SeqCst);
            panic!("a panic in on_start");
        })),
        on_stop: Some(Arc::new(move || {
            stopped.fetch_add(1, SeqCst);
            panic!("a panic in on_stop");
        })),
        ..Settings::new("hooks")
    });
    for _ in 0..20 {
        let (job, begins, _) = job();
        crew.give(job).unwrap();
        begins.recv().unwrap();
    }
    drop(crew.close());
    crew.join();
    assert!(starts.load(SeqCst) >= 1);
    assert_eq!(starts.load(SeqCst), stops.load(SeqCst));
}

#[test]
fn threads_that_come_and_go_are_all_joined() {
    for fresh in [None, Some(Duration::ZERO)] {
        let crew = crew(Settings { keep_alive: fresh, ..Settings::new("gone") });
        for _ in 0..200 {
            let (job, begins, _) = job();
            crew.give(job).unwrap();
            begins.recv().unwrap();
        }
        drop(crew.close());
        crew.join();
        // Nothing of the threads is left that holds on to what they share.
        assert!(format!("{crew:?}").contains("threads: 0, idle: 0"), "{crew:?}");
    }
}

#[test]
fn the_payload_of_a_hooks_panic_is_dropped_even_if_that_panics() {
    struct Payload(Sender<()>);

    impl Drop for Payload {
        fn drop(&mut self) {
            self.0.send(()).unwrap();
            panic!("the payload's drop panics, too");
        }
    }

    let (dropped, drops) = channel();
    let hook = Arc::new(move || std::panic::panic_any(Payload(dropped.clone())));
    let crew = crew(Settings { on_start: Some(hook.clone()), on_stop: Some(hook), ..Settings::new("hooked") });
    let (job, begins, end) = job();
    crew.give(job).unwrap();
    begins.recv().unwrap();
    drop(end);
    drop(crew.close());
    crew.join();
    assert_eq!(drops.try_iter().count(), 2);
}

#[test]
fn jobs_that_no_thread_had_begun_come_back_when_it_closes() {
    let crew = crew(Settings { max_threads: 1, ..Settings::new("closing") });
    let (first, begins, end) = job();
    crew.give(first).unwrap();
    begins.recv().unwrap();
    let (second, never, _end) = job();
    crew.queue(second).unwrap();
    assert_eq!(crew.close().count(), 1);
    drop(end);
    crew.join();
    assert!(never.recv().is_err(), "somebody ran it");
}
