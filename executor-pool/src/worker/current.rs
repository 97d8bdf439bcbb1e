//! The worker of this thread while user code runs: a poll, or the wakers of events. Otherwise the scheduler's loop has it.

use std::cell::RefCell;
use std::sync::Arc;

use super::Worker;
use crate::shared::Shared;
use crate::sync::thread_local;

thread_local! {
    /// Borrowed for moments only, in which no user code runs.
    static CURRENT: RefCell<Option<Box<Worker>>> = const { RefCell::new(None) };
}

/// Runs user code, which finds `worker` here. Returns the worker, or `None` if it was handed over meanwhile.
#[inline]
pub(super) fn lend<T>(worker: Box<Worker>, user_code: impl FnOnce() -> T) -> (Option<Box<Worker>>, T) {
    let lend = |current: &RefCell<Option<Box<Worker>>>| current.replace(Some(worker));
    // The thread-local is empty here. It lives until the thread has run its last job.
    let before = CURRENT.try_with(lend);
    debug_assert!(matches!(before, Ok(None)));
    let result = user_code();
    (CURRENT.try_with(RefCell::take).ok().flatten(), result)
}

/// Calls `access` with this thread's worker, if it has one of this pool.
pub(super) fn with<T>(shared: &Arc<Shared>, access: impl FnOnce(&mut Worker) -> T) -> Option<T> {
    let with = |current: &RefCell<Option<Box<Worker>>>| {
        let mut current = current.try_borrow_mut().ok()?;
        current.as_deref_mut().filter(|worker| Arc::ptr_eq(&worker.shared, shared)).map(access)
    };
    CURRENT.try_with(with).ok().flatten()
}

/// Takes this thread's worker away, if it has one of this pool.
pub(super) fn take(shared: &Arc<Shared>) -> Option<Box<Worker>> {
    let take = |current: &RefCell<Option<Box<Worker>>>| {
        current.try_borrow_mut().ok()?.take_if(|worker| Arc::ptr_eq(&worker.shared, shared))
    };
    CURRENT.try_with(take).ok().flatten()
}
