//! Why a task wasn't taken, and why it has no output. Each error has its cause and gives back what it can.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use core::any::Any;
use core::error::Error;
use core::fmt;

use crate::executor::{Boxed, Task};
use crate::observe::End;
use crate::unwind::{Payload, discard, message};
use crate::{TaskId, TaskInfo};

/// Why a task ended without an output. Small, since each cell has room for it.
pub(crate) enum Failure {
    Cancelled,
    Panicked(Payload),
    ShutDown,
    Unable(Box<dyn Error + Send + Sync>),
}

impl Failure {
    /// As an observer is told of it.
    pub(crate) fn end(&self) -> End {
        match self {
            Self::Cancelled => End::Aborted,
            Self::Panicked(_) => End::Panicked,
            Self::ShutDown => End::ShutDown,
            Self::Unable(_) => End::Refused,
        }
    }
}

/// Why a [`JoinHandle`](crate::JoinHandle) has no output.
///
/// The task was cancelled, it panicked, or its executor shut down or couldn't take it. The error names the task and the
/// place that spawned it. `?` converts it into a `Box<dyn Error + Send + Sync>` or an [`io::Error`](std::io::Error).
///
/// # What dropping does
///
/// Drops a panic's payload that wasn't taken out. A panic in that drop is contained.
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
    task: TaskInfo,
    reason: Reason,
}

/// As [`Failure`], for the user: [`Sync`], too.
enum Reason {
    Cancelled,
    Panicked(Panic),
    ShutDown,
    Unable(Box<dyn Error + Send + Sync>),
}

/// A caught panic. A shared one only shows its message, since the payload need not be [`Sync`].
struct Panic {
    message: Option<Cow<'static, str>>,
    /// `None` once it was taken out.
    payload: Option<Exclusive>,
}

/// A mutex that is never locked: only an owner reaches the payload, which makes it `Sync`.
#[cfg(feature = "std")]
type Exclusive = std::sync::Mutex<Payload>;
/// Without `std` no panic is caught, so there is no payload.
#[cfg(not(feature = "std"))]
type Exclusive = core::convert::Infallible;

impl Panic {
    #[cfg(feature = "std")]
    fn new(payload: Payload) -> Self {
        let message = message(&*payload);
        Self { message, payload: Some(Exclusive::new(payload)) }
    }

    #[cfg(not(feature = "std"))]
    fn new(payload: Payload) -> Self {
        let message = message(&*payload);
        discard(payload);
        Self { message, payload: None }
    }

    fn take_payload(&mut self) -> Option<Payload> {
        let payload = self.payload.take()?;
        #[cfg(feature = "std")]
        return Some(payload.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner));
        #[cfg(not(feature = "std"))]
        match payload {}
    }
}

impl Drop for Panic {
    fn drop(&mut self) {
        self.take_payload().into_iter().for_each(discard);
    }
}

impl JoinError {
    pub(crate) fn new(task: TaskInfo, failure: Failure) -> Self {
        let reason = match failure {
            Failure::Cancelled => Reason::Cancelled,
            Failure::Panicked(payload) => Reason::Panicked(Panic::new(payload)),
            Failure::ShutDown => Reason::ShutDown,
            Failure::Unable(cause) => Reason::Unable(cause),
        };
        Self(Box::new(Inner { task, reason }))
    }

    /// Whether the task was cancelled: by an abort, or because its executor shut down
    /// ([`is_shutdown`](JoinError::is_shutdown)).
    pub fn is_cancelled(&self) -> bool {
        matches!(self.0.reason, Reason::Cancelled | Reason::ShutDown)
    }

    /// Whether the task panicked, in its poll or while it was dropped.
    pub fn is_panic(&self) -> bool {
        matches!(self.0.reason, Reason::Panicked(_))
    }

    /// Whether the executor shut down before the task was ready. Such a task is [cancelled](JoinError::is_cancelled), too.
    pub fn is_shutdown(&self) -> bool {
        matches!(self.0.reason, Reason::ShutDown)
    }

    /// Whether the executor couldn't take the task: it had no thread, say. [`Error::source`] says why.
    pub fn is_rejected(&self) -> bool {
        matches!(self.0.reason, Reason::Unable(_))
    }

    /// The payload of the panic, for [`std::panic::resume_unwind`] say.
    ///
    /// # Panics
    ///
    /// If the task didn't panic.
    #[track_caller]
    pub fn into_panic(self) -> Box<dyn Any + Send + 'static> {
        match self.try_into_panic() {
            Ok(payload) => payload,
            Err(error) => panic!("no panic: {error}"),
        }
    }

    /// The payload of the panic.
    ///
    /// # Errors
    ///
    /// The error itself, if the task didn't panic.
    pub fn try_into_panic(mut self) -> Result<Box<dyn Any + Send + 'static>, Self> {
        match &mut self.0.reason {
            Reason::Panicked(panic) => panic.take_payload().ok_or(self),
            _ => Err(self),
        }
    }

    /// The id of the task.
    pub fn id(&self) -> TaskId {
        self.0.task.id()
    }

    /// The task's id, name and place.
    pub fn task(&self) -> &TaskInfo {
        &self.0.task
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.0.task)?;
        match &self.0.reason {
            Reason::Cancelled => f.write_str("was cancelled"),
            Reason::ShutDown => f.write_str("was dropped when its executor shut down"),
            Reason::Unable(_) => f.write_str("was not taken by its executor"),
            Reason::Panicked(Panic { message: Some(message), .. }) => write!(f, "panicked: {message}"),
            Reason::Panicked(Panic { message: None, .. }) => f.write_str("panicked"),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.source() {
            None => write!(f, "JoinError({self})"),
            Some(cause) => write!(f, "JoinError({self}: {cause})"),
        }
    }
}

