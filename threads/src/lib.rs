//! Threads that take jobs, are reused, and are joined. Knows nothing of tasks: what a job is, its executor says.
//!
//! # Examples
//!
//! ```
//! use polyexec_threads::{Crew, Settings};
//! use std::sync::mpsc;
//!
//! let (sender, results) = mpsc::channel();
//! let crew = Crew::new(Settings::new("squares"), move |jobs| {
//!     for n in jobs {
//!         sender.send(n * n).unwrap();
//!     }
//! });
//! crew.give(7).unwrap();
//! assert_eq!(results.recv(), Ok(49));
//! crew.close();
//! crew.join();
//! ```

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::thread::{self, ThreadId};
use std::time::Instant;
use std::{fmt, io};

use parking_lot::{Condvar, Mutex, MutexGuard};

pub use given::{Given, Refused};
pub use jobs::Jobs;
use presence::{Presence, Present};
use queue::{OnJob, Queue};
use room::Place;
pub use room::most_threads;
pub use settings::{MIN_STACK, Settings, contain};

mod given;
mod jobs;
mod presence;
mod queue;
mod room;
mod settings;

/// Threads that each take one job after another from a common queue.
///
/// A job goes to a thread that has none, or else to a new thread. A thread that has had none for a while
/// [leaves](Settings::keep_alive).
///
/// # What dropping does
///
/// Nothing to the threads: see [`close`](Crew::close) and [`join`](Crew::join).
pub struct Crew<J>(Arc<Shared<J>>);

// No code of anybody's runs under its lock.
impl<J> UnwindSafe for Crew<J> {}
impl<J> RefUnwindSafe for Crew<J> {}

thread_local! {
    /// The number of the crew that this thread is of. Without a destructor, so that it is there to the thread's end.
    static MEMBER_OF: Cell<u64> = const { Cell::new(0) };
    /// Whether this thread has left its crew, and somebody may join it. Without a destructor, too.
    static HAS_LEFT: Cell<bool> = const { Cell::new(false) };
}

struct Shared<J> {
    /// No other crew's, ever.
    number: u64,
    settings: Settings,
    body: Box<dyn Fn(Jobs<J>) + Send + Sync>,
    queue: Mutex<Queue<J>>,
    changed: Condvar,
    /// Called when a thread was started, or not.
    decided: Condvar,
    /// Locked while a thread is started, so that it is in here when it leaves.
    members: Mutex<Members>,
    /// Threads that have left, and wait for those that left before. Not in `members`: that is locked for long at a time.
    waiting: AtomicUsize,
    /// All threads that there are.
    presence: Arc<Presence>,
}

/// Threads that wait for each other on their way out, one behind the other. Where threads start faster than that, more
/// of them would be on their way out all the time, until there is no room for the next: Linux has some 30,000 by default.
const MOST_WAITING: usize = 4096;

#[derive(Default)]
struct Members {
    joinable: HashMap<ThreadId, thread::JoinHandle<()>>,
    /// Threads that have left. Each one that leaves joins one that has ended, and waits for the last one: so the memory of
    /// its stack is there for the next. Unless many wait already: then they end as fast as they can.
    left: Vec<thread::JoinHandle<()>>,
    /// Threads that were started, ever: their names are numbered.
    started: u64,
    /// Somebody waits for the last of them, so no more are started.
    joined: bool,
}

