//! What a child leaves to its handle, or else to its scope: an output, or a failure. Runs no task.

use alloc::sync::Arc;
use core::mem::replace;
use core::panic::Location;
use std::panic::resume_unwind;
use std::sync::PoisonError;

use super::child::Count;
use crate::sync::{Mutex, MutexGuard};
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

/// What a child's handle returns instead of an output, or else its scope reports. The child and its handle share it.
///
/// # What dropping does
///
/// Gives a failure that the handle didn't return to the scope.
pub(super) struct Outcome {
    report: Mutex<Report>,
    spawned_at: &'static Location<'static>,
    scope: Arc<Count>,
}

/// What is left to report of a child.
enum Report {
    Nothing,
    /// It may be aborted on request, or the handle has told how it ended: a loss is no failure.
    Excused,
    /// The executor has dropped it before its end.
    Lost,
    Panicked(Payload),
}

/// Why a scope panics.
pub(super) enum Failure {
    Lost(&'static Location<'static>),
    Panicked(Payload),
}

impl Outcome {
    pub(super) fn new(spawned_at: &'static Location<'static>, scope: Arc<Count>) -> Self {
        Self { report: Mutex::new(Report::Nothing), spawned_at, scope }
    }

    /// Keeps the first panic of the child.
    pub(super) fn panicked(&self, payload: Payload) {
        let mut report = self.lock();
        if !matches!(*report, Report::Panicked(_)) {
            *report = Report::Panicked(payload);
            return;
        }
        drop(report);
        discard(payload);
    }

    /// The child was dropped before its end.
    pub(super) fn lost(&self) {
        let mut report = self.lock();
        if let Report::Nothing = *report {
            *report = Report::Lost;
        }
    }

    /// The child may be aborted.
    pub(super) fn excuse_loss(&self) {
        let mut report = self.lock();
        if let Report::Nothing | Report::Lost = *report {
            *report = Report::Excused;
        }
    }

    /// For the handle, which tells how the child has ended. Returns its panic.
    pub(super) fn take_panic(&self) -> Option<Payload> {
        match replace(&mut *self.lock(), Report::Excused) {
            Report::Panicked(payload) => Some(payload),
            Report::Nothing | Report::Excused | Report::Lost => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Report> {
        // No user code runs under the lock.
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        let report = replace(&mut *self.lock(), Report::Excused);
        match report {
            Report::Nothing | Report::Excused => {}
            Report::Lost => self.scope.keep_failure(Failure::Lost(self.spawned_at)),
            Report::Panicked(payload) => self.scope.keep_failure(Failure::Panicked(payload)),
        }
    }
}

impl Failure {
    /// Panics.
    #[track_caller]
    pub(super) fn resume(self) -> ! {
        match self {
            Self::Lost(spawned_at) => {
                panic!(
                    "a scope's child, spawned at {spawned_at}, didn't come to its end: it was aborted, or its executor refused or dropped it"
                )
            }
            // The panic hook has reported it.
            Self::Panicked(payload) => resume_unwind(payload),
        }
    }

    pub(super) fn discard(self) {
        if let Self::Panicked(payload) = self {
            discard(payload);
        }
    }
}
