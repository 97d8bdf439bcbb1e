//! Says on stderr how far a tool is.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// Off a terminal, a line is printed at most this often.
const PAUSE: Duration = Duration::from_secs(10);

/// A line that says how far a run is: overwritten on a terminal, elsewhere printed now and then.
///
/// # What dropping does
///
/// Clears the line on a terminal.
#[derive(Debug)]
pub struct Progress {
    is_terminal: bool,
    shown: Option<Instant>,
}

impl Progress {
    /// Nothing is shown yet.
    pub fn new() -> Self {
        Self { is_terminal: stderr().is_terminal(), shown: None }
    }

    /// Shows what `line` returns. Off a terminal, that is the first line and one every ten seconds.
    pub fn show(&mut self, line: impl FnOnce() -> String) {
        if !self.is_terminal && self.shown.is_some_and(|shown| shown.elapsed() < PAUSE) {
            return;
        }
        self.shown = Some(Instant::now());
        let line = line();
        // A run doesn't fail because its progress can't be written.
        let _ = if self.is_terminal { write!(stderr(), "\r\x1b[K{line}") } else { writeln!(stderr(), "{line}") };
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_terminal && self.shown.is_some() {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}
