//! The handle, which spawns and wakes on an async-executor. Leaves its threads to the owner.

use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Weak};

use async_executor::Executor as AsyncExecutor;
use polyexec_core::executor::{HostedTasks, Rejected, Task, context, park_on};
use polyexec_core::{Executor, Handle, block_on};

/// Spawns tasks on an async-executor, from any thread.
///
/// Its executor ends its tasks: when that is dropped, futures are dropped, handles resolve, and new tasks are refused. A handle
/// doesn't keep it alive.
///
/// # What dropping does
///
/// Nothing to the executor or its tasks.
#[derive(Clone)]
pub struct SmolHandle(Arc<Shared>);

struct Shared {
    /// For the context of each task.
    this: Weak<Self>,
    tasks: HostedTasks,
    /// Weak, since the executor refers to this through its tasks.
    executor: Weak<AsyncExecutor<'static>>,
    /// Whether a [`Smol`](crate::Smol) runs the tasks, and `drive` needn't.
    has_threads: bool,
}

/// Calls of `wait` inside each other on one thread. Each is on the stack, and a stack overflow would end the process.
const MAX_NESTED: usize = 64;

impl SmolHandle {
    /// An executor on `executor`, which others run.
    ///
    /// [`block_on`](Executor::block_on) runs its tasks, too.
    pub fn new(executor: &Arc<AsyncExecutor<'static>>) -> Self {
        Self::over(executor, false)
    }

    pub(crate) fn with_threads(executor: &Arc<AsyncExecutor<'static>>) -> Self {
        Self::over(executor, true)
    }

    fn over(executor: &Arc<AsyncExecutor<'static>>, has_threads: bool) -> Self {
        let (tasks, executor) = (HostedTasks::new(), Arc::downgrade(executor));
        Self(Arc::new_cyclic(|this| Shared { this: this.clone(), tasks, executor, has_threads }))
    }

    /// Refuses new tasks, and ends the idle ones.
    pub(crate) fn close(&self) {
        self.0.tasks.close();
    }
}

impl Executor for SmolHandle {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        self.0.submit(task)
    }

    fn schedule(&self, task: Task) {
        self.0.schedule(task);
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        self.0.drive(future);
    }

    fn wait(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        self.0.wait(future);
    }
}

impl Executor for Shared {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        let this = self.this.upgrade().expect("the caller has a reference");
        match self.executor.upgrade() {
            Some(executor) => self.tasks.submit(task, this.into(), |future| executor.spawn(future).detach()),
            None => Err(Rejected::shut_down(task)),
        }
    }

    fn schedule(&self, task: Task) {
        self.tasks.schedule(task);
    }

    /// Also runs the tasks, unless threads of their own do.
    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        let handle = Handle::from(self.this.upgrade().expect("the caller has a reference"));
        if self.has_threads {
            let _context = context::enter(handle);
            block_on(future);
        } else {
            let _context = context::reside(handle);
            self.wait(future);
        }
    }

    /// Runs other tasks inside the waiting one: all threads may be blocked in tasks.
    ///
    /// # Panics
    ///
    /// If 64 tasks wait inside each other already. The handle of the task that called this returns the panic.
    fn wait(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        let Some(executor) = self.executor.upgrade() else { return park_on(future) };
        let _nested = Nested::begin();
        park_on(executor.run(future));
    }
}

thread_local! {
    static NESTED: Cell<usize> = const { Cell::new(0) };
}

/// Counts a call of `wait` while it lasts.
struct Nested;

impl Nested {
    fn begin() -> Self {
        let around = NESTED.get();
        assert!(around < MAX_NESTED, "{MAX_NESTED} tasks of one thread block inside each other: `await` instead");
        NESTED.set(around + 1);
        Self
    }
}

impl Drop for Nested {
    fn drop(&mut self) {
        NESTED.set(NESTED.get() - 1);
    }
}

impl fmt::Debug for SmolHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { tasks, executor, .. } = &*self.0;
        f.debug_struct("SmolHandle").field("tasks", tasks).field("executor", &executor.upgrade()).finish()
    }
}
