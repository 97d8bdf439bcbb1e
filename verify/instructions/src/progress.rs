//! Shows on stderr which operation is being measured: on a terminal in one line, elsewhere in a line each.

use std::io::{IsTerminal, Write, stderr};

pub(crate) struct Progress {
    of: usize,
    begun: usize,
    on_terminal: bool,
}

impl Progress {
    pub(crate) fn new(of: usize) -> Self {
        Self { of, begun: 0, on_terminal: stderr().is_terminal() }
    }

    pub(crate) fn begin(&mut self, operation: &str) {
        self.begun += 1;
        let line = format!("{} of {}: {operation}", self.begun, self.of);
        // If nobody reads it, so be it.
        let _ = match self.on_terminal {
            // Back to the first column, and erase from there to the end of the line.
            true => write!(stderr(), "\r\x1b[K{line} …"),
            false => writeln!(stderr(), "{line}"),
        };
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.on_terminal {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}
