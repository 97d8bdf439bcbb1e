//! The pool: where a job goes, and when the pool ends. Leaves the start and the end of a thread to `members`.

use std::fmt;
use std::io::{Error, ErrorKind};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::jobs::Jobs;
use crate::live::LiveThreads;
use crate::members::{self, Members};
use crate::queue::{Admission, Queue};
use crate::settings::Settings;
use crate::submit::{Refused, Submitted, WhenBusy};

/// Threads that take jobs from a common queue, one after another.
///
/// A job goes to an idle thread, or else to a new one. A thread that stays idle for [`Settings::keep_alive`] leaves.
///
/// # What dropping does
///
/// Nothing to the threads: see [`close`](ThreadPool::close) and [`join`](ThreadPool::join).
pub struct ThreadPool<J>(pub(crate) Arc<Shared<J>>);

// No user code runs under its locks.
impl<J> UnwindSafe for ThreadPool<J> {}
impl<J> RefUnwindSafe for ThreadPool<J> {}

pub(crate) struct Shared<J> {
    pub(crate) settings: Settings,
    /// What each thread does with its jobs.
    pub(crate) body: Box<dyn Fn(Jobs<J>) + Send + Sync>,
    pub(crate) queue: Mutex<Queue<J>>,
    /// Notified when a job is queued, and when the pool is closed.
    pub(crate) changed: Condvar,
    /// Notified when a start has succeeded or failed.
    pub(crate) start_decided: Condvar,
    pub(crate) members: Members,
    pub(crate) live: Arc<LiveThreads>,
}

