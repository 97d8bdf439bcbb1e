//! Makes a task and submits it. Nothing is decided here but what becomes of a task that was refused.

use alloc::sync::Arc;

use super::Task;
use super::cell::Cell;
use super::label::Label;
use crate::error::SpawnError;
use crate::{Executor, JoinHandle};

/// As [`Executor::spawn`], for a task of this label.
pub(crate) fn spawn<E, F, L>(executor: &E, future: F, label: L) -> JoinHandle<F::Output>
where
    E: Executor + Clone,
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    L: Label,
{
    let cell = Cell::new(future, executor.clone(), label);
    if let Err(rejected) = executor.submit(Task::from_shared(cell.clone())) {
        let (task, cause) = rejected.into_parts();
        task.end(cause.into());
    }
    JoinHandle::new(cell)
}

/// As [`Executor::try_spawn`], for a task of this label.
pub(crate) fn try_spawn<E, F, L>(executor: &E, future: F, label: L) -> Result<JoinHandle<F::Output>, SpawnError<F>>
where
    E: Executor + Clone,
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    L: Label,
{
    let cell: Arc<Cell<F, E, L>> = Cell::new(future, executor.clone(), label);
    if let Err(rejected) = executor.submit(Task::from_shared(cell.clone())) {
        let (task, cause) = rejected.into_parts();
        match cell.take_back() {
            Some(future) => return Err(SpawnError::new(future, cause)),
            // Refused, yet polled: its future is pinned and can't come back, so its handle tells.
            None => task.end(cause.into()),
        }
    }
    Ok(JoinHandle::new(cell))
}
