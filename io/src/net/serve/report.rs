//! What a server tells of its connections: problems while it runs, and a report at its end.

use std::error::Error;
use std::fmt;
use std::io;

use polyexec_core::JoinError;

/// How a server and its connections have ended.
///
/// # Examples
///
/// ```
/// # fn show(report: polyexec_io::net::Report<std::net::SocketAddr>) {
/// println!("stopped: {report}");
/// for peer in report.cut() {
///     println!("{peer} was disconnected");
/// }
/// # }
/// ```
#[derive(Debug)]
#[must_use = "it says which connections were cut off"]
pub struct Report<A> {
    pub(super) accepted: u64,
    pub(super) finished: usize,
    pub(super) cut: Vec<A>,
    pub(super) still_running: usize,
    pub(super) panicked: u64,
    pub(super) first_panic: Option<(A, JoinError)>,
}

impl<A> Report<A> {
    pub(super) const fn new() -> Self {
        Self { accepted: 0, finished: 0, cut: Vec::new(), still_running: 0, panicked: 0, first_panic: None }
    }

    /// How many connections were accepted.
    pub fn accepted(&self) -> u64 {
        self.accepted
    }

    /// How many of the connections that were open at the shutdown ended before the deadline.
    pub fn finished(&self) -> usize {
        self.finished
    }

    /// The peers whose connections were aborted: at the deadline, or because the executor shut down.
    pub fn cut(&self) -> &[A] {
        &self.cut
    }

    /// How many of those that were [cut](Report::cut) have not ended yet: they block their threads. Each ends after its present
    /// poll.
    pub fn still_running(&self) -> usize {
        self.still_running
    }

    /// How many handlers have panicked.
    pub fn panicked(&self) -> u64 {
        self.panicked
    }

    /// The first panic of a handler, and its peer.
    pub fn first_panic(&self) -> Option<(&A, &JoinError)> {
        self.first_panic.as_ref().map(|(peer, error)| (peer, error))
    }
}

impl<A> fmt::Display for Report<A> {
    /// One line: `200 accepted; of those open at the shutdown, 3 finished and 1 was cut; 2 panicked`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (accepted, finished, cut) = (self.accepted, self.finished, self.cut.len());
        let was = if cut == 1 { "was" } else { "were" };
        write!(f, "{accepted} accepted; of those open at the shutdown, {finished} finished and {cut} {was} cut")?;
        match self.panicked {
            0 => Ok(()),
            panicked => write!(f, "; {panicked} panicked"),
        }
    }
}

/// What a server overcame, for [`on_problem`](super::Serve::on_problem).
#[derive(Debug)]
#[non_exhaustive]
pub enum Problem<'a, A> {
    /// No connection can be accepted, or the executor has no thread for one. The server tries again. It reports the same
    /// error once in ten seconds, at most.
    #[non_exhaustive]
    Shortage {
        /// The system's error, or the executor's.
        error: &'a io::Error,
        /// How many connections are open.
        open: usize,
    },
    /// The handler of a connection has panicked.
    #[non_exhaustive]
    Panic {
        /// The connection's peer.
        peer: &'a A,
        /// The panic, with the task's name and place.
        error: &'a JoinError,
    },
}

impl<A: fmt::Debug> fmt::Display for Problem<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shortage { error, open } => write!(f, "can't take more connections: {error}; {open} are open"),
            Self::Panic { peer, error } => write!(f, "the connection of {peer:?} was lost: {error}"),
        }
    }
}

/// Why a server has ended by itself. Converts to an [`io::Error`] with `?`.
pub struct ServeError<A> {
    error: io::Error,
    report: Report<A>,
}

impl<A> ServeError<A> {
    pub(super) fn new(error: io::Error, report: Report<A>) -> Self {
        Self { error, report }
    }

    pub(super) fn no_executor() -> Self {
        let message = "no executor runs on this thread: run the server in an executor's `block_on` or in a task";
        Self::new(io::Error::new(io::ErrorKind::Unsupported, message), Report::new())
    }

    /// The report of what was served until then.
    pub fn report(&self) -> &Report<A> {
        &self.report
    }

    /// The report of what was served until then.
    pub fn into_report(self) -> Report<A> {
        self.report
    }
}

impl<A> fmt::Display for ServeError<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server can't go on")
    }
}

impl<A: fmt::Debug> fmt::Debug for ServeError<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServeError").field("error", &self.error).field("report", &self.report).finish()
    }
}

impl<A: fmt::Debug> Error for ServeError<A> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

/// Returns the cause, without the report.
impl<A> From<ServeError<A>> for io::Error {
    fn from(error: ServeError<A>) -> Self {
        error.error
    }
}
