//! The executor under test: how to start it, and what a property can do with it.

use std::any::Any;
use std::cell::RefCell;
use std::io;
use std::process::Command;
use std::sync::Arc;

use polyexec_core::Executor;

/// An executor under test.
pub struct Subject {
    start: Box<dyn Fn() -> Fixture + Send + Sync>,
    start_with: Option<Box<dyn Fn(ThreadOptions) -> io::Result<Fixture> + Send + Sync>>,
    relaunch: Box<dyn Fn() -> Command + Send + Sync>,
    local: bool,
}

/// Options for the threads of an executor.
pub struct ThreadOptions {
    /// The prefix of every thread's name. At most 15 bytes, so that Linux doesn't truncate it.
    pub name: String,
    /// The stack size in bytes.
    pub stack_size: usize,
    /// Called on each new thread before anything else.
    pub on_start: Arc<dyn Fn() + Send + Sync>,
    /// Called on each ending thread after everything else.
    pub on_stop: Arc<dyn Fn() + Send + Sync>,
}

impl Subject {
    /// An executor that `start` starts. `relaunch` returns a command that runs the same property of the same subject in a
    /// process of its own.
    pub fn new(
        start: impl Fn() -> Fixture + Send + Sync + 'static,
        relaunch: impl Fn() -> Command + Send + Sync + 'static,
    ) -> Self {
        Self { start: Box::new(start), start_with: None, relaunch: Box::new(relaunch), local: false }
    }

    /// Like `new`, for an executor that runs its tasks on the thread that started it, and whose owner isn't `Send`. `start` calls
    /// [`Fixture::new_local`].
    pub fn new_local(
        start: impl Fn() -> Fixture + Send + Sync + 'static,
        relaunch: impl Fn() -> Command + Send + Sync + 'static,
    ) -> Self {
        Self { local: true, ..Self::new(start, relaunch) }
    }

    /// Also configures the executor's threads.
    pub fn with_threads(
        mut self,
        start: impl Fn(ThreadOptions) -> io::Result<Fixture> + Send + Sync + 'static,
    ) -> Self {
        self.start_with = Some(Box::new(start));
        self
    }

    /// A new executor.
    pub fn start(&self) -> Fixture {
        (self.start)()
    }

    /// A new executor with these threads. `None` if it has no threads.
    pub fn start_with(&self, options: ThreadOptions) -> Option<io::Result<Fixture>> {
        self.start_with.as_ref().map(|start| start(options))
    }

    /// Whether tasks run only on the thread that started the executor, and so may be local.
    pub(crate) fn is_local(&self) -> bool {
        self.local
    }

    pub(crate) fn relaunch(&self) -> Command {
        (self.relaunch)()
    }
}

/// A running executor.
///
/// # What dropping does
///
/// Drops the owner, which shuts the executor down.
pub struct Fixture {
    handle: Arc<dyn Executor>,
    owner: Owner,
}

enum Owner {
    Anywhere(Box<dyn Any + Send>),
    Here(Box<dyn Any>),
}

thread_local! {
    /// An owner that a task of its executor will drop, on this thread.
    static LEFT_HERE: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
}

impl Fixture {
    /// Dropping `owner` shuts the executor down. `handle` runs tasks on it.
    pub fn new(owner: impl Any + Send, handle: impl Executor) -> Self {
        Self { handle: Arc::new(handle), owner: Owner::Anywhere(Box::new(owner)) }
    }

    /// Like `new`, for an owner that isn't `Send`, whose executor runs its tasks on this thread.
    pub fn new_local(owner: impl Any, handle: impl Executor) -> Self {
        Self { handle: Arc::new(handle), owner: Owner::Here(Box::new(owner)) }
    }

    /// A handle of the executor, which outlives the fixture.
    pub fn handle(&self) -> Arc<dyn Executor> {
        self.handle.clone()
    }

    /// Polls `future` on this thread until it is ready, while the executor's tasks progress. A single-threaded executor makes
    /// progress only here.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.handle.block_on(future)
    }

    /// Shuts the executor down. Returns a handle that outlives it.
    pub fn shut_down(self) -> Arc<dyn Executor> {
        drop(self.owner);
        self.handle
    }

    /// Splits off a function that drops the owner, which one of the executor's own tasks may call. An owner that isn't `Send`
    /// stays on this thread, where that task runs, too.
    pub fn into_shut_down(self) -> (Arc<dyn Executor>, impl FnOnce() + Send + 'static) {
        let sent = match self.owner {
            Owner::Anywhere(owner) => Some(owner),
            Owner::Here(owner) => {
                let before = LEFT_HERE.replace(Some(owner));
                assert!(before.is_none(), "two owners wait on one thread");
                None
            }
        };
        let shut_down = move || match sent {
            Some(owner) => drop(owner),
            None => drop(LEFT_HERE.take().expect("a local executor runs its tasks on its owner's thread")),
        };
        (self.handle, shut_down)
    }
}
