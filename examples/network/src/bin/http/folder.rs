//! Opens what lies in the folder, and nothing that doesn't: whatever path is asked for, and wherever links lead. Knows
//! nothing of HTTP.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::SystemTime;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

/// A folder whose files may be had.
pub(crate) struct Folder {
    /// Opens relative to itself, and follows no path out of itself: where Linux can, with one system call.
    dir: Dir,
}

/// What lies at a path.
pub(crate) enum Found {
    File(Opened),
    Folder,
}

/// A file, open.
pub(crate) struct Opened {
    pub(crate) file: File,
    /// In bytes.
    pub(crate) length: u64,
    /// Not everywhere known.
    pub(crate) modified: Option<SystemTime>,
}

impl Folder {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { dir: Dir::open_ambient_dir(path, ambient_authority())? })
    }

    /// Blocks for the disk.
    ///
    /// # Errors
    ///
    /// If there is none, if it is neither file nor folder (a pipe would wait for a writer), or if it may not be read.
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
        // Of the file that is open, whatever took its place meanwhile.
        let metadata = file.metadata()?;
        Ok(Found::File(Opened { file, length: metadata.len(), modified: metadata.modified().ok() }))
    }
}
