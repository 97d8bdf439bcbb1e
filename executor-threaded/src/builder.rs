//! How a [`Threaded`] is configured.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use polyexec_crew::Settings;

use crate::Threaded;

/// Configures a [`Threaded`].
///
/// # Examples
///
/// ```
/// use polyexec_threaded::Threaded;
///
/// let threaded = Threaded::builder().thread_name("job").max_threads(64).build()?;
/// threaded.spawn(async { /* … */ }).join().unwrap();
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct Builder(Settings);

impl Builder {
    pub(crate) fn new() -> Self {
        Self(Settings::new("threaded"))
    }

    pub(crate) fn settings(self) -> Settings {
        self.0
    }

    /// Threads are called `name-0`, `name-1` and so on. By default `threaded`. Linux shows the first 15 bytes.
    pub fn thread_name(mut self, name: impl Into<String>) -> Self {
        self.0.name = name.into();
        self
    }

    /// The size of each thread's stack in bytes. By default what `std` gives: 2 MiB, or `RUST_MIN_STACK`.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.0.stack_size = Some(bytes);
        self
    }

    /// How long a thread stays that has no task. By default ten seconds.
    pub fn keep_alive(mut self, time: Duration) -> Self {
        self.0.keep_alive = Some(time);
        self
    }

    /// Starts a new thread for each task, and ends it with the task, instead of using threads again.
    pub fn fresh_threads(mut self) -> Self {
        self.0.keep_alive = None;
        self
    }

    /// The most threads at a time, and so the most tasks; one more is refused. By default there is no limit but the
    /// system's. A thread is free a moment after its task's handle has resolved.
    pub fn max_threads(mut self, threads: usize) -> Self {
        self.0.max_threads = threads;
        self
    }

    /// Calls `hook` on each new thread before its first task. A panic in it is contained.
    pub fn on_thread_start(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.0.on_start = Some(Arc::new(hook));
        self
    }

    /// Calls `hook` on each thread after its last task. A panic in it is contained.
    pub fn on_thread_stop(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.0.on_stop = Some(Arc::new(hook));
        self
    }

    /// The executor. Its threads are started when there are tasks for them.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: at most zero threads, or a thread name with a NUL byte in it.
    pub fn build(self) -> io::Result<Threaded> {
        self.0.validate()?;
        Ok(Threaded::with(self.0))
    }
}
