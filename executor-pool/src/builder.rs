//! Configures and starts a [`Pool`].

use std::fmt;
use std::io;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_utils::CachePadded;
#[cfg(doc)]
use polyexec_core::JoinHandle;
use polyexec_core::observe::Observer;
use polyexec_threads::{Settings, ThreadPool, WhenBusy, most_threads};

use crate::hooks::Hooks;
use crate::job::{self, Job};
use crate::policy::SPARE_THREADS;
use crate::remote::Remote;
use crate::shared::Shared;
use crate::sleep::Sleep;
use crate::sync::deque::Worker as Queue;
use crate::worker::Worker;
use crate::{Pool, Stall, WorkerInfo, handoff};

/// Configures a [`Pool`].
///
/// # Examples
///
/// ```
/// use polyexec_pool::Pool;
///
/// let pool = Pool::builder()
///     .worker_threads(2)
///     .thread_name("worker")
///     .on_thread_start(|| println!("{:?} begins", std::thread::current().name()))
///     .build()?;
/// assert_eq!(pool.worker_threads(), 2);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    worker_threads: Option<usize>,
    spare_threads: usize,
    hooks: Hooks,
    threads: Settings,
}

// A hook's panic is contained, and the hook is called again all the same.
impl UnwindSafe for Builder {}
impl RefUnwindSafe for Builder {}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            worker_threads: None,
            spare_threads: SPARE_THREADS,
            hooks: Hooks::default(),
            threads: Settings::new("pool"),
        }
    }

    /// The number of workers. By default one for each processor that this process may use. Zero is an error, and so are more
    /// than the process has room for: 12,286 threads by Linux's defaults.
    pub fn worker_threads(mut self, workers: usize) -> Self {
        self.worker_threads = Some(workers);
        self
    }

    /// The maximum of threads beyond the workers, which take over the workers of tasks that block. By default 512.
    ///
    /// If all are in use, or the system has no more threads, a blocked task's worker waits for a free one: that of the task
    /// at the latest.
    pub fn spare_threads(mut self, threads: usize) -> Self {
        self.spare_threads = threads;
        self
    }

    /// Names the threads `name-0`, `name-1` and so on. By default `pool`. Linux shows the first 15 bytes.
    pub fn thread_name(mut self, name: impl Into<String>) -> Self {
        self.threads = self.threads.thread_name(name);
        self
    }

    /// The size of each thread's stack in bytes; 256 KiB at least. By default that of `std`: 2 MiB, or `RUST_MIN_STACK`.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.threads = self.threads.stack_size(bytes);
        self
    }

    /// How long an idle spare thread stays. By default ten seconds; with zero, it ends at once. The workers' threads
    /// stay.
    pub fn keep_alive(mut self, time: Duration) -> Self {
        self.threads = self.threads.keep_alive(time);
        self
    }

    /// Calls `hook` on each new thread before its first task. A panic in it is contained.
    pub fn on_thread_start(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.threads = self.threads.on_start(hook);
        self
    }

    /// Calls `hook` on each thread after its last task. A panic in it is contained.
    pub fn on_thread_stop(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.threads = self.threads.on_stop(hook);
        self
    }

    /// Calls `hook` on a thread that is about to run a worker: when the pool starts, and when the thread takes over the worker
    /// of a task that blocks. A panic in it is contained.
    ///
    /// So it sets a thread up for its worker: it pins the thread to a processor, say, as `examples/pinned.rs` does. A thread may
    /// run several workers, one after the other; [`on_thread_start`](Builder::on_thread_start) is called once, before that.
    /// The thread of a task that blocks finishes that task as it was set up.
    ///
    /// Keep the hook short, since the worker runs no task meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// use polyexec_pool::Pool;
    ///
    /// let pool = Pool::builder()
    ///     .worker_threads(2)
    ///     .on_worker_start(|worker| println!("worker {} of {}", worker.index(), worker.workers()))
    ///     .build()?;
    /// # drop(pool);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn on_worker_start(mut self, hook: impl Fn(&WorkerInfo) + Send + Sync + 'static) -> Self {
        self.hooks.on_worker_start = Some(Arc::new(hook));
        self
    }

    /// Calls `hook` on an idle worker, each time before it sleeps. A panic in it is contained.
    ///
    /// The hook may spawn and wake tasks: the worker looks for them before it sleeps. Keep it short, since the worker runs no
    /// task meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// use polyexec_pool::Pool;
    /// use std::sync::mpsc;
    ///
    /// let (parks, idle) = mpsc::channel();
    /// let pool = Pool::builder().on_thread_park(move || drop(parks.send(std::thread::current().id()))).build()?;
    /// println!("{:?} is idle", idle.recv().unwrap());
    /// # drop(pool);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn on_thread_park(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.hooks.on_park = Some(Arc::new(hook));
        self
    }

    /// Calls `hook` on a worker after each sleep: once for each call of the hook of
    /// [`on_thread_park`](Builder::on_thread_park). A panic in it is contained.
    ///
    /// Keep it short, since tasks may wait for the worker.
    pub fn on_thread_unpark(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.hooks.on_unpark = Some(Arc::new(hook));
        self
    }

    /// Calls `hook` once for each poll that goes on after five to ten milliseconds: its task computes, or blocks without
    /// announcing it. [`block_in_place`](polyexec_core::block_in_place), [`join`](JoinHandle::join) and
    /// [`block_on`](polyexec_core::block_on) hold up no other task, and aren't reported.
    ///
    /// The hook runs on a thread of the pool that isn't a worker, once one is free, and may block. A panic in it is contained.
    /// With a hook, each poll costs some 30 ns more.
    ///
    /// # Examples
    ///
    /// ```
    /// use polyexec_pool::Pool;
    /// use std::{sync::mpsc, thread, time::Duration};
    ///
    /// let (reports, stalls) = mpsc::channel();
    /// let pool = Pool::builder()
    ///     .on_stall(move |stall| {
    ///         let report = format!("{} takes {:?}", stall.task(), stall.duration());
    ///         reports.send(report).unwrap();
    ///     })
    ///     .build()?;
    /// pool.spawn(async { thread::sleep(Duration::from_millis(100)) });
    /// println!("{}", stalls.recv().unwrap());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn on_stall(mut self, hook: impl Fn(&Stall) + Send + Sync + 'static) -> Self {
        self.hooks.on_stall = Some(Arc::new(hook));
        self
    }

    /// Shows `observer` every task and every worker. The module [`observe`](polyexec_core::observe) says what it sees.
    ///
    /// Called again, it replaces the observer: combine several in a `Vec` or a pair.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.hooks.observer = Some(Arc::new(observer));
        self
    }

    /// Starts the pool's threads, and the monitor's, which all pools of a process share.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: zero workers, more than this process has room for, or a thread name with a NUL byte. Otherwise the
    /// system's error, if it has no thread for each worker and the monitor; threads that did start are gone when this
    /// returns.
    pub fn build(self) -> io::Result<Pool> {
        let workers = self.worker_threads.unwrap_or_else(num_cpus::get);
        if workers == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a pool needs at least one worker"));
        }
        if workers > most_threads() {
            let why = format!(
                "{workers} workers are more than the {} threads that this process has room for",
                most_threads()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        self.threads.validate()?;

        let queues: Vec<_> = (0..workers).map(|_| Queue::new_fifo()).collect();
        let remotes = queues.iter().map(|queue| Arc::new(CachePadded::new(Remote::new(queue.stealer(), 0)))).collect();
        let sleep = Sleep::new(workers, num_cpus::get());
        let settings = self.threads.max_threads(workers.saturating_add(self.spare_threads));
        let threads = ThreadPool::new(settings, job::run_all);
        let shared = Arc::new(Shared::new(remotes, sleep, threads, self.hooks));
        // Dropped by an error below, it ends the threads that did start.
        let pool = Pool::own(shared.clone());
        for (index, queue) in queues.into_iter().enumerate() {
            let worker: Box<dyn Job> = Box::new(Worker::new(shared.clone(), index, queue));
            // With `Refuse` a job never waits.
            let _accepted = shared.threads.submit(worker, WhenBusy::Refuse).map_err(|refused| {
                refused.into_parts().1.unwrap_or_else(|| unreachable!("the threads of a new pool aren't closed"))
            })?;
        }
        handoff::watch(shared)?;
        Ok(pool)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("worker_threads", &self.worker_threads)
            .field("spare_threads", &self.spare_threads)
            .field("on_stall", &self.hooks.on_stall.is_some())
            .field("on_worker_start", &self.hooks.on_worker_start.is_some())
            .field("observer", &self.hooks.observer.is_some())
            .field("on_thread_park", &self.hooks.on_park.is_some())
            .field("on_thread_unpark", &self.hooks.on_unpark.is_some())
            .field("threads", &self.threads)
            .finish()
    }
}
