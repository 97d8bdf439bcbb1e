//! Sends blocking calls to the threads for blocking work, which the process shares. Starts none itself.

use std::io;

use polyexec_threaded::blocking::spawn_blocking;

/// Runs `work` on a thread where it may block.
///
/// # Errors
///
/// Those of `work`, or there is no thread: the threads for blocking work were shut down, or the system has none.
///
/// # Cancel safety
///
/// Dropping the future cancels work that has not begun.
pub(crate) async fn unblock<T, F>(work: F) -> io::Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> io::Result<T> + Send + 'static,
{
    spawn_blocking(work).abort_on_drop().await?
}
