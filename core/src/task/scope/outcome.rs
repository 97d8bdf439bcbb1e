//! What a child leaves to its handle: an output or a panic. Runs no task.

use alloc::sync::Arc;
use std::sync::PoisonError;

use super::child::Count;
use crate::sync::Mutex;
use crate::unwind::{Payload, discard};

/// Room for the output of a child. Its future and its handle share it.
pub(super) struct Slot<T>(Arc<Mutex<Option<T>>>);

impl<T> Slot<T> {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(None)))
    }

    pub(super) fn put(&self, output: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(output);
    }

    pub(super) fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Whether a child panicked. The child and its handle share it.
///
/// # What dropping does
///
/// Gives a panic that the handle didn't take to the scope.
pub(super) struct Outcome {
    panic: Mutex<Option<Payload>>,
    scope: Arc<Count>,
}

impl Outcome {
    pub(super) fn new(scope: Arc<Count>) -> Self {
        Self { panic: Mutex::new(None), scope }
    }

    /// Keeps the first panic of the child.
    pub(super) fn panicked(&self, payload: Payload) {
        let mut panic = self.panic.lock().unwrap_or_else(PoisonError::into_inner);
        if panic.is_none() {
            *panic = Some(payload);
            return;
        }
        drop(panic);
        discard(payload);
    }

    pub(super) fn take_panic(&self) -> Option<Payload> {
        self.panic.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        if let Some(payload) = self.take_panic() {
            self.scope.keep_panic(payload);
        }
    }
}
