//! Opens files inside a folder, and none outside, whatever the path and wherever links lead. Knows nothing of HTTP.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::SystemTime;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

/// A folder whose files are served.
pub(crate) struct Folder {
    /// Opens paths relative to itself, and none that leads out: on Linux with one system call.
    dir: Dir,
}

/// A file or a folder.
pub(crate) enum Found {
    File(Opened),
    Folder,
}

/// An open file.
pub(crate) struct Opened {
    pub(crate) file: File,
    /// The length in bytes.
    pub(crate) length: u64,
    /// The time of the last change. Unknown on some systems.
    pub(crate) modified: Option<SystemTime>,
}

impl Folder {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { dir: Dir::open_ambient_dir(path, ambient_authority())? })
    }

    /// Opens a path. Blocks for the disk.
    ///
    /// # Errors
    ///
    /// If it doesn't exist, can't be read, or is neither file nor folder (a pipe would wait for a writer).
    pub(crate) fn find(&self, path: &Path) -> io::Result<Found> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let metadata = self.dir.metadata(path)?;
        if metadata.is_dir() {
            return Ok(Found::Folder);
        }
        if !metadata.is_file() {
            return Err(ErrorKind::NotFound.into());
        }
        let file = self.dir.open(path)?.into_std();
        // The metadata of the open file, even if another one has replaced it.
        let metadata = file.metadata()?;
        Ok(Found::File(Opened { file, length: metadata.len(), modified: metadata.modified().ok() }))
    }
}
