//! A line on stderr that says how far a run is.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use crate::report::thousands;

/// How far a run is.
#[derive(Debug)]
pub(crate) struct Progress {
    name: &'static str,
    lifecycles: u64,
    begin: Instant,
    told: Instant,
    is_terminal: bool,
    is_quiet: bool,
}

impl Progress {
    /// Of a run of so many lifecycles.
    pub(crate) fn new(name: &'static str, lifecycles: u64, is_quiet: bool) -> Self {
        let now = Instant::now();
        Self { name, lifecycles, begin: now, told: now, is_terminal: stderr().is_terminal(), is_quiet }
    }

    /// So many are over. Told twice a second on a terminal, elsewhere every ten seconds.
    pub(crate) fn tell(&mut self, lifecycles: u64) {
        let pause = if self.is_terminal { Duration::from_millis(500) } else { Duration::from_secs(10) };
        if self.is_quiet || self.told.elapsed() < pause {
            return;
        }
        self.told = Instant::now();
        let a_second = thousands((lifecycles as f64 / self.begin.elapsed().as_secs_f64()) as u64);
        let (name, done, of) = (self.name, thousands(lifecycles), thousands(self.lifecycles));
        let line = format!("{name}: {done} of {of} lifecycles, {a_second} a second");
        // If nobody reads it, so be it.
        let _ = if self.is_terminal { write!(stderr(), "\r\x1b[K{line}") } else { writeln!(stderr(), "{line}") };
    }

    /// The run is over.
    pub(crate) fn end(&self) {
        if self.is_terminal && !self.is_quiet {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}
