//! Threads that come, stay, leave, and can't be had.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use polyexec_conformance::watched;
use polyexec_threads::{Crew, Given, Jobs, Settings};

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
    watched!();
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
    watched!();
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
    watched!();
    // Half of all addresses: no system has that.
    let crew = crew(Settings { stack_size: Some(isize::MAX as usize / 4096 * 4096), ..Settings::new("none") });
    let (one, begins, _end) = job();
    let refused = crew.give(one).unwrap_err();
    assert!(refused.cause.is_some());
    drop(refused.job);
    assert!(begins.recv().is_err(), "somebody ran it");
    crew.close();
    crew.join();
}

/// Half of all addresses, and more: no system has that.
const TOO_LARGE: [usize; 4] =
    [isize::MAX as usize / 4096 * 4096, isize::MAX as usize, isize::MAX as usize + 1, usize::MAX];

#[test]
fn a_stack_of_any_size_that_is_not_to_be_had_is_an_error() {
    watched!();
    for stack_size in TOO_LARGE {
        let crew = crew(Settings { stack_size: Some(stack_size), ..Settings::new("none") });
        let (one, ..) = job();
        assert!(crew.give(one).unwrap_err().cause.unwrap().raw_os_error().is_some());
    }
}

#[test]
fn a_thread_that_fails_to_start_is_not_a_busy_one() {
    watched!();
    let crew = Arc::new(crew(Settings { stack_size: Some(TOO_LARGE[0]), max_threads: 1, ..Settings::new("one") }));
    let givers = [(); 3].map(|()| {
        let crew = crew.clone();
        thread::spawn(move || {
            for _ in 0..2_000 {
                let (one, ..) = job();
                let cause = crew.give(one).unwrap_err().cause.unwrap();
                assert!(cause.raw_os_error().is_some(), "not what the system said: {cause}");
            }
        })
    });
    for giver in givers {
        giver.join().unwrap();
    }
}

#[test]
fn a_job_that_waits_for_a_thread_ends_with_the_crew() {
    watched!();
    let crew = crew(Settings { max_threads: 1, ..Settings::new("one") });
    let (first, begins, end) = job();
    crew.queue(first).unwrap();
    begins.recv().unwrap();
    let (second, begins, _end) = job();
    crew.queue(second).unwrap();
    assert!(!crew.is_behind() && !crew.catch_up(), "the first comes to it, and may be the only one");
    crew.close();
    assert!(begins.recv().is_err(), "somebody runs it");
    assert!(!crew.catch_up());
    end.send(()).unwrap();
    crew.join();
}

#[test]
fn a_closed_crew_refuses_and_finishes() {
    watched!();
    let crew = crew(Settings::new("closed"));
    let (first, begins, end) = job();
    crew.give(first).unwrap();
    begins.recv().unwrap();
    crew.close();
    let (second, ..) = job();
    assert!(crew.give(second).unwrap_err().cause.is_none());
    end.send(()).unwrap();
    crew.join();
}

#[test]
fn a_thread_of_the_crew_does_not_wait_for_itself() {
    watched!();
    let (sender, crews) = channel::<Arc<Crew<()>>>();
    let crews = std::sync::Mutex::new(crews);
    let (done, ended) = channel();
    let crew = Arc::new(Crew::new(Settings::new("self"), move |jobs: Jobs<()>| {
        for () in jobs {
            let crew = crews.lock().unwrap().recv().unwrap();
            crew.close();
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
    watched!();
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
    crew.close();
    crew.join();
    assert!(starts.load(SeqCst) >= 1);
    assert_eq!(starts.load(SeqCst), stops.load(SeqCst));
}

#[test]
fn threads_that_come_and_go_are_all_joined() {
    watched!();
    for fresh in [None, Some(Duration::ZERO)] {
        let crew = crew(Settings { keep_alive: fresh, ..Settings::new("gone") });
        for _ in 0..200 {
            let (job, begins, _) = job();
            crew.give(job).unwrap();
            begins.recv().unwrap();
        }
        crew.close();
        crew.join();
        // Nothing of the threads is left that holds on to what they share.
        assert!(format!("{crew:?}").contains("threads: 0, idle: 0"), "{crew:?}");
    }
}

/// What a hook panics with; its drop panics in its turn.
struct Payload(Arc<AtomicUsize>);

impl Drop for Payload {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
        resume_unwind(Box::new(()));
    }
}

#[test]
fn what_a_hook_panics_with_is_dropped_and_may_panic() {
    let drops = Arc::new(AtomicUsize::new(0));
    let dropped = drops.clone();
    let on_start: Arc<dyn Fn() + Send + Sync> = Arc::new(move || resume_unwind(Box::new(Payload(dropped.clone()))));
    let crew = crew(Settings { on_start: Some(on_start), ..Settings::new("payload") });
    let (job, begins, _) = job();
    crew.give(job).unwrap();
    begins.recv().unwrap();
    assert_eq!(drops.load(SeqCst), 1);
}

#[test]
fn a_job_too_many_is_queued_behind_those_that_wait_already() {
    watched!();
    let crew = crew(Settings { max_threads: 1, ..Settings::new("one") });
    let (first, begins, end) = job();
    assert_eq!(crew.give_or_queue(first).unwrap(), Given::Taken);
    begins.recv().unwrap();

    let (all_begun, all_begins) = channel();
    for _ in 0..100 {
        let job = Job { begun: all_begun.clone(), end: channel().1 };
        // It waits for a thread that is there, so there is nothing to catch up with.
        assert_eq!(crew.give_or_queue(job).unwrap(), Given::Taken);
    }
    assert!(!crew.is_behind() && !crew.catch_up());
    assert!(all_begins.try_recv().is_err());
    drop((end, all_begun));
    assert_eq!(all_begins.iter().collect::<Vec<_>>(), vec!["one-0"; 100]);

    crew.close();
    assert!(crew.give_or_queue(job().0).unwrap_err().cause.is_none());
    crew.join();
}

#[test]
fn a_job_that_would_wait_for_no_thread_at_all_comes_back() {
    watched!();
    // Half of all addresses: no system has that.
    let crew = crew(Settings { stack_size: Some(isize::MAX as usize / 4096 * 4096), ..Settings::new("none") });
    let threads = [(); 4].map(|()| job().0).map(|job| crew.give_or_queue(job).unwrap_err());
    assert!(threads.iter().all(|refused| refused.cause.is_some()));
    assert!(!crew.is_behind());
    // Each of them waits for the others' decision.
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..1_000).for_each(|_| assert!(crew.give_or_queue(job().0).is_err())));
        }
    });
    assert!(!crew.is_behind());
}

#[test]
fn a_join_with_a_limit_counts_who_is_there_still() {
    watched!();
    let crew = crew(Settings::new("late"));
    let (first, begins, end) = job();
    crew.give(first).unwrap();
    begins.recv().unwrap();
    let (second, begins, second_end) = job();
    crew.give(second).unwrap();
    begins.recv().unwrap();

    crew.close();
    assert_eq!(crew.join_until(Some(Instant::now())), 2);
    drop(end);
    while crew.join_until(Some(Instant::now())) != 1 {
        thread::yield_now();
    }
    drop(second_end);
    assert_eq!(crew.join_until(None), 0);
    assert_eq!(crew.join_until(None), 0);
}
