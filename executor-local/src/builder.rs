//! Configures a [`Local`].

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

use polyexec_core::observe::Observer;

use crate::on_ready::OnReady;
use crate::{Local, LocalHandle};

/// Configures a [`Local`].
///
/// # Examples
///
/// ```
/// use polyexec_local::Local;
/// use std::sync::mpsc;
///
/// // The channel stands for the events of a loop of another kind.
/// let (events, queue) = mpsc::channel();
/// let local = Local::builder().on_ready(move || drop(events.send("tasks"))).build();
/// let task = local.spawn(async { 42 });
/// while !task.is_finished() {
///     match queue.recv().unwrap() {
///         "tasks" => local.run_until_stalled(),
///         other => println!("{other}"),
///     }
/// }
/// ```
#[derive(Default)]
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    on_ready: OnReady,
    observer: Option<Arc<dyn Observer>>,
}

// A panic of the hook or the observer is contained, and both are called again all the same.
impl UnwindSafe for Builder {}
impl RefUnwindSafe for Builder {}

impl Builder {
    /// Calls `hook` once when a task becomes ready while no call runs the tasks. For a loop that isn't an executor's, such as a
    /// GUI's or a game's: it calls [`run_until_stalled`](Local::run_until_stalled) only when there is something to run.
    ///
    /// A task becomes ready when it is spawned, and when it is woken: by another task or thread, by a timer, by a socket. After
    /// the hook was called, it isn't called again until a call has run the tasks. If that returns while some are ready, as
    /// [`block_on`](Local::block_on) may, the hook is called then. While a [`run_until`](Local::run_until) is pending it isn't
    /// called, since that wakes its own executor.
    ///
    /// The hook runs on the thread that made the task ready, or on the owner thread, with no lock held. It should only tell the
    /// loop: running tasks in it would run them inside a `spawn` or a `wake`. A panic in it is contained.
    pub fn on_ready(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_ready = OnReady::new(Box::new(hook));
        self
    }

    /// Shows `observer` every task, and when the thread parks. The module [`observe`](polyexec_core::observe) says what it sees.
    ///
    /// Called again, it replaces the observer: combine several in a `Vec` or a pair.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Makes the executor. The calling thread owns it.
    pub fn build(self) -> Local {
        Local::with(LocalHandle::new(self.on_ready, self.observer))
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("on_ready", &self.on_ready).field("observer", &self.observer.is_some()).finish()
    }
}
