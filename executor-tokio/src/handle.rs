//! The handle, which spawns and wakes on a tokio runtime. Leaves the end of the runtime to its owner.

use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use polyexec_core::executor::{HostedTasks, Rejected, Task, context};
use polyexec_core::{Executor, Handle, block_on};
use tokio::runtime::{self, Runtime, RuntimeFlavor};

/// Spawns tasks on a tokio runtime, from any thread.
///
/// Its runtime ends its tasks: when that shuts down, futures are dropped, handles resolve, and new tasks are refused.
///
/// # What dropping does
///
/// Nothing to the runtime or its tasks.
///
/// # Examples
///
/// ```
/// use polyexec_core::Executor;
/// use polyexec_tokio::TokioHandle;
///
/// let runtime = tokio::runtime::Runtime::new().unwrap();
/// let executor = TokioHandle::new(runtime.handle().clone());
/// let task = executor.spawn(async { std::thread::current().name().map(str::to_owned) });
/// assert_eq!(task.join().unwrap().as_deref(), Some("tokio-rt-worker"));
///
/// drop(runtime);
/// assert!(executor.spawn(async {}).join().unwrap_err().is_shutdown());
/// ```
#[derive(Clone)]
pub struct TokioHandle(Arc<Shared>);

struct Shared {
    /// For the context of each task.
    this: Weak<Self>,
    tasks: HostedTasks,
    runtime: runtime::Handle,
    /// The runtime itself, if a `Tokio` owns it. Only the runtime can run tasks on the thread of a `block_on`.
    owned: Mutex<Option<Arc<Runtime>>>,
}

impl TokioHandle {
    /// An executor on the runtime of `handle`.
    ///
    /// The runtime's owner still shuts it down. Handles from different calls count as different executors on one runtime.
    pub fn new(handle: runtime::Handle) -> Self {
        Self::over(handle, None)
    }

    /// An executor on the runtime of the calling code.
    ///
    /// # Panics
    ///
    /// Outside of tokio's runtimes.
    #[track_caller]
    pub fn current() -> Self {
        Self::new(runtime::Handle::current())
    }

    pub(crate) fn owning(runtime: Runtime) -> Self {
        Self::over(runtime.handle().clone(), Some(Arc::new(runtime)))
    }

    fn over(runtime: runtime::Handle, owned: Option<Arc<Runtime>>) -> Self {
        let (tasks, owned) = (HostedTasks::new(), Mutex::new(owned));
        Self(Arc::new_cyclic(|this| Shared { this: this.clone(), tasks, runtime, owned }))
    }

    /// The runtime, for what tokio alone can do.
    pub fn runtime(&self) -> &runtime::Handle {
        &self.0.runtime
    }

    /// Refuses new tasks and ends the idle ones. Returns the runtime on the first call, unless a thread is in its `block_on`.
    pub(crate) fn close(&self) -> Option<Runtime> {
        self.0.tasks.close();
        let owned = self.0.owned.lock().unwrap_or_else(PoisonError::into_inner).take();
        Arc::into_inner(owned?)
    }

    /// Whether the calling code is in this runtime: in a task, in a `block_on`, or in a context that was entered.
    pub(crate) fn is_inside(&self) -> bool {
        runtime::Handle::try_current().is_ok_and(|current| current.id() == self.0.runtime.id())
    }
}

impl Executor for TokioHandle {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        self.0.submit(task)
    }

    fn schedule(&self, task: Task) {
        self.0.schedule(task);
    }

    /// On a current-thread runtime that a [`Tokio`](crate::Tokio) owns, its tasks run on this thread meanwhile. On one that is
    /// not owned, tasks run only while its owner drives it.
    ///
    /// # Panics
    ///
    /// If `future` does. On an owned current-thread runtime also in the `block_on` of another one, as tokio does.
    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        self.0.drive(future);
    }

    fn block_in_place(&self, work: &mut dyn FnMut()) {
        self.0.block_in_place(work);
    }
}

impl Executor for Shared {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        let this = self.this.upgrade().expect("the caller has a reference");
        self.tasks.submit(task, this.into(), |future| drop(self.runtime.spawn(future)))
    }

    fn schedule(&self, task: Task) {
        self.tasks.schedule(task);
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        let this = self.this.upgrade().expect("the caller has a reference");
        let _context = context::enter(Handle::from(this));
        match self.to_run_here() {
            Some(runtime) => {
                let _running = Running::begin();
                runtime.block_on(future);
            }
            None => {
                let _tokio = self.runtime.enter();
                block_on(future);
            }
        }
    }

    /// Hands the worker over to another thread. A current-thread runtime has no other, and just waits.
    fn block_in_place(&self, work: &mut dyn FnMut()) {
        if self.runtime.runtime_flavor() != RuntimeFlavor::MultiThread {
            return work();
        }
        // A `block_on` of another runtime may surround the work. Tokio would move this runtime's worker to a thread of that one.
        let around = runtime::Handle::try_current();
        let _own = self.runtime.enter();
        tokio::task::block_in_place(|| {
            let _around = around.as_ref().map(runtime::Handle::enter);
            work();
        });
    }
}

impl Shared {
    /// The runtime, if its tasks run on the thread of its `block_on`, and tokio allows one here.
    fn to_run_here(&self) -> Option<Arc<Runtime>> {
        if self.runtime.runtime_flavor() != RuntimeFlavor::CurrentThread || Running::is_running() {
            return None;
        }
        self.owned.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

thread_local! {
    /// Calls of `Runtime::block_on` on this thread.
    static RUNNING: Cell<usize> = const { Cell::new(0) };
}

/// A call of `Runtime::block_on` on this thread, which tokio doesn't nest.
struct Running;

impl Running {
    fn begin() -> Self {
        RUNNING.set(RUNNING.get() + 1);
        Self
    }

    /// Whether this thread is in such a call, or in a task of any runtime.
    fn is_running() -> bool {
        RUNNING.get() > 0 || tokio::task::try_id().is_some()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.set(RUNNING.get() - 1);
    }
}

// A task's panic stays with the task.
impl std::panic::UnwindSafe for TokioHandle {}
impl std::panic::RefUnwindSafe for TokioHandle {}

impl fmt::Debug for TokioHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { tasks, runtime, .. } = &*self.0;
        f.debug_struct("TokioHandle").field("runtime", &runtime.id()).field("tasks", tasks).finish()
    }
}
