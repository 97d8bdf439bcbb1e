//! How a [`Threaded`] is configured.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use polyexec_threads::Settings;

use crate::Threaded;
use crate::steward::Steward;

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
pub struct Builder {
    threads: Settings,
    /// Whether tasks wait for a thread.
    queues: bool,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self { threads: Settings::new("threaded"), queues: false }
    }

    pub(crate) fn settings(self) -> Settings {
        self.threads
    }

    /// Threads are called `name-0`, `name-1` and so on. By default `threaded`. Linux shows the first 15 bytes.
    pub fn thread_name(mut self, name: impl Into<String>) -> Self {
        self.threads.name = name.into();
        self
    }

    /// The size of each thread's stack in bytes. By default what `std` gives: 2 MiB, or `RUST_MIN_STACK`. Less
    /// than 256 KiB is taken for that; of a size that the system doesn't have, there is no thread, and tasks are refused.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.threads.stack_size = Some(bytes);
        self
    }

    /// How long a thread stays that has no task. By default ten seconds; with zero, it leaves at once.
    pub fn keep_alive(mut self, time: Duration) -> Self {
        self.threads.keep_alive = Some(time);
        self
    }

    /// Starts a new thread for each task, and ends it with the task, instead of using threads again.
    pub fn fresh_threads(mut self) -> Self {
        self.threads.keep_alive = None;
        self
    }

    /// The most threads at a time, and so the most tasks; one more is refused, or [waits](Builder::queue_when_full). Zero is an
    /// error. A thread is free a moment after its task's handle has resolved.
    ///
    /// By default there are as many as the system has, and never more than the process has room for, whatever is said here. All
    /// executors of a process share that room. On Linux each thread takes four memory maps, and three quarters of the
    /// maps are for threads: 12,286 threads, unless `vm.max_map_count` is larger than its default. With more of them,
    /// the process would end.
    pub fn max_threads(mut self, threads: usize) -> Self {
        self.threads.max_threads = threads;
        self
    }

    /// Has a task wait for a thread where there is none for it, instead of refusing it: there are
    /// [as many as may be](Builder::max_threads), or as the system has. Tasks that wait begin in the order in which they
    /// came. Only if there is no thread at all, and none is to be had, is a task refused.
    ///
    /// This is right for work that ends by itself, whatever becomes of the other tasks. **Tasks that wait for each other may
    /// wait for ever**: those that have the threads, for one that has none.
    ///
    /// There is no limit to how many tasks wait. An abort of one that waits is in force when its turn has come, where
    /// it is dropped instead of run; a shutdown drops all that wait at once. With
    /// [`fresh_threads`](Builder::fresh_threads), a task that has waited takes the thread of the one before it.
    ///
    /// The executor has one more thread then, which sleeps, and starts threads once the system has some again: so a task
    /// for which there was none doesn't depend on the end of those that have one.
    ///
    /// # Examples
    ///
    /// ```
    /// use polyexec_threaded::Threaded;
    ///
    /// let threaded = Threaded::builder().max_threads(2).queue_when_full().build()?;
    /// let lengths: Vec<_> = (0..100).map(|n| threaded.spawn(async move { n.to_string().len() })).collect();
    /// assert_eq!(lengths.into_iter().map(|length| length.join().unwrap()).sum::<usize>(), 190);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn queue_when_full(mut self) -> Self {
        self.queues = true;
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

    /// The executor. Its threads are started when there are tasks for them.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: at most zero threads, or a thread name with a NUL byte in it. With
    /// [`queue_when_full`](Builder::queue_when_full) the system's reason, too, if it has no thread.
    pub fn build(self) -> io::Result<Threaded> {
        self.validate()?;
        let steward = self.queues.then(|| Steward::new(&self.threads.name));
        Threaded::with(self.threads, steward)
    }

    pub(crate) fn validate(&self) -> io::Result<()> {
        self.threads.validate()
    }
}
