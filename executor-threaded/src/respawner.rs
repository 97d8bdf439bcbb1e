//! A thread that retries what the system has refused: a thread for a waiting task. Never runs a task.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{fmt, io};

use parking_lot::Mutex;
use polyexec_core::executor::Parker;

/// The time between two attempts: cheap for the system, and short for a task that waits for a thread.
const INTERVAL: Duration = Duration::from_millis(10);

/// Small, since address space may be as scarce as threads.
const STACK: usize = 256 << 10;

/// Starts threads for waiting tasks once the system has some again.
///
/// Its own thread starts with the executor, before threads are scarce, and sleeps while the pool has its threads.
pub(crate) struct Respawner {
    name: String,
    shared: Arc<Shared>,
    /// `None` before [`start`](Respawner::start), and after [`stop`](Respawner::stop).
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    parker: Parker,
    is_stopped: AtomicBool,
}

impl Respawner {
    /// `threads` is the name of the executor's threads.
    pub(crate) fn new(threads: &str) -> Self {
        let shared = Shared { parker: Parker::new(), is_stopped: AtomicBool::new(false) };
        Self { name: format!("{threads}-respawner"), shared: Arc::new(shared), thread: Mutex::new(None) }
    }

    /// From now on, each [`wake`](Respawner::wake) has `retry` called until that returns `false`.
    ///
    /// # Errors
    ///
    /// The system has no thread.
    pub(crate) fn start(&self, retry: impl Fn() -> bool + Send + 'static) -> io::Result<()> {
        let shared = self.shared.clone();
        let thread = thread::Builder::new().name(self.name.clone()).stack_size(STACK);
        *self.thread.lock() = Some(thread.spawn(move || shared.run(retry))?);
        Ok(())
    }

    /// To be called when the system has refused a thread to a waiting task.
    pub(crate) fn wake(&self) {
        self.shared.parker.unpark();
    }

    /// Joins the thread, which ends at once.
    pub(crate) fn stop(&self) {
        // Relaxed: the parker orders it.
        self.shared.is_stopped.store(true, Relaxed);
        self.shared.parker.unpark();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            // The panic hook has reported a panic, and the executor needs no more threads.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run(&self, retry: impl Fn() -> bool) {
        while !self.is_stopped.load(Relaxed) {
            if retry() {
                self.parker.park_until(Some(Instant::now() + INTERVAL));
            } else {
                self.parker.park();
            }
        }
    }
}

impl fmt::Debug for Respawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Respawner").field("name", &self.name).finish_non_exhaustive()
    }
}
