//! Detects a worker whose poll doesn't end, reports the stall, and hands the worker's slot to a new one. `monitor` calls
//! this every few milliseconds.
//!
//! A poll that sleeps in the system is replaced at once: its processor is free. One that computes would only take turns with
//! its successor, so it is replaced late, if tasks wait and no worker is idle. `sample` and the README tell how the two are told
//! apart.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use polyexec_core::Handle;
use polyexec_threads::WhenBusy;
use polyexec_threads::contain;

use crate::job::Job;
use crate::monitor;
use crate::policy::{LATE, MONITOR_INTERVAL};
use crate::remote::Remote;
use crate::shared::Shared;
use crate::sleep::Queued;
use crate::sync::deque::Worker as Queue;
use crate::system::ThreadId;
use crate::watched::{Tick, Watched};
use crate::worker::Worker;
use crate::{PoolHandle, Stall};

use sample::{Did, Sample};

mod sample;
#[cfg(all(test, target_os = "linux", not(polyexec_loom)))]
mod tests;

/// Detects and replaces blocked workers of this pool from now on, until the shutdown.
///
/// # Errors
///
/// The system has no thread for the monitor.
pub(crate) fn watch(shared: Arc<Shared>) -> io::Result<()> {
    monitor::add(Box::new(Handoff::new(shared)))
}

/// What the monitor knows of one pool.
struct Handoff {
    shared: Arc<Shared>,
    /// The poll of each running worker at the last scan.
    samples: Box<[Option<Sample>]>,
    /// Detached workers that aren't done yet.
    detached: Vec<Detached>,
}

/// A worker in its last poll, or in the next one if it was detached just before that.
struct Detached {
    remote: Arc<CachePadded<Remote>>,
    sample: Sample,
    reason: Reason,
    /// It will know that it was detached when it goes on, and queue no task.
    is_settled: bool,
}

/// Why a worker was detached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    /// Its thread sleeps.
    Sleeps,
    /// Its thread's clock stands still, and the system doesn't say why.
    Still,
    /// Tasks have waited for long.
    Late,
}

impl Detached {
    /// Whether it may still act without knowing that it was detached.
    fn is_unaware(&self) -> bool {
        !self.is_settled && !self.remote.is_done()
    }

    /// Whether its thread, which seemed to sleep, has run all the same.
    fn may_be_mistake(&self) -> bool {
        self.reason == Reason::Still && (!self.is_settled || self.sample.has_run_since(&self.remote))
    }
}

impl Watched for Handoff {
    fn pool(&self) -> usize {
        Arc::as_ptr(&self.shared).addr()
    }

    fn is_due(&self) -> bool {
        self.shared.threads.is_short_of_threads()
            || self.shared.remotes.snapshot().iter().any(|remote| remote.is_running())
            || self.detached.iter().any(Detached::is_unaware)
    }

    fn tick(&mut self, now: Instant) -> Tick {
        self.drain_detached(now);
        // A worker that was left without a thread gets the first one that the system has.
        let is_behind = self.shared.threads.retry();
        let is_running = self.scan(now);
        let is_busy = is_behind || is_running || self.detached.iter().any(Detached::is_unaware);
        if is_busy { Tick::Busy } else { Tick::Idle }
    }

    fn end_tasks(self: Box<Self>) {
        self.detached.iter().for_each(|detached| detached.remote.end_tasks());
    }
}

impl Handoff {
    fn new(shared: Arc<Shared>) -> Self {
        Self { samples: vec![None; shared.workers].into(), detached: Vec::new(), shared }
    }

    /// Replaces and reports each worker in a long poll. Whether any worker is running.
    fn scan(&mut self, now: Instant) -> bool {
        let remotes = self.shared.remotes.snapshot();
        let mut is_any_running = false;
        for (slot, remote) in remotes.iter().enumerate() {
            if !remote.is_running() {
                self.samples[slot] = None;
                continue;
            }
            is_any_running = true;
            let (sample, did) = match self.samples[slot] {
                Some(sample) => sample.next(remote, now),
                None => (Sample::first(remote, now), Did::Unknown),
            };
            self.samples[slot] = Some(sample);
            let duration = now - sample.since;
            if duration < MONITOR_INTERVAL {
                // Seen for the first time, or for the second time by an early scan.
                continue;
            }
            if let Some(reason) = self.reason(remote, did, duration) {
                self.replace(slot, Detached { remote: remote.clone(), sample, reason, is_settled: false });
            }
            // Last: if there is a single thread left, it should work and not run a hook.
            self.report(remote, sample, now);
        }
        is_any_running
    }

