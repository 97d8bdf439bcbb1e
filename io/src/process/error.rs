//! Why a process wasn't started, with its program's name, which the system's error lacks.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::{error, fmt, io};

/// The program or the folder isn't there, or the system refuses.
#[derive(Debug)]
pub(super) struct NotStarted {
    program: OsString,
    /// It may be the folder that isn't there.
    folder: Option<PathBuf>,
    cause: io::Error,
}

impl NotStarted {
    /// An error of the kind of `cause`.
    pub(super) fn error(command: &Command, cause: io::Error) -> io::Error {
        let folder = command.get_current_dir().map(ToOwned::to_owned);
        io::Error::new(cause.kind(), Self { program: command.get_program().to_owned(), folder, cause })
    }
}

impl fmt::Display for NotStarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "can't start {:?}", self.program)?;
        if let Some(folder) = &self.folder {
            write!(f, " in {folder:?}")?;
        }
        write!(f, ": {}", self.cause)
    }
}

impl error::Error for NotStarted {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.cause)
    }
}