impl<J: Send + 'static> ThreadPool<J> {
    /// A pool without threads. Each thread calls `body` once, which should return when `Jobs` ends.
    pub fn new(settings: Settings, body: impl Fn(Jobs<J>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared {
            settings,
            body: Box::new(body),
            queue: Mutex::new(Queue::new()),
            changed: Condvar::new(),
            start_decided: Condvar::new(),
            members: Members::new(),
            live: Arc::default(),
        }))
    }

    /// Submits `job` to an idle thread or a new one. If there is neither, `when_busy` decides.
    ///
    /// Except with [`WaitAlways`](WhenBusy::WaitAlways), this may wait until another caller's attempt to start a thread is
    /// decided. It may also join ended threads, whose stacks the system needs for the next.
    ///
    /// # Errors
    ///
    /// The job comes back if the pool is closed, or as `when_busy` says.
    pub fn submit(&self, job: J, when_busy: WhenBusy) -> Result<Submitted, Refused<J>> {
        let mut queue = self.0.queue.lock();
        loop {
            match (queue.admit(&self.0.settings), when_busy) {
                (Admission::Closed, _) => return Err(Refused::closed(job)),
                (Admission::Idle, _) => return Ok(self.enqueue(queue, job)),
                (Admission::Start, WhenBusy::Wait | WhenBusy::WaitAlways) if queue.has_backlog() => {
                    // Earlier jobs come first.
                    queue.jobs.push_back(job);
                    let first = queue.jobs.pop_front().expect("just pushed");
                    return Ok(self.start_for_first(queue, first, when_busy));
                }
                (Admission::Start, _) => {
                    drop(queue);
                    return match self.start_thread(job, when_busy) {
                        Ok(()) => Ok(Submitted::Accepted),
                        Err(Refused { job, cause: Some(cause) }) => {
                            self.submit_without_new_thread(job, cause, when_busy)
                        }
                        Err(closed) => Err(closed),
                    };
                }
                // If the starts in progress fail, then their submitters learn that threads are short.
                (Admission::Undecided | Admission::Busy, WhenBusy::WaitAlways) => return Ok(self.enqueue(queue, job)),
                (Admission::Undecided | Admission::Busy, WhenBusy::Wait) if queue.has_running_thread() => {
                    return Ok(self.enqueue(queue, job));
                }
                (Admission::Undecided, _) if !members::is_ending() => self.0.start_decided.wait(&mut queue),
                (Admission::Undecided | Admission::Busy, _) => {
                    let busy = format!("all {} threads are busy", queue.threads);
                    return Err(Refused::because(job, Error::new(ErrorKind::WouldBlock, busy)));
                }
            }
        }
    }

    /// Submits a job for which no thread could be started, because of `cause`.
    fn submit_without_new_thread(&self, job: J, cause: Error, when_busy: WhenBusy) -> Result<Submitted, Refused<J>> {
        if when_busy == WhenBusy::Refuse {
            return Err(Refused::because(job, cause));
        }
        let mut queue = self.0.queue.lock();
        loop {
            if queue.closed {
                return Err(Refused::closed(job));
            }
            if when_busy == WhenBusy::WaitAlways || queue.has_running_thread() {
                let _ = self.enqueue(queue, job);
                return Ok(Submitted::ShortOfThreads);
            }
            // Other starts may succeed.
            if queue.starting == 0 || members::is_ending() {
                return Err(Refused::because(job, cause));
            }
            self.0.start_decided.wait(&mut queue);
        }
    }

    /// Starts a thread, which is counted already, for the first waiting job. Puts the job back if that fails.
    fn start_for_first(&self, queue: MutexGuard<'_, Queue<J>>, first: J, when_busy: WhenBusy) -> Submitted {
        drop(queue);
        let Err(Refused { job, .. }) = self.start_thread(first, when_busy) else { return Submitted::Accepted };
        let mut queue = self.0.queue.lock();
        if queue.closed {
            // As `close` does with those that wait.
            drop(queue);
            drop(job);
            return Submitted::Accepted;
        }
        // Later jobs may be queued by now.
        queue.jobs.push_front(job);
        drop(queue);
        self.0.changed.notify_one();
        Submitted::ShortOfThreads
    }

    fn enqueue(&self, mut queue: MutexGuard<'_, Queue<J>>, job: J) -> Submitted {
        queue.jobs.push_back(job);
        drop(queue);
        self.0.changed.notify_one();
        Submitted::Accepted
    }

    /// Whether a job waits that another thread could take, but the system has refused that thread.
    pub fn is_short_of_threads(&self) -> bool {
        self.0.queue.lock().is_short_of_threads(&self.0.settings)
    }

    /// Tries again to start a thread for the first waiting job. Returns whether the pool is still short of threads.
    ///
    /// Like [`WhenBusy::WaitAlways`], this never waits for another thread.
    pub fn retry(&self) -> bool {
        let mut queue = self.0.queue.lock();
        if !queue.is_short_of_threads(&self.0.settings) {
            return false;
        }
        if queue.threads < self.0.settings.max_threads
            && let Some(job) = queue.jobs.pop_front()
        {
            queue.count_start();
            let _ = self.start_for_first(queue, job, WhenBusy::WaitAlways);
            queue = self.0.queue.lock();
        }
        queue.is_short_of_threads(&self.0.settings)
    }

    /// Refuses new jobs, and drops waiting ones on this thread.
    ///
    /// Threads leave after their present job. This doesn't wait for them: [`join`](ThreadPool::join) does.
    pub fn close(&self) {
        let waiting = {
            let mut queue = self.0.queue.lock();
            queue.closed = true;
            std::mem::take(&mut queue.jobs)
        };
        self.0.changed.notify_all();
        drop(waiting);
    }

    /// Waits until every thread of a [closed](ThreadPool::close) pool has ended, with its thread-locals' destructors.
    ///
    /// On one of the pool's own threads, this doesn't wait.
    pub fn join(&self) {
        self.0.members.join_all();
    }

    /// Like [`join`](ThreadPool::join), but waits until `deadline` at the latest. Returns the number of threads that are left.
    ///
    /// Each of them ends by itself after its job. On one of the pool's own threads, this doesn't wait.
    pub fn join_until(&self, deadline: Option<Instant>) -> usize {
        self.0.members.stop_starting();
        if self.0.members.is_member() {
            return self.0.live.count();
        }
        let left = self.0.live.wait_for_zero(deadline);
        if left == 0 {
            // Counted out in a destructor: only the very end is left.
            self.join();
        }
        left
    }

    /// Starts a thread for `job`, which is counted already. On failure, may join ended threads and try once more.
    fn start_thread(&self, job: J, when_busy: WhenBusy) -> Result<(), Refused<J>> {
        let started = match members::start(self, job) {
            Err(Refused { job, cause: Some(_) })
                if when_busy != WhenBusy::WaitAlways && self.0.members.join_ended() =>
            {
                members::start(self, job)
            }
            started => started,
        };
        let mut queue = self.0.queue.lock();
        queue.starting -= 1;
        queue.threads -= usize::from(started.is_err());
        drop(queue);
        self.0.start_decided.notify_all();
        started
    }
}

impl<J> fmt::Debug for ThreadPool<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = self.0.queue.lock();
        f.debug_struct("ThreadPool")
            .field("threads", &queue.threads)
            .field("idle", &queue.idle)
            .field("waiting", &queue.jobs.len())
            .finish_non_exhaustive()
    }
}
