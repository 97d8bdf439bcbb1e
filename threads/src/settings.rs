//! How a pool's threads are configured. The executors' builders offer these settings under their own names.

use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io, thread};

type Hook = Arc<dyn Fn() + Send + Sync>;

/// Configures the threads of a [`ThreadPool`](crate::ThreadPool).
#[derive(Clone)]
pub struct Settings {
    /// The name of the threads: each adds a dash and its number.
    pub name: String,
    /// The stack size of each thread in bytes, raised to [`MIN_STACK`]. `None` is the default of `std`: `RUST_MIN_STACK`, or
    /// else 2 MiB.
    pub stack_size: Option<usize>,
    /// How long an idle thread stays. `None`: each thread leaves after its first job.
    pub keep_alive: Option<Duration>,
    /// The most threads at a time. [`most_threads`](crate::most_threads) limits all pools of the process together.
    pub max_threads: usize,
    /// Called on each thread before its first job. A panic in it is contained.
    pub on_start: Option<Hook>,
    /// Called on each thread after its last job, even if `on_start` panicked. A panic in it is contained.
    pub on_stop: Option<Hook>,
}

// A hook that panics is called again by the next thread: its author has to expect that.
impl UnwindSafe for Settings {}
impl RefUnwindSafe for Settings {}

/// The smallest stack of a thread. Without optimization, a worker that waits for events and reports a panic uses between
/// 96 and 128 KiB.
pub const MIN_STACK: usize = 256 << 10;

/// How long an idle thread stays by default: as long as tokio's blocking threads.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

impl Settings {
    /// Any number of threads of this name. An idle thread stays for ten seconds.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            stack_size: None,
            keep_alive: Some(KEEP_ALIVE),
            max_threads: usize::MAX,
            on_start: None,
            on_stop: None,
        }
    }

    /// Checks what a pool would only notice when it starts a thread.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: a maximum of zero threads, or a name that contains a NUL byte.
    pub fn validate(&self) -> io::Result<()> {
        if self.max_threads == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a maximum of zero threads runs nothing"));
        }
        if self.name.contains('\0') {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a thread's name can't contain a NUL byte"));
        }
        Ok(())
    }

    pub(crate) fn thread(&self, number: u64) -> thread::Builder {
        let thread = thread::Builder::new().name(format!("{}-{number}", self.name));
        match self.stack_size {
            Some(bytes) => thread.stack_size(bytes.max(MIN_STACK)),
            None => thread,
        }
    }

    pub(crate) fn call_on_start(&self) {
        call(self.on_start.as_ref());
    }

    pub(crate) fn call_on_stop(&self) {
        call(self.on_stop.as_ref());
    }
}

fn call(hook: Option<&Hook>) {
    if let Some(hook) = hook {
        contain(|| hook());
    }
}

/// Calls a user's hook, and contains its panic: the calling thread goes on.
pub fn contain(hook: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(hook)) {
        // The panic hook has reported it. Dropping the payload may panic, and so may dropping that panic's payload, which is
        // leaked.
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(payload)));
        dropped.unwrap_or_else(std::mem::forget);
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("name", &self.name)
            .field("stack_size", &self.stack_size)
            .field("keep_alive", &self.keep_alive)
            .field("max_threads", &self.max_threads)
            .field("on_start", &self.on_start.is_some())
            .field("on_stop", &self.on_stop.is_some())
            .finish()
    }
}
