//! Notifies all parts of a program that it should stop. Stops nothing itself.

use std::convert::Infallible;
use std::io;
use std::process::exit;

use async_channel::{Receiver, Sender};

/// The exit code that shells give a program ended by Ctrl-C.
const INTERRUPTED: i32 = 130;

/// Knows whether the program should stop. Clones share that.
#[derive(Clone, Debug)]
pub struct Stop {
    /// Never sent to, only closed.
    closed: Receiver<Infallible>,
}

/// Notifies all clones of a [`Stop`].
///
/// # What dropping does
///
/// Notifies them, too.
#[derive(Debug)]
pub struct Stopper {
    close: Sender<Infallible>,
}

impl Stop {
    /// A `Stop`, and its notifier.
    pub fn new() -> (Stopper, Self) {
        let (close, closed) = async_channel::bounded(1);
        (Stopper { close }, Self { closed })
    }

    /// Ready once the program should stop, and from then on.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn requested(&self) {
        // Always an error, since nothing is sent.
        let _ = self.closed.recv().await;
    }
}

impl Stopper {
    /// Notifies all clones.
    pub fn stop(&self) {
        self.close.close();
    }
}

/// Stops on Ctrl-C, and on SIGTERM and SIGHUP on Unix. A second signal ends the process immediately, with code 130.
///
/// # Errors
///
/// If there is such a handler already, or the system has no thread for it.
pub fn on_signal() -> io::Result<Stop> {
    let (stopper, stop) = Stop::new();
    let mut asked = false;
    let ask = move || {
        if std::mem::replace(&mut asked, true) {
            exit(INTERRUPTED);
        }
        stopper.stop();
    };
    ctrlc::set_handler(ask).map_err(|error| match error {
        ctrlc::Error::System(error) => error,
        other => io::Error::other(other),
    })?;
    Ok(stop)
}
