//! Cancels a token when a signal comes. Stops nothing itself.
//!
//! By ctrlc: `polyexec::signal` is for Unix, and these servers are for Windows, too. ctrlc's thread also ends a program whose executor is
//! stuck.

use std::io;
use std::process::exit;

use polyexec::CancellationToken;

/// The exit code that shells give a program ended by Ctrl-C.
const INTERRUPTED: i32 = 130;

/// A token that is cancelled on Ctrl-C, and on SIGTERM and SIGHUP on Unix. A second signal ends the process immediately, with code
/// 130.
///
/// # Errors
///
/// If there is such a handler already, or the system has no thread for it.
pub fn on_signal() -> io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let ask = move || {
        if stopped.is_cancelled() {
            exit(INTERRUPTED);
        }
        stopped.cancel();
    };
    ctrlc::set_handler(ask).map_err(|error| match error {
        ctrlc::Error::System(error) => error,
        other => io::Error::other(other),
    })?;
    Ok(stop)
}
