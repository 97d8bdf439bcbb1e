//! Makes a task and submits it. Nothing is decided here but what becomes of a task that was refused.

use super::cell::Fresh;
use super::label::Label;
use crate::error::SpawnError;
use crate::{Executor, JoinHandle};

/// As [`Executor::spawn`], for a task of this label.
pub(crate) fn spawn<E, F, L>(executor: E, future: F, label: L) -> JoinHandle<F::Output>
where
    E: Executor,
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    L: Label,
{
    let (task, fresh) = Fresh::new(future, executor, label);
    if let Err(rejected) = fresh.executor().submit(task) {
        let (task, cause) = rejected.into_parts();
        task.end(cause.into());
    }
    JoinHandle::new(fresh.into_joiner())
}

/// As [`Executor::try_spawn`], for a task of this label.
pub(crate) fn try_spawn<E, F, L>(executor: E, future: F, label: L) -> Result<JoinHandle<F::Output>, SpawnError<F>>
where
    E: Executor,
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    L: Label,
{
    let (task, fresh) = Fresh::new(future, executor, label);
    if let Err(rejected) = fresh.executor().submit(task) {
        let (task, cause) = rejected.into_parts();
        match fresh.take_back(&task) {
            Some(future) => return Err(SpawnError::new(future, cause)),
            // Refused, yet polled: its future is pinned and can't come back, so its handle tells.
            None => task.end(cause.into()),
        }
    }
    Ok(JoinHandle::new(fresh.into_joiner()))
}
