//! Threads that take jobs, are reused, and are joined. Knows nothing of tasks: what a job is, its executor says.
//!
//! # Examples
//!
//! ```
//! use polyexec_crew::{Crew, Settings};
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

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::{fmt, io};

use parking_lot::{Condvar, Mutex};

pub use settings::Settings;

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

struct Shared<J> {
    settings: Settings,
    body: Box<dyn Fn(Jobs<J>) + Send + Sync>,
    queue: Mutex<Queue<J>>,
    changed: Condvar,
    /// Locked while a thread is started, so that it is in here when it leaves.
    members: Mutex<Members>,
}

struct Queue<J> {
    /// Jobs that no thread has taken, each with its ticket.
    jobs: VecDeque<(u64, J)>,
    next_ticket: u64,
    /// Threads that wait for a job.
    idle: usize,
    /// Threads that have not decided to leave.
    threads: usize,
    closed: bool,
}

#[derive(Default)]
struct Members {
    joinable: HashMap<ThreadId, thread::JoinHandle<()>>,
    /// The thread that left last. The next one to leave joins it, so that at most one is about to end unjoined.
    left: Option<thread::JoinHandle<()>>,
    /// Threads that were started, ever: their names are numbered.
    started: u64,
    /// Somebody waits for the last of them, so no more are started.
    joined: bool,
}

/// A job that wasn't taken.
pub struct Refused<J> {
    /// The job.
    pub job: J,
    /// Why no thread could be had for it. `None` if the crew was closed.
    pub cause: Option<io::Error>,
}

impl<J: Send + 'static> Crew<J> {
    /// A crew without threads. Each thread calls `body` once, and ends when that returns, which it should do when there
    /// are no more `Jobs`.
    pub fn new(settings: Settings, body: impl Fn(Jobs<J>) + Send + Sync + 'static) -> Self {
        let queue = Queue { jobs: VecDeque::new(), next_ticket: 0, idle: 0, threads: 0, closed: false };
        Self(Arc::new(Shared {
            settings,
            body: Box::new(body),
            queue: Mutex::new(queue),
            changed: Condvar::new(),
            members: Mutex::default(),
        }))
    }

    /// Gives `job` to a thread that has none, or to a new one.
    ///
    /// # Errors
    ///
    /// The crew is closed, it has as many threads as it may, or the system has no thread for it. The job comes back.
    pub fn give(&self, job: J) -> Result<(), Refused<J>> {
        let mut queue = self.0.queue.lock();
        if queue.closed {
            return Err(Refused { job, cause: None });
        }
        if queue.idle > queue.jobs.len() {
            queue.push(job);
            drop(queue);
            self.0.changed.notify_one();
            return Ok(());
        }
        let most = self.0.settings.max_threads;
        if queue.threads >= most {
            let busy = io::Error::new(io::ErrorKind::WouldBlock, format!("all {most} threads are busy"));
            return Err(Refused { job, cause: Some(busy) });
        }
        queue.threads += 1;
        let ticket = queue.push(job);
        drop(queue);
        self.start_thread()
            .or_else(|cause| self.0.queue.lock().take_back(ticket).map_or(Ok(()), |job| Err(Refused { job, cause })))
    }

    /// Takes no more jobs. Threads leave when they have finished theirs; they are not waited for.
    pub fn close(&self) {
        self.0.queue.lock().closed = true;
        self.0.changed.notify_all();
    }

    /// Waits until every thread of a [closed](Crew::close) crew has ended. One of the threads itself waits for none.
    pub fn join(&self) {
        let (joinable, left) = {
            let mut members = self.0.members.lock();
            members.joined = true;
            (std::mem::take(&mut members.joinable), members.left.take())
        };
        if joinable.contains_key(&thread::current().id()) {
            return;
        }
        for thread in joinable.into_values().chain(left) {
            // Panics of the body end its thread, and were reported by the panic hook.
            let _ = thread.join();
        }
    }

    /// `None` as the error says that the crew is closed.
    fn start_thread(&self) -> Result<(), Option<io::Error>> {
        let mut members = self.0.members.lock();
        if members.joined {
            return Err(None);
        }
        let crew = Self(self.0.clone());
        let thread = self.0.settings.thread(members.started).spawn(move || crew.be_a_member()).map_err(Some)?;
        members.started += 1;
        members.joinable.insert(thread.thread().id(), thread);
        Ok(())
    }

    /// What each thread does.
    fn be_a_member(self) {
        self.0.settings.started();
        (self.0.body)(Jobs { crew: Self(self.0.clone()), taken: false });
        self.0.settings.stopped();
        let before = {
            let mut members = self.0.members.lock();
            let me = members.joinable.remove(&thread::current().id());
            me.and_then(|me| members.left.replace(me))
        };
        if let Some(before) = before {
            let _ = before.join();
        }
    }
}

impl<J> Queue<J> {
    fn push(&mut self, job: J) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.jobs.push_back((ticket, job));
        ticket
    }

    /// After no thread could be started for a job. `None` if another thread has taken it meanwhile.
    fn take_back(&mut self, ticket: u64) -> Option<J> {
        self.threads -= 1;
        let place = self.jobs.iter().position(|(taken, _)| *taken == ticket)?;
        self.jobs.remove(place).map(|(_, job)| job)
    }

    fn leave(&mut self) -> Option<J> {
        self.threads -= 1;
        None
    }
}

/// The jobs that come to one thread; ends when the thread should leave.
pub struct Jobs<J> {
    crew: Crew<J>,
    /// Whether this thread has had a job.
    taken: bool,
}

impl<J> Iterator for Jobs<J> {
    type Item = J;

    /// Waits for a job.
    fn next(&mut self) -> Option<J> {
        let Shared { settings, queue, changed, .. } = &*self.crew.0;
        let mut queue = queue.lock();
        let keep_alive = match settings.keep_alive {
            None if self.taken => return queue.leave(),
            None => None,
            Some(keep_alive) => Some(keep_alive),
        };
        loop {
            if let Some((_, job)) = queue.jobs.pop_front() {
                self.taken = true;
                return Some(job);
            }
            if queue.closed {
                return queue.leave();
            }
            queue.idle += 1;
            let timed_out = match keep_alive {
                Some(keep_alive) => changed.wait_for(&mut queue, keep_alive).timed_out(),
                None => {
                    changed.wait(&mut queue);
                    false
                }
            };
            queue.idle -= 1;
            if timed_out && queue.jobs.is_empty() {
                return queue.leave();
            }
        }
    }
}

impl<J> fmt::Debug for Refused<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused").field("cause", &self.cause).finish_non_exhaustive()
    }
}

impl<J> fmt::Debug for Crew<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = self.0.queue.lock();
        f.debug_struct("Crew").field("threads", &queue.threads).field("idle", &queue.idle).finish_non_exhaustive()
    }
}

impl<J> fmt::Debug for Jobs<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs").field("crew", &self.crew).finish()
    }
}
