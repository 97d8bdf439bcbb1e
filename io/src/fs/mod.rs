//! Files: [`async_fs`], whose operations run on the threads of the `blocking` crate, with a [`File`] that doesn't forget
//! that a write has failed.
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
//! file.flush().await?; // what was written is the system's from here on
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

// In place of those of `async_fs`.
pub use file::File;
pub use options::OpenOptions;

mod file;
mod options;

/// What only Unix has.
#[cfg(unix)]
pub mod unix {
    pub use async_fs::unix::*;

    pub use super::options::unix::OpenOptionsExt;
}

/// What only Windows has.
#[cfg(windows)]
pub mod windows {
    pub use async_fs::windows::*;

    pub use super::options::windows::OpenOptionsExt;
}
