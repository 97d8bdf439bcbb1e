//! Files and folders, as in [`std::fs`]. Each operation runs on one of the threads for blocking work.
//!
//! The process shares these threads (`polyexec_threaded::blocking`, and `polyexec::blocking`). So `blocking::configure` limits and names
//! them, and after `blocking::shutdown_timeout`, each operation here is an error.
//!
//! # At the end of a process
//!
//! A write is ready before the system has its bytes. If the process ends, they are lost unless the file was
//! [flushed](futures_io::AsyncWrite::poll_flush): dropping the file doesn't wait. Nor does `blocking::shutdown_timeout` write what no thread
//! has begun to write.
//!
//! # Examples
//!
//! ```
//! use futures_lite::{AsyncReadExt, AsyncWriteExt};
//! use polyexec_io::fs::{self, File};
//!
//! # polyexec_core::block_on(async {
//! # let path = std::env::temp_dir().join(format!("polyexec-fs-{}", std::process::id()));
//! let mut file = File::create(&path).await?;
//! file.write_all(b"important").await?;
//! file.flush().await?; // now the system has the bytes
//!
//! let mut text = String::new();
//! File::open(&path).await?.read_to_string(&mut text).await?;
//! assert_eq!(text, "important");
//! fs::remove_file(&path).await?;
//! # std::io::Result::Ok(())
//! # })?;
//! # Ok::<(), std::io::Error>(())
//! ```

pub use std::fs::{FileType, Metadata, Permissions};

pub use file::File;
pub use folder::{DirEntry, ReadDir};
pub use functions::*;
pub use options::{DirBuilder, OpenOptions};

mod file;
mod folder;
mod functions;
mod options;

/// Extensions for Unix.
#[cfg(unix)]
pub mod unix {
    pub use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};

    pub use super::folder::unix::DirEntryExt;
    pub use super::functions::unix::symlink;
    pub use super::options::unix::{DirBuilderExt, OpenOptionsExt};
}

/// Extensions for Windows.
#[cfg(windows)]
pub mod windows {
    pub use std::os::windows::fs::MetadataExt;

    pub use super::functions::windows::{symlink_dir, symlink_file};
    pub use super::options::windows::OpenOptionsExt;
}