impl<J: Send + 'static> Crew<J> {
    /// A crew without threads. Each thread calls `body` once, and ends when that returns, which it should do when there
    /// are no more `Jobs`.
    pub fn new(settings: Settings, body: impl Fn(Jobs<J>) + Send + Sync + 'static) -> Self {
        /// Zero is no crew's.
        static CREWS: AtomicU64 = AtomicU64::new(1);
        let queue = Queue { jobs: VecDeque::new(), idle: 0, threads: 0, starting: 0, closed: false };
        Self(Arc::new(Shared {
            // Relaxed: only that each number is given once matters.
            number: CREWS.fetch_add(1, Relaxed),
            settings,
            body: Box::new(body),
            queue: Mutex::new(queue),
            changed: Condvar::new(),
            decided: Condvar::new(),
            members: Mutex::default(),
            waiting: AtomicUsize::new(0),
            presence: Arc::default(),
        }))
    }

    /// Gives `job` to a thread that has none, or to a new one.
    ///
    /// # Errors
    ///
    /// The crew is closed, it has as many threads as it may, or the system has no thread for it. The job comes back. While
    /// it is to be seen whether the last thread that there may be is to be had, this waits for that.
    pub fn give(&self, job: J) -> Result<(), Refused<J>> {
        let mut queue = self.0.queue.lock();
        loop {
            match queue.welcome(&self.0.settings) {
                OnJob::Queue => {
                    self.put(queue, job);
                    return Ok(());
                }
                OnJob::StartThread => {
                    drop(queue);
                    return self.start_thread(job, Self::join_ended);
                }
                // Unless in a destructor of the thread's locals: whoever starts one may wait for this one to end.
                OnJob::Undecided if !HAS_LEFT.get() => self.0.decided.wait(&mut queue),
                OnJob::Undecided | OnJob::Busy => {
                    let busy = format!("all {} threads are busy", queue.threads);
                    return Err(Refused { job, cause: Some(io::Error::new(io::ErrorKind::WouldBlock, busy)) });
                }
                OnJob::Closed => return Err(Refused { job, cause: None }),
            }
        }
    }

    /// Gives `job` to a thread that has none, or to a new one, or if there is neither, to the first that is free, or that
    /// [is to be had](Crew::catch_up). Waits for nobody: what a thread does at its very end may wait for the caller.
    ///
    /// # Errors
    ///
    /// The crew is closed. The job comes back.
    pub fn queue(&self, job: J) -> Result<(), Refused<J>> {
        let mut queue = self.0.queue.lock();
        let job = match queue.welcome(&self.0.settings) {
            OnJob::StartThread => {
                drop(queue);
                let Err(refused) = self.start_thread(job, |_| false) else { return Ok(()) };
                queue = self.0.queue.lock();
                refused.job
            }
            OnJob::Queue | OnJob::Undecided | OnJob::Busy | OnJob::Closed => job,
        };
        if queue.closed {
            return Err(Refused { job, cause: None });
        }
        self.put(queue, job);
        Ok(())
    }

    /// Gives `job` to a thread that has none, or to a new one, or if there is neither, to the first that is free; jobs that
    /// wait are taken in the order in which they came. Unlike [`queue`](Crew::queue), this takes a job only if there is a
    /// thread at all.
    ///
    /// # Errors
    ///
    /// The crew is closed, or it has no thread, and the system has none for it. The job comes back. While it is to be seen
    /// whether the only threads are to be had, this waits for that.
    pub fn give_or_queue(&self, job: J) -> Result<Given, Refused<J>> {
        let mut queue = self.0.queue.lock();
        loop {
            match queue.welcome(&self.0.settings) {
                OnJob::StartThread if queue.jobs.len() > queue.idle => {
                    // Others wait, and come first.
                    queue.jobs.push_back(job);
                    let first = queue.jobs.pop_front().expect("just pushed");
                    return Ok(self.start_for_first(queue, first, Self::join_ended));
                }
                OnJob::StartThread => {
                    drop(queue);
                    return match self.start_thread(job, Self::join_ended) {
                        Ok(()) => Ok(Given::Taken),
                        Err(Refused { job, cause: Some(cause) }) => self.queue_if_manned(job, cause),
                        Err(closed) => Err(closed),
                    };
                }
                OnJob::Queue => {
                    self.put(queue, job);
                    return Ok(Given::Taken);
                }
                // Should those that are being started not be had, then whoever starts them is told that the crew is behind.
                OnJob::Undecided | OnJob::Busy if queue.is_manned() => {
                    self.put(queue, job);
                    return Ok(Given::Taken);
                }
                // As in `give`.
                OnJob::Undecided | OnJob::Busy if !HAS_LEFT.get() => self.0.decided.wait(&mut queue),
                OnJob::Undecided | OnJob::Busy => {
                    let cause = io::Error::new(io::ErrorKind::WouldBlock, "it is to be seen whether there are threads");
                    return Err(Refused { job, cause: Some(cause) });
                }
                OnJob::Closed => return Err(Refused { job, cause: None }),
            }
        }
    }

    /// Queues a job for which the system has no thread, because of `cause`, if there is one that will come to it.
    fn queue_if_manned(&self, job: J, cause: io::Error) -> Result<Given, Refused<J>> {
        let mut queue = self.0.queue.lock();
        loop {
            if queue.closed {
                return Err(Refused { job, cause: None });
            }
            if queue.is_manned() {
                self.put(queue, job);
                return Ok(Given::Behind);
            }
            // Others may have one; as in `give`.
            if queue.starting == 0 || HAS_LEFT.get() {
                return Err(Refused { job, cause: Some(cause) });
            }
            self.0.decided.wait(&mut queue);
        }
    }

    /// Starts a thread, which is counted already, for the first job that waits. Puts it back if there is none to be had.
    fn start_for_first(&self, queue: MutexGuard<'_, Queue<J>>, first: J, make_room: fn(&Self) -> bool) -> Given {
        drop(queue);
        let Err(Refused { job, .. }) = self.start_thread(first, make_room) else { return Given::Taken };
        let mut queue = self.0.queue.lock();
        if queue.closed {
            drop(queue);
            // As `close` would have.
            drop(job);
            return Given::Taken;
        }
        // Others have come later.
        queue.jobs.push_front(job);
        drop(queue);
        self.0.changed.notify_one();
        Given::Behind
    }

    /// Puts a job in the common queue.
    fn put(&self, mut queue: MutexGuard<'_, Queue<J>>, job: J) {
        queue.jobs.push_back(job);
        drop(queue);
        self.0.changed.notify_one();
    }

    /// Takes no more jobs, and drops those that wait for a thread: there may be none, and somebody may wait for what they
    /// hold. Threads leave when they have finished theirs; they are not waited for.
    pub fn close(&self) {
        let waiting = {
            let mut queue = self.0.queue.lock();
            queue.closed = true;
            std::mem::take(&mut queue.jobs)
        };
        self.0.changed.notify_all();
        drop(waiting);
    }

    /// Whether a job [waits](Crew::queue) for a thread that may yet be had.
    pub fn is_behind(&self) -> bool {
        self.0.queue.lock().is_behind(&self.0.settings)
    }

    /// Starts a thread for a job that [waits](Crew::queue) for one, if there is one to be had by now. Whether others wait, or
    /// still the same. Waits for nobody, as there.
    pub fn catch_up(&self) -> bool {
        let mut queue = self.0.queue.lock();
        if !queue.is_behind(&self.0.settings) {
            return false;
        }
        if queue.threads < self.0.settings.max_threads
            && let Some(job) = queue.jobs.pop_front()
        {
            queue.count_in();
            let _ = self.start_for_first(queue, job, |_| false);
            queue = self.0.queue.lock();
        }
        queue.is_behind(&self.0.settings)
    }

    /// Waits until every thread of a [closed](Crew::close) crew has ended. One of the threads itself waits for none, to
    /// its very end.
    pub fn join(&self) {
        let (joinable, left) = {
            let mut members = self.0.members.lock();
            members.joined = true;
            (std::mem::take(&mut members.joinable), std::mem::take(&mut members.left))
        };
        if MEMBER_OF.get() == self.0.number {
            return;
        }
        for thread in joinable.into_values().chain(left) {
            // Panics of the body end its thread, and were reported by the panic hook.
            let _ = thread.join();
        }
    }

    /// As [`join`](Crew::join), but waits until `deadline` at the latest; for ever without one. How many threads there are
    /// still: each ends by itself when it has finished its job.
    ///
    /// One of the threads itself doesn't wait.
    pub fn join_until(&self, deadline: Option<Instant>) -> usize {
        // From now on there are no new ones.
        self.0.members.lock().joined = true;
        if MEMBER_OF.get() == self.0.number {
            return self.0.presence.threads();
        }
        let left = self.0.presence.none_until(deadline);
        if left == 0 {
            // They are at their very end.
            self.join();
        }
        left
    }

    /// Starts a thread whose first job is `job`, and which is counted already. If there is none to be had, tries once more
    /// if that makes room.
    fn start_thread(&self, job: J, make_room: fn(&Self) -> bool) -> Result<(), Refused<J>> {
        let started = match self.try_start_thread(job) {
            Err(Refused { job, cause: Some(_) }) if make_room(self) => self.try_start_thread(job),
            started => started,
        };
        let mut queue = self.0.queue.lock();
        queue.starting -= 1;
        queue.threads -= usize::from(started.is_err());
        drop(queue);
        self.0.decided.notify_all();
        started
    }

    /// Joins threads that have ended: until then the system keeps the memory of their stacks, and has none for the next
    /// perhaps. Whether there were any.
    fn join_ended(&self) -> bool {
        // Called in a destructor of the thread's locals: those that have ended may be about to join this one.
        if HAS_LEFT.get() {
            return false;
        }
        let ended: Vec<_> = self.0.members.lock().left.extract_if(.., |thread| thread.is_finished()).collect();
        let were_any = !ended.is_empty();
        for thread in ended {
            let _ = thread.join();
        }
        were_any
    }

    fn try_start_thread(&self, job: J) -> Result<(), Refused<J>> {
        let mut members = self.0.members.lock();
        if members.joined {
            return Err(Refused { job, cause: None });
        }
        let place = match Place::take() {
            Ok(place) => place,
            Err(cause) => return Err(Refused { job, cause: Some(cause) }),
        };
        // Where the job is left if there is no thread to take it.
        let job = Arc::new(Mutex::new(Some(job)));
        let thread = {
            let (crew, job, present) = (Self(self.0.clone()), job.clone(), self.0.presence.add(place));
            self.0.settings.thread(members.started).spawn(move || crew.be_a_member(job, present))
        };
        match thread {
            Ok(thread) => {
                members.started += 1;
                members.joinable.insert(thread.thread().id(), thread);
                Ok(())
            }
            Err(cause) => {
                let job = job.lock().take().expect("no thread took it");
                Err(Refused { job, cause: Some(cause) })
            }
        }
    }

    /// What each thread does.
    fn be_a_member(self, first: Arc<Mutex<Option<J>>>, present: Present) {
        present.stay();
        MEMBER_OF.set(self.0.number);
        let first = first.lock().take();
        self.0.settings.started();
        (self.0.body)(Jobs { crew: Self(self.0.clone()), first });
        self.0.settings.stopped();
        HAS_LEFT.set(true);
        // Two for each that leaves, so that what many have left behind is joined in the end. In an array: the first thing
        // that a thread allocates is dear.
        let before = {
            let mut members = self.0.members.lock();
            // Relaxed, here and below: it is changed by those who have left, and more or less is not of importance.
            let may_wait = self.0.waiting.fetch_add(1, Relaxed) < MOST_WAITING;
            let last = if may_wait { members.left.pop() } else { None };
            let ended = members.left.iter().position(|thread| thread.is_finished());
            let ended = ended.map(|ended| members.left.swap_remove(ended));
            // Gone if somebody joins them all.
            let me = members.joinable.remove(&thread::current().id());
            members.left.extend(me);
            [last, ended]
        };
        for thread in before.into_iter().flatten() {
            let _ = thread.join();
        }
        self.0.waiting.fetch_sub(1, Relaxed);
    }
}

impl<J> fmt::Debug for Crew<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = self.0.queue.lock();
        f.debug_struct("Crew")
            .field("threads", &queue.threads)
            .field("idle", &queue.idle)
            .field("waiting", &queue.jobs.len())
            .finish_non_exhaustive()
    }
}
