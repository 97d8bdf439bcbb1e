//! What a crew's threads are like. The executors' builders offer these under their own names.

use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io, thread};

type Hook = Arc<dyn Fn() + Send + Sync>;

/// What a [`Crew`](crate::Crew)'s threads are like.
#[derive(Clone)]
pub struct Settings {
    /// Threads are called this, a dash, and their number.
    pub name: String,
    /// The size of each thread's stack in bytes; [`MIN_STACK`] if that is less. `None`: what `std` gives, which is 2 MiB unless
    /// `RUST_MIN_STACK` says otherwise.
    pub stack_size: Option<usize>,
    /// How long a thread stays that has nothing to do. `None`: it leaves after its first job.
    pub keep_alive: Option<Duration>,
    /// The most threads at a time. There are never more than the process has [room](crate::most_threads) for.
    pub max_threads: usize,
    /// Called on each thread before anything else. A panic in it is contained.
    pub on_start: Option<Hook>,
    /// Called on each thread after everything else, whether or not `on_start` panicked. A panic in it is contained.
    pub on_stop: Option<Hook>,
}

// A hook's panic is contained, and the next thread calls it all the same.
impl UnwindSafe for Settings {}
impl RefUnwindSafe for Settings {}

/// The smallest stack that a thread gets. Without optimization, a worker that waits for events and reports a panic takes
/// between 96 and 128 KiB.
pub const MIN_STACK: usize = 256 << 10;

/// How long a thread stays that has nothing to do, unless told otherwise: as long as tokio's blocking threads.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

impl Settings {
    /// Any number of threads of this name, each of which stays ten seconds when it has nothing to do.
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

    /// Whether a crew can do with these, before it has to start a thread.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: at most zero threads, or a name with a NUL byte in it.
    pub fn validate(&self) -> io::Result<()> {
        if self.max_threads == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "at most zero threads run nothing"));
        }
        if self.name.contains('\0') {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a thread's name can't have a NUL byte in it"));
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

    pub(crate) fn started(&self) {
        call(self.on_start.as_ref());
    }

    pub(crate) fn stopped(&self) {
        call(self.on_stop.as_ref());
    }
}

fn call(hook: Option<&Hook>) {
    if let Some(hook) = hook {
        contain(|| hook());
    }
}

/// Calls a hook of somebody's on a thread that is to live on, whether or not the hook panics.
pub fn contain(hook: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(hook)) {
        // The panic hook has reported it; nobody else wants it. Its drop may panic, and so may the drop of that panic's
        // payload: that one is leaked.
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
