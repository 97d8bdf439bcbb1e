//! The handoff of a pool whose workers have no threads, scan by scan.

use super::*;
use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;

use polyexec_core::executor::Task;
use polyexec_threads::{Settings, ThreadPool};

use crate::PoolHandle;
use crate::hooks::Hooks;
use crate::sleep::Sleep;
use crate::system::probe;

/// A pool of workers without threads. Receives whether each job is a worker.
fn pool(workers: usize) -> (Handoff, mpsc::Receiver<bool>) {
    let (sender, jobs) = mpsc::channel();
    let threads = ThreadPool::new(Settings::new("handoff"), move |jobs| {
        jobs.into_iter().for_each(|job: Box<dyn Job>| sender.send(!job.is_report()).unwrap());
    });
    let remote = |_| Arc::new(CachePadded::new(Remote::new(Queue::new_fifo().stealer(), 0)));
    let remotes = (0..workers).map(remote).collect();
    let shared = Arc::new(Shared::new(
        remotes,
        Sleep::new(workers, 1),
        threads,
        Hooks { on_stall: Some(Arc::new(|_| ())), ..Hooks::default() },
    ));
    (Handoff::new(shared), jobs)
}

fn end(handoff: &Handoff) {
    handoff.shared.threads.close();
    handoff.shared.threads.join();
}

impl Handoff {
    fn remote(&self, slot: usize) -> Arc<CachePadded<Remote>> {
        self.shared.remotes.snapshot()[slot].clone()
    }

    /// The slot's worker begins a poll on `thread`.
    fn begin_poll(&self, slot: usize, thread: &ThreadId) -> Arc<CachePadded<Remote>> {
        let remote = self.remote(slot);
        remote.thread().set(thread);
        remote.begin_poll(remote.polls() + 1);
        remote.start();
        remote
    }
}

/// Scans that are an hour apart, so that a thread has had a processor for hardly any of the time.
struct Scans(Instant);

impl Scans {
    fn new() -> Self {
        Self(Instant::now())
    }

    fn scan(&mut self, handoff: &mut Handoff) -> Tick {
        self.0 += Duration::from_secs(3600);
        handoff.tick(self.0)
    }

    fn scan_without_files(&mut self, handoff: &mut Handoff) {
        probe::without_files(|| self.scan(handoff));
    }
}

