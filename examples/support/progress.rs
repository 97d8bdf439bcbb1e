//! Shows the progress of a long job on stderr, if that is a terminal.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// A job that ends before this shows nothing.
const PATIENCE: Duration = Duration::from_secs(1);
const INTERVAL: Duration = Duration::from_millis(100);

/// A line that is overwritten each time.
pub(crate) struct Progress {
    /// `None` if stderr is no terminal.
    next: Option<Instant>,
    shown: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { next: stderr().is_terminal().then(|| Instant::now() + PATIENCE), shown: false }
    }

    /// Shows `done`, if it is time to.
    pub(crate) fn at(&mut self, done: u64, what: &str) {
        let Some(next) = self.next else { return };
        let now = Instant::now();
        if now >= next {
            self.next = Some(now + INTERVAL);
            self.shown = true;
            let _ = write!(stderr(), "\r{done} {what} …");
        }
    }

    /// Removes the line, to make room for another one.
    pub(crate) fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            // Back to the first column, and erase from there to the end of the line.
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
