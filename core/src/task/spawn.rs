//! Makes a task and submits it to its executor. Decides which outputs get a box, and what becomes of a refused task.

use super::Task;
use super::cell::NewTask;
use super::label::Label;
use super::large::{BoxesOutput, is_large};
use crate::error::SpawnError;
use crate::{Executor, JoinHandle};

/// As [`Task::new`], for a task of this label.
pub(super) fn new<E, F, L>(future: F, executor: E, label: L) -> (Task, JoinHandle<F::Output>)
where
    E: Executor,
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    L: Label,
{
    if const { is_large::<F::Output>() } {
        let (task, new) = NewTask::new(BoxesOutput::new(future), executor, label);
        return (task, JoinHandle::new(new.into_unboxing_join_ref()));
    }
    let (task, new) = NewTask::new(future, executor, label);
    (task, JoinHandle::new(new.into_join_ref()))
}

/// As [`Executor::spawn`], for a task of this label.
pub(crate) fn spawn<E, F, L>(executor: E, future: F, label: L) -> JoinHandle<F::Output>
where
    E: Executor,
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    L: Label,
{
    if const { is_large::<F::Output>() } {
        return JoinHandle::new(submit(executor, BoxesOutput::new(future), label).into_unboxing_join_ref());
    }
    JoinHandle::new(submit(executor, future, label).into_join_ref())
}

/// As [`Executor::try_spawn`], for a task of this label.
pub(crate) fn try_spawn<E, F, L>(executor: E, future: F, label: L) -> Result<JoinHandle<F::Output>, SpawnError<F>>
where
    E: Executor,
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    L: Label,
{
    if const { is_large::<F::Output>() } {
        return match try_submit(executor, BoxesOutput::new(future), label) {
            Ok(new) => Ok(JoinHandle::new(new.into_unboxing_join_ref())),
            Err(error) => Err(error.map(BoxesOutput::into_unpolled)),
        };
    }
    try_submit(executor, future, label).map(|new| JoinHandle::new(new.into_join_ref()))
}

fn submit<E, F, L>(executor: E, future: F, label: L) -> NewTask<F, E, L>
where
    E: Executor,
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    L: Label,
{
    let (task, new) = NewTask::new(future, executor, label);
    if let Err(rejected) = new.executor().submit(task) {
        let (task, cause) = rejected.into_parts();
        task.end(cause.into());
    }
    new
}

fn try_submit<E, F, L>(executor: E, future: F, label: L) -> Result<NewTask<F, E, L>, SpawnError<F>>
where
    E: Executor,
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    L: Label,
{
    let (task, new) = NewTask::new(future, executor, label);
    if let Err(rejected) = new.executor().submit(task) {
        let (task, cause) = rejected.into_parts();
        match new.take_back(&task) {
            Some(future) => return Err(SpawnError::new(future, cause)),
            // Refused, yet polled: its future is pinned and can't come back, so its handle has the reason.
            None => task.end(cause.into()),
        }
    }
    Ok(new)
}