/// A thread that sleeps or runs.
struct Other {
    number: ThreadId,
    runs: Arc<AtomicBool>,
    is_over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Other {
    fn new() -> Self {
        let (runs, is_over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (its_runs, its_is_over) = (runs.clone(), is_over.clone());
        let (number, comes) = mpsc::channel();
        let thread = thread::spawn(move || {
            number.send(ThreadId::here()).unwrap();
            while !its_is_over.load(SeqCst) {
                if !its_runs.load(SeqCst) {
                    thread::park();
                }
            }
        });
        let number = comes.recv().unwrap();
        Self { number, runs, is_over, thread: Some(thread) }
    }

    fn asleep() -> Self {
        let other = Self::new();
        while other.number.sleeps() == Some(false) {
            thread::yield_now();
        }
        other
    }

    fn running() -> Self {
        let other = Self::new();
        other.run();
        other
    }

    /// Returns when the thread has had a processor.
    fn run(&self) {
        let before = self.number.cpu_time();
        self.runs.store(true, SeqCst);
        self.thread.as_ref().unwrap().thread().unpark();
        while self.number.cpu_time() == before || self.number.sleeps() != Some(false) {
            thread::yield_now();
        }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.is_over.store(true, SeqCst);
        let thread = self.thread.take().unwrap();
        thread.thread().unpark();
        thread.join().unwrap();
    }
}

#[test]
fn a_poll_is_not_long_at_an_early_scan() {
    polyexec_conformance::watched!();
    let (mut handoff, jobs) = pool(1);
    let (task, _) = Task::new(pending::<()>(), PoolHandle::new(handoff.shared.clone()));
    let thread = Other::asleep();
    let remote = handoff.begin_poll(0, &thread.number);
    remote.reporting(task.abort_handle(), || {
        let now = Instant::now();
        assert_eq!(handoff.tick(now), Tick::Busy);
        // The monitor was woken though it was awake.
        handoff.tick(now + Duration::from_micros(1));
        assert!(remote.is_running() && jobs.try_recv().is_err());
        handoff.tick(now + MONITOR_INTERVAL);
        assert!(remote.is_detached());
        let mut jobs = [jobs.recv().unwrap(), jobs.recv().unwrap()];
        jobs.sort_unstable();
        assert_eq!(jobs, [false, true]);
    });
    end(&handoff);
}

#[test]
fn an_early_scan_says_nothing_of_a_thread() {
    polyexec_conformance::watched!();
    let (handoff, _jobs) = pool(1);
    let (thread, now) = (Other::asleep(), Instant::now());
    let remote = handoff.begin_poll(0, &thread.number);
    let (sample, did) = Sample::first(&remote, now).next(&remote, now + MONITOR_INTERVAL / 2);
    assert_eq!(did, Did::Unknown);
    // The time counts from the first scan.
    let (sample, did) = sample.next(&remote, now + MONITOR_INTERVAL);
    assert_eq!(did, Did::Nothing);
    thread.run();
    let (_, did) = sample.next(&remote, now + MONITOR_INTERVAL + Duration::from_secs(3600));
    assert_eq!(did, Did::Little);
    end(&handoff);
}

#[test]
fn a_thread_that_waits_for_a_processor_does_not_sleep() {
    polyexec_conformance::watched!();
    let (mut handoff, _jobs) = pool(1);
    let mut scans = Scans::new();
    let thread = Other::running();
    let remote = handoff.begin_poll(0, &thread.number);
    for _ in 0..3 {
        scans.scan(&mut handoff);
        assert!(remote.is_running());
    }
    end(&handoff);
}

#[test]
fn for_a_computing_thread_no_file_is_opened() {
    polyexec_conformance::watched!();
    let (mut handoff, _jobs) = pool(1);
    // This thread: it computes until the next scan.
    let remote = handoff.begin_poll(0, &ThreadId::here());
    let now = Instant::now();
    handoff.tick(now);
    let before = remote.thread().cpu_time().unwrap();
    while remote.thread().cpu_time().unwrap().since(before).unwrap() < MONITOR_INTERVAL {}
    assert_eq!(probe::asked(|| _ = handoff.tick(now + MONITOR_INTERVAL)), 1, "more than the clock was read");
    assert!(remote.is_running());
    end(&handoff);
}

#[test]
fn settled_workers_cost_a_scan_nothing() {
    polyexec_conformance::watched!();
    const BLOCKED: usize = 300;
    let (mut handoff, _jobs) = pool(2);
    let mut scans = Scans::new();
    let thread = Other::asleep();
    for _ in 0..BLOCKED {
        let remote = handoff.begin_poll(0, &thread.number);
        scans.scan(&mut handoff);
        scans.scan(&mut handoff);
        assert!(remote.is_detached());
    }
    assert_eq!(handoff.detached.len(), BLOCKED);
    // The clock of the last one is read once more: it may have run.
    scans.scan(&mut handoff);
    assert_eq!(probe::asked(|| assert_eq!(scans.scan(&mut handoff), Tick::Idle)), 0);
    // That of a running worker is read.
    handoff.begin_poll(1, &thread.number);
    assert_eq!(probe::asked(|| assert_eq!(scans.scan(&mut handoff), Tick::Busy)), 1);
    end(&handoff);
}

#[test]
fn a_thread_that_has_run_since_may_be_unaware() {
    polyexec_conformance::watched!();
    let (mut handoff, _jobs) = pool(1);
    let mut scans = Scans::new();
    let thread = Other::asleep();
    let remote = handoff.begin_poll(0, &thread.number);
    scans.scan(&mut handoff);
    scans.scan(&mut handoff);
    assert!(remote.is_detached());
    thread.run();
    for _ in 0..3 {
        assert_eq!(scans.scan(&mut handoff), Tick::Busy);
        thread.run();
    }
    remote.mark_done();
    assert_eq!(scans.scan(&mut handoff), Tick::Idle);
    end(&handoff);
}

#[test]
fn without_files_a_clock_that_stands_still_means_sleep() {
    polyexec_conformance::watched!();
    let (mut handoff, _jobs) = pool(2);
    let mut scans = Scans::new();
    let thread = Other::asleep();
    for _ in 0..50 {
        let remotes = [0, 1].map(|slot| handoff.begin_poll(slot, &thread.number));
        scans.scan_without_files(&mut handoff);
        scans.scan_without_files(&mut handoff);
        assert!(remotes.iter().all(|remote| remote.is_detached()));
    }
    end(&handoff);
}

#[test]
fn without_files_there_are_few_mistakes() {
    polyexec_conformance::watched!();
    let (mut handoff, _jobs) = pool(2);
    let mut scans = Scans::new();
    let thread = Other::asleep();
    let first = [0, 1].map(|slot| handoff.begin_poll(slot, &thread.number));
    scans.scan_without_files(&mut handoff);
    scans.scan_without_files(&mut handoff);
    assert!(first.iter().all(|remote| remote.is_detached()));
    // By now they are known to sleep. Then they run.
    scans.scan_without_files(&mut handoff);
    thread.run();
    let asleep = Other::asleep();
    let second = handoff.begin_poll(0, &asleep.number);
    for _ in 0..3 {
        scans.scan_without_files(&mut handoff);
        assert!(second.is_running());
    }
    // One of them is done.
    first[0].mark_done();
    scans.scan_without_files(&mut handoff);
    assert!(second.is_detached());
    end(&handoff);
}
