//! Which executor runs on this thread. Set once a thread or a `block_on`, never once a poll.

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use crate::error::{Rejected, SpawnError};
use crate::sync::thread_local;
use crate::{Clock, Executor, JoinHandle, Task, task};

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
        with(|frames| frames.last().map(|frame| frame.executor.clone())).flatten()
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

    fn clock(&self) -> Option<Arc<dyn Clock>> {
        self.0.clock()
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
    Entered::push(executor, false)
}

/// As [`enter`], for a thread that runs the executor's tasks: [`block_on`](crate::block_on), and with it
/// [`JoinHandle::join`], come to the executor's [`wait`](Executor::wait) here, so that it knows when a task blocks.
pub fn reside(executor: Handle) -> Entered {
    Entered::push(executor, true)
}

/// Runs `work` as if the executor that [resides](reside) on this thread didn't.
///
/// For an executor that runs its tasks on its caller's thread and is about to block that: the caller may be a task of
/// another executor, which is to know. [`block_on`](crate::block_on) and [`block_in_place`](crate::block_in_place) in
/// `work` tell it.
///
/// # Panics
///
/// If `work` does.
pub fn outside<T>(work: impl FnOnce(&mut Outside) -> T) -> T {
    let inside = with(|frames| {
        let first = frames.iter().rposition(|frame| frame.resides);
        first.map(|first| frames.split_off(first))
    });
    work(&mut Outside { inside: inside.flatten().unwrap_or_default() })
}

/// This thread's contexts from the last resident one on, put aside by [`outside`].
#[derive(Debug)]
pub struct Outside {
    inside: Vec<Frame>,
}

impl Outside {
    /// Runs `work`, which is a task's, where that task is: back inside.
    ///
    /// # Panics
    ///
    /// If `work` does.
    pub fn inside<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let _inside = Inside::begin(self);
        work()
    }

    fn put_back(&mut self) {
        with(|frames| frames.append(&mut self.inside));
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.put_back();
    }
}

/// Puts the contexts aside again when it is dropped.
struct Inside<'a> {
    outside: &'a mut Outside,
    /// How many contexts there are outside.
    below: usize,
}

impl<'a> Inside<'a> {
    fn begin(outside: &'a mut Outside) -> Self {
        let below = with(|frames| frames.len()).unwrap_or_default();
        outside.put_back();
        Self { outside, below }
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.outside.inside = with(|frames| frames.split_off(self.below)).unwrap_or_default();
    }
}

/// Undoes [`enter`] or [`reside`] when it is dropped. Guards are dropped in the reverse order of their making.
#[must_use = "dropping this leaves the executor's context"]
#[derive(Debug)]
pub struct Entered {
    /// It belongs to its thread.
    not_send: PhantomData<*const ()>,
}

impl Entered {
    fn push(executor: Handle, resides: bool) -> Self {
        let frame = Frame { clock: executor.clock(), executor, resides };
        // While the thread's locals are being destroyed the frame is dropped here, and nothing is found.
        with(|frames| frames.push(frame));
        Self { not_send: PhantomData }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        // The last handle of an executor may be dropped here, with code of its own: after the borrow, not under it.
        let left = with(Vec::pop);
        drop(left);
    }
}

/// An executor that this thread is in.
struct Frame {
    executor: Handle,
    /// The executor's own, asked for once.
    clock: Option<Arc<dyn Clock>>,
    /// Whether the thread runs the executor's tasks, rather than drive a future of somebody's.
    resides: bool,
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame").field("resides", &self.resides).finish_non_exhaustive()
    }
}

thread_local! {
    /// What this thread is in, the innermost last.
    static FRAMES: RefCell<Vec<Frame>> = const { RefCell::new(Vec::new()) };
}

/// `None` while the thread's locals are being destroyed.
fn with<T>(act: impl FnOnce(&mut Vec<Frame>) -> T) -> Option<T> {
    FRAMES.try_with(|frames| act(&mut frames.borrow_mut())).ok()
}

/// The clock of the executor that [`Handle::current`] finds.
pub(crate) fn clock() -> Option<Arc<dyn Clock>> {
    with(|frames| frames.last().and_then(|frame| frame.clock.clone())).flatten()
}

/// The executor whose tasks this thread runs.
pub(crate) fn resident() -> Option<Handle> {
    let resident = |frames: &mut Vec<Frame>| {
        let frame = frames.iter().rfind(|frame| frame.resides)?;
        Some(frame.executor.clone())
    };
    with(resident).flatten()
}

/// The executor that runs on this thread, or one that refuses everything.
pub(crate) fn here() -> Handle {
    Handle::current().unwrap_or_else(|| Handle::new(Nowhere))
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

#[cfg(all(test, not(polyexec_loom)))]
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
        outside(|outside| {
            assert!(Handle::current().is_none() && resident().is_none());
            outside.inside(|| assert!(Handle::current().is_some() && resident().is_some()));
            assert!(Handle::current().is_none() && resident().is_none());
        });
        assert!(Handle::current().is_some() && resident().is_some());
        drop(outer);
        assert!(Handle::current().is_none() && resident().is_none());
    }

    #[test]
    fn without_an_executor_a_spawn_resolves_as_rejected() {
        let error = crate::block_on(spawn(async {})).unwrap_err();
        assert!(error.is_rejected() && !error.is_shutdown());
        assert!(format!("{error:?}").contains("no executor runs on this thread"), "{error:?}");
        assert!(error.location().file().ends_with("context.rs"));
    }
}
