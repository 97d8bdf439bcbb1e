//! Which executor runs on this thread. Set once a thread or a `block_on`, never once a poll.

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use crate::error::{Rejected, SpawnError};
use crate::{Executor, JoinHandle, Task, task};

/// Any executor, its type forgotten: what [`Handle::current`] gives to code that doesn't care which one it runs on.
///
/// # What dropping does
///
/// Nothing to the executor, which belongs to its owner.
///
/// # Examples
///
/// ```
/// use polyexec_core::{Executor, Handle};
///
/// async fn both() {
///     if let Some(executor) = Handle::current() {
///         let other = executor.spawn(async { /* … */ });
///         other.await.unwrap();
///     }
/// }
/// ```
#[derive(Clone)]
pub struct Handle(Arc<dyn Executor>);

impl Handle {
    /// Forgets the type of `executor`.
    pub fn new(executor: impl Executor) -> Self {
        Self(Arc::new(executor))
    }

    /// The executor whose task, or whose `block_on`, runs on this thread now. `None` outside of them, and while the
    /// thread's locals are being destroyed.
    pub fn current() -> Option<Self> {
        read(|context| context.current.clone())
    }
}

impl<E: Executor> From<Arc<E>> for Handle {
    fn from(executor: Arc<E>) -> Self {
        Self(executor)
    }
}

impl Executor for Handle {
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

    fn block_in_place(&self, work: &mut dyn FnMut()) {
        self.0.block_in_place(work);
    }
}

impl futures_task::Spawn for Handle {
    fn spawn_obj(&self, future: futures_task::FutureObj<'static, ()>) -> Result<(), futures_task::SpawnError> {
        spawn_obj(self, future)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

/// How every executor implements [`futures_task::Spawn`]: spawned and detached.
///
/// # Errors
///
/// Whatever the reason, `futures_task` knows one error only: that the executor has shut down.
pub fn spawn_obj<E: Executor + Clone>(
    executor: &E,
    future: futures_task::FutureObj<'static, ()>,
) -> Result<(), futures_task::SpawnError> {
    executor.try_spawn(future).map(drop).map_err(|_| futures_task::SpawnError::shutdown())
}

/// Spawns `future` on the executor that runs on this thread.
///
/// Outside of any executor there is nobody to run it: the handle resolves as rejected. (The facade crate `polyexec` has
/// a function of this name that starts a default executor instead.)
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    task::Builder::new().spawn(future)
}

/// As [`spawn`], but gives the future back if no executor takes it.
///
/// # Errors
///
/// The executor's reason for not taking the task, or that there is no executor; and the future.
#[track_caller]
pub fn try_spawn<F>(future: F) -> Result<JoinHandle<F::Output>, SpawnError<F>>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    task::Builder::new().try_spawn_on(&here(), future)
}

/// Makes `executor` the one that [`spawn`] and [`Handle::current`] find on this thread, until the guard is dropped.
///
/// For those who write an executor: its `drive` calls this on threads that aren't its own.
pub fn enter(executor: Handle) -> Entered {
    Entered::swap(|before| Context { current: Some(executor), resident: before.resident.clone() })
}

/// As [`enter`], for a thread that runs the executor's tasks: [`block_on`](crate::block_on), and with it
/// [`JoinHandle::join`], come to the executor's [`wait`](Executor::wait) here, so that it knows when a task blocks.
pub fn reside(executor: Handle) -> Entered {
    Entered::swap(|_| Context { current: Some(executor.clone()), resident: Some(executor) })
}

/// Undoes [`enter`] or [`reside`] when it is dropped. Guards are dropped in the reverse order of their making.
#[must_use = "dropping this leaves the executor's context"]
#[derive(Debug)]
pub struct Entered {
    before: Context,
    /// It belongs to its thread.
    not_send: PhantomData<*const ()>,
}

impl Entered {
    fn swap(next: impl FnOnce(&Context) -> Context) -> Self {
        let before = CONTEXT
            .try_with(|context| {
                let mut context = context.borrow_mut();
                let next = next(&context);
                std::mem::replace(&mut *context, next)
            })
            .unwrap_or_default();
        Self { before, not_send: PhantomData }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let before = std::mem::take(&mut self.before);
        // The last handle of an executor may be dropped here, with code of its own: after the borrow, not under it.
        let left = CONTEXT.try_with(|context| context.replace(before));
        drop(left);
    }
}

/// What a thread knows of executors. Empty while its locals are being destroyed.
#[derive(Debug, Default)]
struct Context {
    /// Whose task, or whose `block_on`, runs here now.
    current: Option<Handle>,
    /// Whose tasks this thread runs.
    resident: Option<Handle>,
}

thread_local! {
    static CONTEXT: RefCell<Context> = const { RefCell::new(Context { current: None, resident: None }) };
}

/// The executor whose tasks this thread runs.
pub(crate) fn resident() -> Option<Handle> {
    read(|context| context.resident.clone())
}

/// The executor that runs on this thread, or one that refuses everything.
pub(crate) fn here() -> Handle {
    Handle::current().unwrap_or_else(|| Handle::new(Nowhere))
}

fn read(get: impl FnOnce(&Context) -> Option<Handle>) -> Option<Handle> {
    CONTEXT.try_with(|context| get(&context.borrow())).ok().flatten()
}

/// The executor of a thread that has none.
struct Nowhere;

impl Executor for Nowhere {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        Err(Rejected::unable(task, "no executor runs on this thread"))
    }

    fn schedule(&self, task: Task) {
        drop(task);
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        crate::park_on(future);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_nest_and_end() {
        assert!(Handle::current().is_none());
        let outer = reside(Handle::new(Nowhere));
        {
            let _inner = enter(Handle::new(Nowhere));
            assert!(Handle::current().is_some() && resident().is_some());
        }
        assert!(Handle::current().is_some());
        drop(outer);
        assert!(Handle::current().is_none() && resident().is_none());
    }

    #[test]
    fn without_an_executor_a_spawn_resolves_as_rejected() {
        let error = crate::block_on(spawn(async {})).unwrap_err();
        assert!(error.is_rejected() && !error.is_shutdown());
        assert!(error.to_string().contains("no executor runs on this thread"), "{error}");
        assert!(error.location().file().ends_with("context.rs"));
    }
}
