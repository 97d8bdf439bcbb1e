//! Runs an executor's tasks inside another runtime, as futures of that. Leaves threads, queues and their order to the runtime.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::Handle;
use crate::executor::{OwnedTasks, Ran, Rejected, Task, context};
use crate::sync::{Mutex, MutexGuard};

/// The tasks of an executor that runs them on a runtime of another project: each becomes one of its futures.
///
/// For adapters. The executor gives each new task to [`submit`](HostedTasks::submit), which makes a [`HostedTask`] of it, a
/// future to spawn on the runtime. A wake of the task wakes that future, so the runtime decides when and where the task runs.
/// Clones share one list of tasks.
///
/// # What dropping does
///
/// Nothing: the runtime has the tasks. [`close`](HostedTasks::close) ends them.
///
/// # Examples
///
/// An executor on a "runtime" of one thread, which polls its futures one after another. `examples/futures_pool.rs` adapts a
/// real one.
///
/// ```
/// use std::pin::Pin;
/// use std::sync::mpsc::{Sender, channel};
///
/// use polyexec_core::executor::{Executor, HostedTask, HostedTasks, Rejected, Task, context};
/// use polyexec_core::{Handle, block_on};
///
/// #[derive(Clone)]
/// struct OnMyRuntime {
///     tasks: HostedTasks,
///     runtime: Sender<HostedTask>,
/// }
///
/// impl Executor for OnMyRuntime {
///     fn submit(&self, task: Task) -> Result<(), Rejected> {
///         let spawn = |future| drop(self.runtime.send(future));
///         self.tasks.submit(task, Handle::new(self.clone()), spawn)
///     }
///
///     fn schedule(&self, task: Task) {
///         self.tasks.schedule(task);
///     }
///
///     fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
///         let _context = context::enter(Handle::new(self.clone()));
///         block_on(future);
///     }
/// }
///
/// let (runtime, futures) = channel();
/// std::thread::spawn(move || futures.into_iter().for_each(block_on));
///
/// let executor = OnMyRuntime { tasks: HostedTasks::new(), runtime };
/// let task = executor.spawn(async { 6 * 7 });
/// assert_eq!(executor.block_on(task).unwrap(), 42);
/// executor.tasks.close();
/// ```
#[derive(Clone, Default)]
pub struct HostedTasks(Arc<OwnedTasks<Arc<Slot>>>);

/// One task as a future for another runtime. Made by [`HostedTasks::submit`].
///
/// Each poll runs the task once, in the executor's context, and is ready when the task has ended. It never panics.
///
/// # What dropping does
///
/// Dropped before its end, it ends the task, and [closes](HostedTasks::close) the executor's tasks: a runtime drops its futures
/// when it shuts down.
#[must_use = "dropping it closes all tasks: spawn it on the runtime"]
pub struct HostedTask {
    tasks: HostedTasks,
    slot: Arc<Slot>,
    executor: Handle,
    is_over: bool,
}

/// Where a task and its future find each other: the task waits here to be run, or the future's waker for the task.
#[derive(Default)]
struct Slot(Mutex<State>);

#[derive(Default)]
struct State {
    /// Ready to run.
    task: Option<Task>,
    /// Present while the future waits for the task.
    waker: Option<Waker>,
    /// No task comes any more.
    closed: bool,
}

impl HostedTasks {
    /// No tasks, and open.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a new task to the runtime: calls `spawn` with its future. `executor` is the executor in the task's context.
    ///
    /// For the executor's [`submit`](crate::Executor::submit). `spawn` must not poll the future. If the runtime has shut down,
    /// `spawn` drops it.
    ///
    /// # Errors
    ///
    /// The tasks were closed, or `spawn` has dropped the future: returns the task.
    pub fn submit(&self, task: Task, executor: Handle, spawn: impl FnOnce(HostedTask)) -> Result<(), Rejected> {
        let task = self.0.admit(task)?;
        let slot = Arc::new(Slot(Mutex::new(State { task: Some(task), ..State::default() })));
        spawn(HostedTask { tasks: self.clone(), slot: slot.clone(), executor, is_over: false });
        // Without the future, the slot is this call's. A task that is still in it was never run.
        match Arc::into_inner(slot).and_then(|slot| slot.lock().task.take()) {
            Some(task) => Err(Rejected::shut_down(task)),
            None => Ok(()),
        }
    }

    /// Gives a woken task back to its future, and wakes that. For the executor's [`schedule`](crate::Executor::schedule).
    pub fn schedule(&self, task: Task) {
        match self.0.data(&task) {
            Some(slot) => slot.put(task),
            // The tasks were closed, and this one has ended.
            None => drop(task),
        }
    }

    /// Ends the idle tasks here and now, and the others when the runtime polls or drops their futures. Refuses new ones.
    ///
    /// See [`OwnedTasks::close`].
    pub fn close(&self) {
        self.0.close_with(|slot| slot.close());
    }

    /// Whether they were closed, or the runtime has shut down with a task of theirs.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

impl Future for HostedTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(task) = self.slot.take() {
            let ran = {
                let _context = context::reside(self.executor.clone());
                self.tasks.0.run_with(task, || self.slot.clone())
            };
            match ran {
                Ran::Waiting => {}
                Ran::Again(task) => {
                    self.slot.put(task);
                    // Behind the futures that wait, as each runtime does with one that wakes itself.
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Ran::Finished => {
                    self.is_over = true;
                    return Poll::Ready(());
                }
            }
        }
        let next = self.slot.wait(cx.waker());
        self.is_over = next.is_ready();
        next
    }
}

impl Drop for HostedTask {
    fn drop(&mut self) {
        if !self.is_over && !self.tasks.is_closed() {
            self.tasks.close();
        }
    }
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Task> {
        self.lock().task.take()
    }

    /// Takes a task that is ready, and wakes its future if that waits for it.
    fn put(&self, task: Task) {
        let mut state = self.lock();
        let (before, waker) = (state.task.replace(task), state.waker.take());
        drop(state);
        debug_assert!(before.is_none(), "a task is woken once");
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Registers the future's waker for the next task. Ready if none comes any more.
    fn wait(&self, waker: &Waker) -> Poll<()> {
        // The waker is the runtime's code: not under the lock.
        let mine = waker.clone();
        let mut state = self.lock();
        if state.closed {
            return Poll::Ready(());
        }
        if state.task.is_some() {
            drop(state);
            mine.wake();
            return Poll::Pending;
        }
        let before = state.waker.replace(mine);
        drop(state);
        drop(before);
        Poll::Pending
    }

    /// Drops the task in it, which ends that, and wakes the future for its end.
    fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let (task, waker) = (state.task.take(), state.waker.take());
        drop(state);
        drop(task);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl fmt::Debug for HostedTasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HostedTasks").field(&self.0).finish()
    }
}

impl fmt::Debug for HostedTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostedTask").field("is_over", &self.is_over).finish_non_exhaustive()
    }
}
