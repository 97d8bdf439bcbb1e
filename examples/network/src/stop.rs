//! Tells everybody who asks that the program is to stop. Stops nothing itself.

use std::convert::Infallible;
use std::io;
use std::process::exit;

use async_channel::{Receiver, Sender};

/// What a shell says of a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// Knows whether the program is to stop. Clones know the same.
#[derive(Clone, Debug)]
pub struct Stop {
    /// Nothing is sent; it is closed.
    closed: Receiver<Infallible>,
}

/// Tells all clones of a [`Stop`].
///
/// # What dropping does
///
/// It tells them, too.
#[derive(Debug)]
pub struct Stopper {
    close: Sender<Infallible>,
}

impl Stop {
    /// One, and who tells it.
    pub fn new() -> (Stopper, Self) {
        let (close, closed) = async_channel::bounded(1);
        (Stopper { close }, Self { closed })
    }

    /// Ready once the program is to stop, and from then on.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn requested(&self) {
        // An error is all that there ever is.
        let _ = self.closed.recv().await;
    }
}

impl Stopper {
    /// It is to stop.
    pub fn stop(&self) {
        self.close.close();
    }
}

/// Stops on Ctrl-C, and on what else asks a program to end: SIGTERM and SIGHUP on Unix. Who asks twice doesn't want to
/// wait: then the process ends at once, with code 130.
///
/// # Errors
///
/// If there is such a handler already, or no thread for it.
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
