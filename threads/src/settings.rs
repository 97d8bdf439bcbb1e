//! How a pool's threads are configured. The executors' builders offer these settings under their own names.

use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io, thread};

type Hook = Arc<dyn Fn() + Send + Sync>;

/// Configures the threads of a [`ThreadPool`](crate::ThreadPool).
///
/// # Examples
///
/// ```
/// use polyexec_threads::{Settings, ThreadPool};
///
/// let settings = Settings::new("worker").stack_size(1 << 20).max_threads(4);
/// settings.validate()?;
/// let threads = ThreadPool::new(settings, |jobs| jobs.for_each(|job: u32| println!("{job}")));
/// # threads.close();
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "settings do nothing until `ThreadPool::new`"]
pub struct Settings {
    name: String,
    /// `None`: the default of `std`.
    stack_size: Option<usize>,
    /// `None`: each thread leaves after its first job.
    pub(crate) keep_alive: Option<Duration>,
    pub(crate) max_threads: usize,
    on_start: Option<Hook>,
    on_stop: Option<Hook>,
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
    /// Any number of threads, called `name-0`, `name-1` and so on. An idle thread stays for ten seconds.
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

    /// Names the threads `name-0`, `name-1` and so on.
    pub fn thread_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The stack size of each thread in bytes, raised to [`MIN_STACK`]. The default is that of `std`: `RUST_MIN_STACK`, or else
    /// 2 MiB.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// How long an idle thread stays.
    pub fn keep_alive(mut self, time: Duration) -> Self {
        self.keep_alive = Some(time);
        self
    }

    /// Ends each thread after its first job, instead of reusing it.
    pub fn fresh_threads(mut self) -> Self {
        self.keep_alive = None;
        self
    }

    /// The most threads at a time. [`most_threads`](crate::most_threads) limits all pools of the process together.
    pub fn max_threads(mut self, threads: usize) -> Self {
        self.max_threads = threads;
        self
    }

    /// Calls `hook` on each thread before its first job. A panic in it is contained.
    pub fn on_start(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_start = Some(Arc::new(hook));
        self
    }

    /// Calls `hook` on each thread after its last job, even if the hook of `on_start` panicked. A panic in it is contained.
    pub fn on_stop(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_stop = Some(Arc::new(hook));
        self
    }

    /// The name of the threads, without a number.
    pub fn name(&self) -> &str {
        &self.name
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