impl Error for JoinError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0.reason {
            Reason::Unable(cause) => Some(&**cause),
            _ => None,
        }
    }
}

/// [`io::Error::get_ref`](std::io::Error::get_ref) returns the [`JoinError`].
///
/// # Examples
///
/// ```
/// use polyexec_core::{Executor, JoinError};
/// use std::io;
///
/// async fn length(executor: &(impl Executor + Clone)) -> io::Result<usize> {
///     executor.spawn(async { std::fs::read("Cargo.toml").map(|bytes| bytes.len()) }).await?
/// }
///
/// fn is_panic(error: &io::Error) -> bool {
///     error.get_ref().and_then(|inner| inner.downcast_ref()).is_some_and(JoinError::is_panic)
/// }
/// ```
#[cfg(feature = "std")]
impl From<JoinError> for std::io::Error {
    fn from(error: JoinError) -> Self {
        Self::other(error)
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
            Self::Unable(_) => f.write_str("the executor couldn't take the task"),
        }
    }
}

/// The answer of [`Executor::submit`](crate::Executor::submit) if it can't take a task: the task, and the reason.
///
/// # What dropping does
///
/// Drops the [`Task`], so its handle resolves as shut down.
#[derive(Debug)]
pub struct Rejected {
    task: Task,
    cause: Cause,
}

impl Rejected {
    /// The executor has shut down.
    pub fn shut_down(task: Task) -> Self {
        Self { task, cause: Cause::ShutDown }
    }

    /// The executor can't take this task now, because of `cause`: the system refused a thread, say.
    pub fn unable(task: Task, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { task, cause: Cause::Unable(cause.into()) }
    }

    /// Whether the executor has shut down, so that trying again won't help.
    pub fn is_shutdown(&self) -> bool {
        matches!(self.cause, Cause::ShutDown)
    }

    /// The task, for an executor that can pass it to another.
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

/// Why [`Executor::try_spawn`](crate::Executor::try_spawn) spawned nothing, and the future.
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

    /// Whether the executor has shut down, so that trying again won't help.
    pub fn is_shutdown(&self) -> bool {
        matches!(self.cause, Cause::ShutDown)
    }

    /// The future, unpolled.
    pub fn into_future(self) -> F {
        self.future
    }

    pub(crate) fn map<G>(self, change: impl FnOnce(F) -> G) -> SpawnError<G> {
        SpawnError { future: change(self.future), cause: self.cause }
    }
}

impl<F> SpawnError<Boxed<F>> {
    /// The same error, with the future out of its box.
    pub fn unboxed(self) -> SpawnError<F> {
        self.map(Boxed::into_unpolled)
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

#[cfg(all(test, feature = "std", not(polyexec_loom)))]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use std::io;

    fn refused() -> JoinError {
        crate::spawn(async {}).join().unwrap_err()
    }

    #[test]
    fn every_error_goes_where_programs_want_it() {
        fn is_error<E: Error + Send + Sync + 'static>() {}
        is_error::<JoinError>();
        is_error::<Rejected>();
        is_error::<SpawnError<fn()>>();
        is_error::<crate::StillRunning>();

        fn boxed() -> Result<(), Box<dyn Error + Send + Sync>> {
            Err(refused())?
        }
        assert!(boxed().unwrap_err().is::<JoinError>());

        fn io() -> io::Result<()> {
            Err(refused())?
        }
        let error = io().unwrap_err();
        assert!(error.get_ref().unwrap().downcast_ref::<JoinError>().unwrap().is_rejected());
    }

    #[test]
    fn the_cause_is_shown_once() {
        let joined = refused();
        let refused = crate::try_spawn(async {}).unwrap_err();
        for error in [&joined as &dyn Error, &refused] {
            let cause = error.source().expect("the reason of the executor").to_string();
            assert!(!error.to_string().contains(&cause), "{error}");
            assert!(format!("{error:?}").contains(&cause), "{error:?}");
        }
    }

    #[test]
    fn a_payload_need_not_be_sync_and_is_taken_once() {
        let payload = Box::new(std::cell::Cell::new(7));
        let error = JoinError::new(
            TaskInfo::new(TaskId::next(), &crate::task::cell::Label::here()),
            Failure::Panicked(payload),
        );
        let shown = std::thread::scope(|threads| threads.spawn(|| error.to_string()).join().unwrap());
        assert!(shown.ends_with(") panicked"), "{shown}");
        assert_eq!(*error.into_panic().downcast::<std::cell::Cell<i32>>().unwrap(), 7.into());
    }
}
