//! Files: [`async_fs`], with a [`File`] that remembers a failed write. Operations run on the threads of the `blocking` crate.
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

pub use async_fs::*;

// Shadow those of `async_fs`.
pub use file::File;
pub use options::OpenOptions;

mod file;
mod options;

/// Extensions for Unix.
#[cfg(unix)]
pub mod unix {
    pub use async_fs::unix::*;

    pub use super::options::unix::OpenOptionsExt;
}

/// Extensions for Windows.
#[cfg(windows)]
pub mod windows {
    pub use async_fs::windows::*;

    pub use super::options::windows::OpenOptionsExt;
}
