//! Configures a [`Threaded`]. Starts no thread but the respawner's.

use std::fmt;
use std::io;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::Duration;

use polyexec_core::observe::Observer;
use polyexec_threads::Settings;

use crate::Threaded;
use crate::respawner::Respawner;

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
#[derive(Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    threads: Settings,
    /// Tasks wait for a busy thread instead of being refused.
    queues: bool,
    observer: Option<Arc<dyn Observer>>,
}

// An observer's panic is contained, and the observer is called again all the same.
impl UnwindSafe for Builder {}
impl RefUnwindSafe for Builder {}

impl Builder {
    pub(crate) fn new() -> Self {
        Self { threads: Settings::new("threaded"), queues: false, observer: None }
    }

    pub(crate) fn settings(self) -> Settings {
        self.threads
    }

    /// Names the threads `name-0`, `name-1` and so on. The default is `threaded`. Linux shows the first 15 bytes.
    pub fn thread_name(mut self, name: impl Into<String>) -> Self {
        self.threads = self.threads.thread_name(name);
        self
    }

    /// The stack size of each thread in bytes. The default is that of `std`: `RUST_MIN_STACK`, or else 2 MiB.
    ///
    /// Values below 256 KiB are raised to that. If the system can't provide such a stack, tasks are refused.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.threads = self.threads.stack_size(bytes);
        self
    }

    /// How long an idle thread stays. The default is ten seconds; with zero, it leaves at once.
    pub fn keep_alive(mut self, time: Duration) -> Self {
        self.threads = self.threads.keep_alive(time);
        self
    }

    /// Starts a new thread for each task, and ends it with the task, instead of reusing threads.
    pub fn fresh_threads(mut self) -> Self {
        self.threads = self.threads.fresh_threads();
        self
    }

    /// The most threads at a time, and so the most tasks. One more task is refused, or [waits](Builder::queue_when_full).
    ///
    /// Zero is an error. The default is no limit. A thread is free a moment after its task's handle has resolved.
    ///
    /// All executors of a process share one further limit, which keeps it from running out of memory maps: then the process
    /// would end. A thread takes four maps on Linux, and threads may take three quarters of all maps. With the default of
    /// `vm.max_map_count` that is 12,286 threads.
    pub fn max_threads(mut self, threads: usize) -> Self {
        self.threads = self.threads.max_threads(threads);
        self
    }

    /// Lets a task wait for a thread instead of refusing it.
    ///
    /// A task waits if the executor has as many threads as it [may](Builder::max_threads), or as the system has. Waiting tasks
    /// begin in the order of their spawns. A task is still refused if the executor has no thread at all, and the system has
    /// none for it.
    ///
    /// Use this for work that ends by itself, whatever other tasks do. **Tasks that wait for each other may deadlock**: some
    /// have the threads, and wait for a task that has none.
    ///
    /// Any number of tasks may wait. An abort takes effect when the task's turn comes: the task is dropped instead of run. A
    /// shutdown drops all waiting tasks at once. With [`fresh_threads`](Builder::fresh_threads), a task that has waited takes
    /// over the thread of the task before it.
    ///
    /// The executor then has one more thread, the respawner, which mostly sleeps. It starts threads once the system has some
    /// again: so a task that was refused a thread doesn't depend on the end of other tasks.
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
        self.threads = self.threads.on_start(hook);
        self
    }

    /// Calls `hook` on each thread after its last task. A panic in it is contained.
    pub fn on_thread_stop(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.threads = self.threads.on_stop(hook);
        self
    }

    /// Shows `observer` every task and every thread. The module [`observe`](polyexec_core::observe) says what it sees.
    ///
    /// Called again, it replaces the observer: combine several in a `Vec` or a pair.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Makes the executor. Its threads start when tasks need them.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: a maximum of zero threads, or a thread name that contains a NUL byte. With
    /// [`queue_when_full`](Builder::queue_when_full), also the system's error if it has no thread for the respawner.
    pub fn build(self) -> io::Result<Threaded> {
        self.validate()?;
        let respawner = self.queues.then(|| Respawner::new(self.threads.name()));
        Threaded::with(self.threads, respawner, self.observer)
    }

    pub(crate) fn validate(&self) -> io::Result<()> {
        self.threads.validate()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("threads", &self.threads)
            .field("queues", &self.queues)
            .field("observer", &self.observer.is_some())
            .finish()
    }
}
