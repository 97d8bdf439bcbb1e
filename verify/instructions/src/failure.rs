//! Why the program ends without success: one line, and an exit code.

use std::fmt;
use std::process::ExitCode;

/// Displayed, it is the line.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    line: String,
}

impl Failure {
    /// The arguments were bad: exit code 2.
    pub(crate) fn usage(line: impl fmt::Display) -> Self {
        Self { code: 2, line: line.to_string() }
    }

    /// The arguments were good, but something failed or got dearer: exit code 1.
    pub(crate) fn failed(line: impl fmt::Display) -> Self {
        Self { code: 1, line: line.to_string() }
    }

    pub(crate) fn code(&self) -> ExitCode {
        self.code.into()
    }
}

impl From<lexopt::Error> for Failure {
    fn from(error: lexopt::Error) -> Self {
        Self::usage(format_args!("{error} (see --help)"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}
