//! The functions of `std::fs`, on the threads for blocking work.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::path::{Path, PathBuf};

use super::{DirBuilder, ReadDir};
use crate::blocking::unblock;

/// Runs a call of `std::fs` with a path.
async fn at<T: Send + 'static>(
    path: impl AsRef<Path>,
    call: impl FnOnce(PathBuf) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let path = path.as_ref().to_owned();
    unblock(move || call(path)).await
}

/// Runs a call of `std::fs` with two paths.
async fn between<T: Send + 'static>(
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
    call: impl FnOnce(PathBuf, PathBuf) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (from, to) = (from.as_ref().to_owned(), to.as_ref().to_owned());
    unblock(move || call(from, to)).await
}

/// The absolute path, without symbolic links. See [`std::fs::canonicalize`].
///
/// # Errors
///
/// The system's.
pub async fn canonicalize(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    at(path, fs::canonicalize).await
}

/// Copies a file with its permissions, and returns its size. See [`std::fs::copy`].
///
/// # Errors
///
/// The system's.
///
/// # Cancel safety
///
/// Dropped early, it may still copy.
pub async fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<u64> {
    between(from, to, fs::copy).await
}

/// Creates a folder, whose parent must exist. See [`std::fs::create_dir`].
///
/// # Errors
///
/// The system's.
pub async fn create_dir(path: impl AsRef<Path>) -> io::Result<()> {
    DirBuilder::new().create(path).await
}

/// Creates a folder, with the parents that it lacks. See [`std::fs::create_dir_all`].
///
/// # Errors
///
/// The system's.
pub async fn create_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    DirBuilder::new().recursive(true).create(path).await
}

/// Gives the file `original` one more name, `link`. See [`std::fs::hard_link`].
///
/// # Errors
///
/// The system's.
pub async fn hard_link(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    between(original, link, fs::hard_link).await
}

/// The metadata of what is at `path`. Follows symbolic links. See [`std::fs::metadata`].
///
/// # Errors
///
/// The system's.
pub async fn metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    at(path, fs::metadata).await
}

/// Reads a whole file. See [`std::fs::read`].
///
/// # Errors
///
/// The system's.
pub async fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    at(path, fs::read).await
}

/// The entries of a folder. See [`std::fs::read_dir`].
///
/// # Errors
///
/// The system's. Each entry may be an error, too.
///
/// # Examples
///
/// ```
/// use futures_lite::StreamExt;
/// use polyexec_io::fs::read_dir;
///
/// # polyexec_core::block_on(async {
/// let mut entries = read_dir("src").await?;
/// while let Some(entry) = entries.next().await {
///     println!("{}", entry?.path().display());
/// }
/// # std::io::Result::Ok(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub async fn read_dir(path: impl AsRef<Path>) -> io::Result<ReadDir> {
    ReadDir::open(path.as_ref().to_owned()).await
}

/// Where a symbolic link points. See [`std::fs::read_link`].
///
/// # Errors
///
/// The system's.
pub async fn read_link(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    at(path, fs::read_link).await
}

/// Reads a whole file as text. See [`std::fs::read_to_string`].
///
/// # Errors
///
/// The system's, or `InvalidData` if the file isn't UTF-8.
pub async fn read_to_string(path: impl AsRef<Path>) -> io::Result<String> {
    at(path, fs::read_to_string).await
}

/// Removes an empty folder. See [`std::fs::remove_dir`].
///
/// # Errors
///
/// The system's.
pub async fn remove_dir(path: impl AsRef<Path>) -> io::Result<()> {
    at(path, fs::remove_dir).await
}

/// Removes a folder with all that is in it. See [`std::fs::remove_dir_all`].
///
/// # Errors
///
/// The system's.
///
/// # Cancel safety
///
/// Dropped early, it may still remove.
pub async fn remove_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    at(path, fs::remove_dir_all).await
}

/// Removes a file. See [`std::fs::remove_file`].
///
/// # Errors
///
/// The system's.
pub async fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    at(path, fs::remove_file).await
}

/// Renames a file or a folder, in place of what is at `to`. See [`std::fs::rename`].
///
/// # Errors
///
/// The system's.
pub async fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    between(from, to, fs::rename).await
}

/// Sets the permissions of what is at `path`. See [`std::fs::set_permissions`].
///
/// # Errors
///
/// The system's.
pub async fn set_permissions(path: impl AsRef<Path>, permissions: Permissions) -> io::Result<()> {
    at(path, |path| fs::set_permissions(path, permissions)).await
}

/// The metadata of what is at `path`. Doesn't follow a symbolic link. See [`std::fs::symlink_metadata`].
///
/// # Errors
///
/// The system's.
pub async fn symlink_metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    at(path, fs::symlink_metadata).await
}

/// Writes a whole file, in place of what is at `path`. See [`std::fs::write`].
///
/// # Errors
///
/// The system's.
///
/// # Cancel safety
///
/// Dropped early, it may still write.
pub async fn write(path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> io::Result<()> {
    let contents = contents.as_ref().to_owned();
    at(path, |path| fs::write(path, contents)).await
}

#[cfg(unix)]
pub(super) mod unix {
    use std::io;
    use std::path::Path;

    use super::between;

    /// Makes the symbolic link `link`, which points to `original`. See [`std::os::unix::fs::symlink`].
    ///
    /// # Errors
    ///
    /// The system's.
    pub async fn symlink(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
        between(original, link, std::os::unix::fs::symlink).await
    }
}

#[cfg(windows)]
pub(super) mod windows {
    use std::io;
    use std::path::Path;

    use super::between;

    /// Makes the symbolic link `link`, which points to the folder `original`. See [`std::os::windows::fs::symlink_dir`].
    ///
    /// # Errors
    ///
    /// The system's.
    pub async fn symlink_dir(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
        between(original, link, std::os::windows::fs::symlink_dir).await
    }

    /// Makes the symbolic link `link`, which points to the file `original`. See [`std::os::windows::fs::symlink_file`].
    ///
    /// # Errors
    ///
    /// The system's.
    pub async fn symlink_file(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
        between(original, link, std::os::windows::fs::symlink_file).await
    }
}
