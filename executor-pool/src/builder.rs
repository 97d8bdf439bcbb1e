//! How a [`Pool`] is configured and started.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_utils::CachePadded;
use polyexec_crew::{Crew, Settings};

use crate::Pool;
use crate::shared::{Desk, Shared};
use crate::sleep::Sleep;
use crate::sync::deque::Worker as Queue;
use crate::worker::{Worker, work};

/// Threads that may stand in for workers whose tasks block, unless told otherwise: as many as tokio lets block.
const SPARE_THREADS: usize = 512;

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
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    worker_threads: Option<usize>,
    spare_threads: usize,
    threads: Settings,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self { worker_threads: None, spare_threads: SPARE_THREADS, threads: Settings::new("pool") }
    }

    /// How many workers there are. By default as many as processors that this process may use.
    pub fn worker_threads(mut self, workers: usize) -> Self {
        self.worker_threads = Some(workers);
        self
    }

    /// The most threads, beyond the workers, that stand in for those whose tasks block. By default 512. With all of
    /// them in use, the worker of a task that blocks waits for a thread to be free, the blocked one at the latest.
    pub fn spare_threads(mut self, threads: usize) -> Self {
        self.spare_threads = threads;
        self
    }

    /// Threads are called `name-0`, `name-1` and so on. By default `pool`. Linux shows the first 15 bytes.
    pub fn thread_name(mut self, name: impl Into<String>) -> Self {
        self.threads.name = name.into();
        self
    }

    /// The size of each thread's stack in bytes. By default what `std` gives: 2 MiB, or `RUST_MIN_STACK`.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.threads.stack_size = Some(bytes);
        self
    }

    /// How long a spare thread stays that isn't needed. By default ten seconds. The workers' threads stay.
    pub fn keep_alive(mut self, time: Duration) -> Self {
        self.threads.keep_alive = Some(time);
        self
    }

    /// Calls `hook` on each new thread before its first task. A panic in it is contained.
    pub fn on_thread_start(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.threads.on_start = Some(Arc::new(hook));
        self
    }

    /// Calls `hook` on each thread after its last task. A panic in it is contained.
    pub fn on_thread_stop(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.threads.on_stop = Some(Arc::new(hook));
        self
    }

    /// Starts the pool's threads.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: zero workers, or a thread name with a NUL byte in it. Otherwise what the system says if it has
    /// no thread for each worker; those that had started are gone when this returns.
    pub fn build(mut self) -> io::Result<Pool> {
        let workers = self.worker_threads.unwrap_or_else(num_cpus::get);
        self.threads.max_threads = workers.saturating_add(self.spare_threads);
        if workers == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a pool of zero workers runs nothing"));
        }
        self.threads.validate()?;

        let queues: Vec<_> = (0..workers).map(|_| Queue::new_fifo()).collect();
        let desks = queues.iter().map(|queue| Arc::new(CachePadded::new(Desk::new(queue.stealer())))).collect();
        let sleep = Sleep::new(workers, num_cpus::get());
        let shared = Arc::new(Shared::new(desks, sleep, Crew::new(self.threads, work)));
        // Dropped on the way out, it ends the threads that did start.
        let pool = Pool::own(shared.clone());
        for (index, queue) in queues.into_iter().enumerate() {
            let worker = Worker::new(shared.clone(), index, queue);
            shared.crew.give(worker).map_err(|refused| {
                refused.cause.unwrap_or_else(|| unreachable!("nobody has closed the crew of a new pool"))
            })?;
        }
        Ok(pool)
    }
}
