//! Has an executor try again to start threads for the tasks that wait for one. Sleeps while none waits that might have one,
//! and never runs a task.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{fmt, io};

use parking_lot::Mutex;
use polyexec_core::executor::Parker;

/// Between two attempts. The system is asked for little by it, and a task that waits for a thread waits hardly longer.
const INTERVAL: Duration = Duration::from_millis(10);

/// What it does takes little, and the address space may be scarce, too.
const STACK: usize = 256 << 10;

/// A thread that is there before threads are scarce.
pub(crate) struct Steward {
    name: String,
    post: Arc<Post>,
    /// None before it was started, and after it was stopped.
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Post {
    parker: Parker,
    is_over: AtomicBool,
}

impl Steward {
    /// Not started yet. `crew` is what the threads are called that it starts.
    pub(crate) fn new(crew: &str) -> Self {
        let post = Post { parker: Parker::new(), is_over: AtomicBool::new(false) };
        Self { name: format!("{crew}-steward"), post: Arc::new(post), thread: Mutex::new(None) }
    }

    /// Calls `catch_up` from now on after each [`call`](Steward::call), until that says that no task waits any more.
    ///
    /// # Errors
    ///
    /// The system has no thread.
    pub(crate) fn start(&self, catch_up: impl Fn() -> bool + Send + 'static) -> io::Result<()> {
        let post = self.post.clone();
        let thread = thread::Builder::new().name(self.name.clone()).stack_size(STACK);
        *self.thread.lock() = Some(thread.spawn(move || post.look_after(catch_up))?);
        Ok(())
    }

    /// To be called when a task waits for a thread that the system didn't have.
    pub(crate) fn call(&self) {
        self.post.parker.unpark();
    }

    /// Waits for the end of the thread, which comes at once.
    pub(crate) fn stop(&self) {
        // Relaxed: the parker orders it.
        self.post.is_over.store(true, Relaxed);
        self.post.parker.unpark();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            // A panic of it was reported, and there is nobody to catch up any more.
            let _ = thread.join();
        }
    }
}

impl Post {
    fn look_after(&self, catch_up: impl Fn() -> bool) {
        while !self.is_over.load(Relaxed) {
            if catch_up() {
                self.parker.park_until(Some(Instant::now() + INTERVAL));
            } else {
                self.parker.park();
            }
        }
    }
}

impl fmt::Debug for Steward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Steward").field("name", &self.name).finish_non_exhaustive()
    }
}
