//! Why a task wasn't taken, and why it has no output. Every error knows its cause and gives back what it can.

use alloc::boxed::Box;
use core::any::Any;
use core::error::Error;
use core::fmt;
use core::panic::Location;

use crate::task::label::Label;
use crate::unwind::{Payload, discard, message};
use crate::{Task, TaskId};

/// Why a task came to its end without an output.
pub(crate) enum Failure {
    Cancelled,
    Panicked(Payload),
    ShutDown,
    Unable(Box<dyn Error + Send + Sync>),
}

/// Why a [`JoinHandle`](crate::JoinHandle) has no output: the task was cancelled, it panicked, or its executor shut
/// down or couldn't take it.
///
/// It carries the task's id, its name if it had one, and the place that spawned it.
///
/// # What dropping does
///
/// A panic's payload that wasn't taken out is dropped; should its `Drop` panic, that panic goes no further.
///
/// # Examples
///
/// ```
/// # use polyexec_core::JoinError;
/// fn report(error: JoinError) -> String {
///     match error.try_into_panic() {
///         Ok(_payload) => "it panicked".to_owned(),
///         Err(error) if error.is_cancelled() => format!("{} was cancelled", error.id()),
///         Err(error) => error.to_string(),
///     }
/// }
/// ```
pub struct JoinError(Box<Inner>);

struct Inner {
    id: TaskId,
    name: Option<Box<str>>,
    location: &'static Location<'static>,
    /// `None` once `into_panic` took it.
    failure: Option<Failure>,
}

impl JoinError {
    pub(crate) fn new(id: TaskId, label: &dyn Label, failure: Failure) -> Self {
        Self(Box::new(Inner {
            id,
            name: label.name().map(Into::into),
            location: label.location(),
            failure: Some(failure),
        }))
    }

    /// Whether somebody aborted the task.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.0.failure, Some(Failure::Cancelled))
    }

    /// Whether the task panicked, in its poll or while it was dropped.
    pub fn is_panic(&self) -> bool {
        matches!(self.0.failure, Some(Failure::Panicked(_)))
    }

    /// Whether the executor shut down before the task was ready.
    pub fn is_shutdown(&self) -> bool {
        matches!(self.0.failure, Some(Failure::ShutDown))
    }

    /// Whether the executor couldn't take the task, for want of a thread, say. [`Error::source`] says why.
    pub fn is_rejected(&self) -> bool {
        matches!(self.0.failure, Some(Failure::Unable(_)))
    }

    /// The payload of the panic, for [`std::panic::resume_unwind`], for instance.
    ///
    /// # Panics
    ///
    /// If the task didn't panic.
    #[track_caller]
    pub fn into_panic(self) -> Box<dyn Any + Send + 'static> {
        self.try_into_panic().unwrap_or_else(|error| panic!("no panic: {error}"))
    }

    /// The payload of the panic.
    ///
    /// # Errors
    ///
    /// The error itself, if the task didn't panic.
    pub fn try_into_panic(mut self) -> Result<Box<dyn Any + Send + 'static>, Self> {
        match self.0.failure.take() {
            Some(Failure::Panicked(payload)) => Ok(payload),
            failure => {
                self.0.failure = failure;
                Err(self)
            }
        }
    }

    /// The id of the task.
    pub fn id(&self) -> TaskId {
        self.0.id
    }

    /// The name that the task was spawned with, if any.
    pub fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    /// The place in the source that spawned the task.
    pub fn location(&self) -> &'static Location<'static> {
        self.0.location
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(Failure::Panicked(payload)) = self.failure.take() {
            discard(payload);
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {}", self.id())?;
        if let Some(name) = self.name() {
            write!(f, " `{name}`")?;
        }
        write!(f, " (spawned at {}) ", self.location())?;
        match &self.0.failure {
            Some(Failure::Cancelled) => f.write_str("was cancelled"),
            Some(Failure::ShutDown) => f.write_str("was dropped when its executor shut down"),
            Some(Failure::Unable(cause)) => write!(f, "was not taken by its executor: {cause}"),
            Some(Failure::Panicked(payload)) => match message(&**payload) {
                Some(message) => write!(f, "panicked: {message}"),
                None => f.write_str("panicked"),
            },
            None => unreachable!("only `try_into_panic` takes the failure, and it takes the error with it"),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({self})")
    }
}

impl Error for JoinError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0.failure {
            Some(Failure::Unable(cause)) => Some(&**cause),
            _ => None,
        }
    }
}

/// Why an executor refuses a task.
#[derive(Debug)]
pub(crate) enum Cause {
    ShutDown,
    Unable(Box<dyn Error + Send + Sync>),
}

impl Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::ShutDown => None,
            Self::Unable(cause) => Some(&**cause),
        }
    }
}

impl From<Cause> for Failure {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::ShutDown => Self::ShutDown,
            Cause::Unable(cause) => Self::Unable(cause),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShutDown => f.write_str("the executor has shut down"),
            Self::Unable(cause) => write!(f, "the executor couldn't take the task: {cause}"),
        }
    }
}

/// What [`Executor::submit`](crate::Executor::submit) answers when it can't take a task: the task, and the reason.
///
/// # What dropping does
///
/// Drops the [`Task`], which ends it: its handle resolves as shut down.
#[derive(Debug)]
pub struct Rejected {
    task: Task,
    cause: Cause,
}

impl Rejected {
    /// The executor has shut down, for good.
    pub fn shut_down(task: Task) -> Self {
        Self { task, cause: Cause::ShutDown }
    }

    /// The executor can't take this task now, because of `cause`: there is no thread to be had, say.
    pub fn unable(task: Task, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { task, cause: Cause::Unable(cause.into()) }
    }

    /// Whether the executor has shut down, so that trying again is of no use.
    pub fn is_shutdown(&self) -> bool {
        matches!(self.cause, Cause::ShutDown)
    }

    /// The task, for an executor that knows another one to give it to.
    pub fn into_task(self) -> Task {
        self.task
    }

    pub(crate) fn into_parts(self) -> (Task, Cause) {
        (self.task, self.cause)
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl Error for Rejected {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.source()
    }
}

/// Why [`Executor::try_spawn`](crate::Executor::try_spawn) spawned nothing. It gives the future back.
///
/// # Examples
///
/// ```
/// use polyexec_core::{block_on, try_spawn};
///
/// // No executor runs on this thread: take the future back, and run it here.
/// let error = try_spawn(async { 6 * 7 }).unwrap_err();
/// assert_eq!(block_on(error.into_future()), 42);
/// ```
pub struct SpawnError<F> {
    future: F,
    cause: Cause,
}

impl<F> SpawnError<F> {
    pub(crate) fn new(future: F, cause: Cause) -> Self {
        Self { future, cause }
    }

    /// Whether the executor has shut down, so that trying again is of no use.
    pub fn is_shutdown(&self) -> bool {
        matches!(self.cause, Cause::ShutDown)
    }

    /// The future, which nobody has polled.
    pub fn into_future(self) -> F {
        self.future
    }
}

impl<F> fmt::Display for SpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl<F> fmt::Debug for SpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpawnError").field("cause", &self.cause).finish_non_exhaustive()
    }
}

impl<F> Error for SpawnError<F> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.source()
    }
}
