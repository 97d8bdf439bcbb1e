//! Makes a task and submits it to its executor. Decides which outputs get a box, and what becomes of a refused task.

use super::cell::{JoinRef, Label, NewTask};
use super::large::{BoxesOutput, is_large};
use super::{Task, TaskId};
use crate::error::SpawnError;
#[cfg(feature = "std")]
use crate::observe::{self, Observer, Spawned};
use crate::{Executor, JoinHandle};

/// As [`Task::new`], for a task of this label.
pub(super) fn new<E, F>(future: F, executor: E, label: Label) -> (Task, JoinHandle<F::Output>)
where
    E: Executor,
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    if const { is_large::<F::Output>() } {
        let (task, new) = make(executor, BoxesOutput::new(future), label);
        return (task, JoinHandle::new(new.into_join_ref().into_unboxing()));
    }
    let (task, new) = make(executor, future, label);
    (task, JoinHandle::new(new.into_join_ref()))
}

/// As [`Executor::spawn`], for a task of this label.
pub(crate) fn spawn<E, F>(executor: E, future: F, label: Label) -> JoinHandle<F::Output>
where
    E: Executor,
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    if const { is_large::<F::Output>() } {
        return JoinHandle::new(submit(executor, BoxesOutput::new(future), label).into_unboxing());
    }
    JoinHandle::new(submit(executor, future, label))
}

/// As [`Executor::try_spawn`], for a task of this label.
pub(crate) fn try_spawn<E, F>(executor: E, future: F, label: Label) -> Result<JoinHandle<F::Output>, SpawnError<F>>
where
    E: Executor,
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    if const { is_large::<F::Output>() } {
        return match try_submit(executor, BoxesOutput::new(future), label) {
            Ok(joiner) => Ok(JoinHandle::new(joiner.into_unboxing())),
            Err(error) => Err(error.map(BoxesOutput::into_unpolled)),
        };
    }
    try_submit(executor, future, label).map(JoinHandle::new)
}

fn submit<E, F>(executor: E, future: F, label: Label) -> JoinRef<F::Output>
where
    E: Executor,
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (task, new) = make(executor, future, label);
    if let Err(rejected) = new.executor().submit(task) {
        let (task, cause) = rejected.into_parts();
        task.end(cause.into());
    }
    new.into_join_ref()
}

fn try_submit<E, F>(executor: E, future: F, label: Label) -> Result<JoinRef<F::Output>, SpawnError<F>>
where
    E: Executor,
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (task, new) = make(executor, future, label);
    if let Err(rejected) = new.executor().submit(task) {
        let (task, cause) = rejected.into_parts();
        match new.take_back(&task) {
            Some(future) => return Err(SpawnError::new(future, cause)),
            // Refused, yet polled: its future is pinned and can't come back, so its handle has the reason.
            None => task.end(cause.into()),
        }
    }
    Ok(new.into_join_ref())
}

#[inline(always)]
fn make<E, F>(executor: E, future: F, label: Label) -> (Task, NewTask<F, E>)
where
    E: Executor,
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let id = TaskId::next();
    let label = observed(&executor, id, label);
    NewTask::new(future, executor, label, id)
}

/// Tells the executor's observer of a spawn. The label that is returned has the observer of the task, if there is one.
#[inline(always)]
pub(super) fn observed(executor: &impl Executor, id: TaskId, label: Label) -> Label {
    #[cfg(feature = "std")]
    if let Some(observer) = executor.observer() {
        return observed_by(observer, id, label);
    }
    let _ = (executor, id);
    label
}

#[cfg(feature = "std")]
#[cold]
fn observed_by(observer: &dyn Observer, id: TaskId, label: Label) -> Label {
    let spawned = Spawned { id, name: label.name(), location: label.location() };
    match observe::tell_spawned(observer, &spawned) {
        Some(observer) => label.observed_by(observer),
        None => label,
    }
}