    /// Why to replace a worker whose poll has taken this long; `None` to leave it.
    fn reason(&self, remote: &Remote, did: Did, duration: Duration) -> Option<Reason> {
        let sleeps = if did == Did::Compute { Some(false) } else { remote.thread().sleeps() };
        let is_still = matches!(did, Did::Nothing | Did::Little);
        if sleeps == Some(true) {
            Some(Reason::Sleeps)
        } else if sleeps.is_none() && is_still && self.count(Detached::may_be_mistake) < self.shared.workers {
            Some(Reason::Still)
        } else if duration >= LATE && self.is_late() {
            Some(Reason::Late)
        } else {
            None
        }
    }

    fn count(&self, which: impl Fn(&Detached) -> bool) -> usize {
        self.detached.iter().filter(|detached| which(detached)).count()
    }

    /// Whether tasks wait, no worker is idle, and one more computing thread does no harm.
    fn is_late(&self) -> bool {
        let Shared { injector, remotes, sleep, workers, .. } = &*self.shared;
        let waits = !injector.is_empty() || remotes.snapshot().iter().any(|remote| remote.has_tasks());
        waits && !sleep.has_idle() && self.count(|detached| detached.reason == Reason::Late) < *workers
    }

    /// Detaches the worker, and hands its slot and its tasks to a new one.
    fn replace(&mut self, slot: usize, detached: Detached) {
        let remote = &detached.remote;
        if !remote.detach() {
            return;
        }
        let queue = Queue::new_fifo();
        while let Some(task) = remote.steal(&queue) {
            queue.push(task);
        }
        // Another number than the other workers have seen in this slot.
        let polls = remote.polls().wrapping_add(1);
        self.shared.remotes.replace(slot, Arc::new(CachePadded::new(Remote::new(queue.stealer(), polls))));
        self.start(Box::new(Worker::new(self.shared.clone(), slot, queue)));
        // A worker that was about to sleep may have looked while the tasks were in neither queue.
        self.shared.sleep.notify(Queued::Plenty);
        self.detached.push(detached);
    }

    /// Gives the job to the first free thread: that of the detached worker at the latest.
    fn start(&self, job: Box<dyn Job>) {
        let queued = self.shared.threads.submit(job, WhenBusy::WaitAlways);
        assert!(queued.is_ok(), "the shutdown removes the pool from the monitor before it closes the threads");
    }

    /// Reports a long poll, once.
    fn report(&self, remote: &Remote, Sample { polls, since, .. }: Sample, now: Instant) {
        if let Some(task) = remote.take_reported(polls) {
            self.start(Box::new(Report { stall: Stall { task, duration: now - since }, shared: self.shared.clone() }));
        }
    }

    /// Takes the tasks that detached workers have queued since, and forgets the workers that are done.
    ///
    /// A worker may queue a task without knowing that it was detached. Once its thread had no processor for a whole
    /// interval, it will know when it goes on, and what it queued before was taken: it is settled, and costs a scan nothing.
    fn drain_detached(&mut self, now: Instant) {
        let mut all = std::mem::take(&mut self.detached);
        all.retain(|detached| !detached.remote.is_done());
        for Detached { remote, sample, is_settled, .. } in all.iter_mut().filter(|detached| !detached.is_settled) {
            let did;
            // Before its tasks are taken: if it is settled, they are its last.
            (*sample, did) = sample.next(remote, now);
            *is_settled = did == Did::Nothing;
            let queue = Queue::new_fifo();
            while let Some(task) = remote.steal(&queue).or_else(|| queue.pop()) {
                // The pool can't have shut down: see `start`.
                drop(self.shared.inject(task));
            }
            if now - sample.since >= MONITOR_INTERVAL {
                self.report(remote, *sample, now);
            }
        }
        self.detached = all;
    }
}

/// Calls the user's hook for a stall. A job of its own: the hook may block.
struct Report {
    stall: Stall,
    shared: Arc<Shared>,
}

impl Job for Report {
    fn pool(&self) -> Handle {
        Handle::new(PoolHandle::new(self.shared.clone()))
    }

    fn run(self: Box<Self>, _: &ThreadId) {
        self.shared.hooks.on_stall.iter().for_each(|on_stall| contain(|| on_stall(&self.stall)));
    }

    #[cfg(all(test, target_os = "linux", not(polyexec_loom)))]
    fn is_report(&self) -> bool {
        true
    }
}
