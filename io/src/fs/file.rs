//! A file whose operations run on the threads for blocking work. Remembers what was not written, and where a reader is.

use std::fmt;
use std::fs::{Metadata, Permissions};
use std::future::poll_fn;
use std::io::{self, SeekFrom};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncSeek, AsyncWrite};
use parking_lot::Mutex;
use polyexec_threaded::blocking::Unblock;

use super::OpenOptions;
use crate::blocking::unblock;

/// A file, open for reading, for writing, or for both.
///
/// Each operation runs on a thread for blocking work, which takes some 10 µs. So gather many small ones in a buffer, such as the
/// `BufReader` and `BufWriter` of `futures`.
///
/// A write is ready when the thread has its bytes. [`flush`](AsyncWrite::poll_flush) waits until the system has them, and
/// [`sync_all`](File::sync_all) until the disk has.
///
/// # Errors
///
/// A failed write, such as to a full disk, is reported by the next operation. The unwritten bytes are kept: each write, flush,
/// sync, seek and read tries them again first, and returns the error again. Once the disk has room, nothing is missing.
///
/// # What dropping does
///
/// Closes the file. Bytes that a write has accepted are still written, unless that fails, which goes unnoticed. **They are lost if
/// the process ends first**: flush before.
///
/// # Cancel safety
///
/// - A read that is dropped early loses nothing: its bytes go to the next read, and a write goes where the last read ended.
/// - A write that is dropped early has accepted nothing.
/// - A flush or a sync that is dropped early goes on, and the next operation waits for it.
/// - A seek that is dropped early may have moved the position.
///
/// # Examples
///
/// ```
/// use futures_lite::AsyncWriteExt;
/// use polyexec_io::fs::File;
///
/// async fn save(text: &str) -> std::io::Result<()> {
///     let mut file = File::create("notes.txt").await?;
///     file.write_all(text.as_bytes()).await?;
///     file.flush().await?;
///     file.sync_all().await
/// }
/// ```
pub struct File {
    file: Arc<std::fs::File>,
    io: Unblock<Arc<std::fs::File>>,
    /// Whether bytes were written since the last successful flush.
    is_dirty: bool,
    /// Bytes that a read may have taken from the system without its caller: an upper bound.
    unread: usize,
    /// Why a sync has failed. Set by its thread, cleared by a seek.
    unsynced: Arc<Mutex<Option<Unsynced>>>,
}

// No user code runs while what is remembered changes.
impl UnwindSafe for File {}
impl RefUnwindSafe for File {}

/// An error to return again. An [`io::Error`] can't be cloned.
struct Unsynced {
    kind: io::ErrorKind,
    code: Option<i32>,
    words: String,
}

impl Unsynced {
    fn to_error(&self) -> io::Error {
        self.code.map_or_else(|| io::Error::new(self.kind, &*self.words), io::Error::from_raw_os_error)
    }
}

impl File {
    /// Opens a file for reading.
    ///
    /// # Errors
    ///
    /// The system's: `NotFound`, `PermissionDenied` and so on.
    pub async fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        OpenOptions::new().read(true).open(path).await
    }

    /// Opens a file for writing. Truncates an existing file, or creates a new one.
    ///
    /// # Errors
    ///
    /// The system's, such as `PermissionDenied`.
    pub async fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        OpenOptions::new().write(true).create(true).truncate(true).open(path).await
    }

    /// Flushes, and waits until the disk has the contents and the metadata.
    ///
    /// # Errors
    ///
    /// The system's, or that of an earlier write. After an error of the disk, each write, flush, sync and close returns it again
    /// until a seek: the system may forget that it has failed to write.
    pub async fn sync_all(&mut self) -> io::Result<()> {
        self.sync(std::fs::File::sync_all).await
    }

    /// Like [`sync_all`](File::sync_all), but without metadata that isn't needed to read the contents.
    ///
    /// # Errors
    ///
    /// As for [`sync_all`](File::sync_all).
    pub async fn sync_data(&mut self) -> io::Result<()> {
        self.sync(std::fs::File::sync_data).await
    }

    async fn sync(&mut self, sync: fn(&std::fs::File) -> io::Result<()>) -> io::Result<()> {
        self.settle().await?;
        // Noted where it runs: the caller may be gone.
        let unsynced = self.unsynced.clone();
        let note = move |cause: &io::Error| match cause.kind() {
            // The file can't be synced at all, as a pipe can't. Nothing was lost.
            io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported => (),
            kind => {
                let words = cause.to_string();
                *unsynced.lock() = Some(Unsynced { kind, code: cause.raw_os_error(), words });
            }
        };
        self.io.with_mut(move |file| sync(file).inspect_err(note)).await?
    }

    /// Flushes, then truncates the file to `size`, or extends it with zeros. The position stays.
    ///
    /// # Errors
    ///
    /// The system's, or that of an earlier write.
    pub async fn set_len(&mut self, size: u64) -> io::Result<()> {
        self.settle().await?;
        self.io.with_mut(move |file| file.set_len(size)).await?
    }

    /// The file's metadata. Doesn't flush.
    ///
    /// # Errors
    ///
    /// The system's.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        let file = self.file.clone();
        unblock(move || file.metadata()).await
    }

    /// Sets the file's permissions.
    ///
    /// # Errors
    ///
    /// The system's.
    pub async fn set_permissions(&self, permissions: Permissions) -> io::Result<()> {
        let file = self.file.clone();
        unblock(move || file.set_permissions(permissions)).await
    }

    /// Waits until the system has all bytes, and returns any error that lasts.
    async fn settle(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_settle(cx)).await?;
        self.check()
    }

    /// Returns the error of a failed sync, if any.
    fn check(&self) -> io::Result<()> {
        self.unsynced.lock().as_ref().map_or(Ok(()), |unsynced| Err(unsynced.to_error()))
    }

    /// Waits until the system has all bytes.
    fn poll_settle(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_dirty {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            self.is_dirty = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Takes the position back to where the last read ended.
    fn poll_unread(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unread > 0 {
            match ready!(Pin::new(&mut self.io).poll_seek(cx, SeekFrom::Current(0))) {
                Err(cause) if cause.kind() != io::ErrorKind::NotSeekable => return Poll::Ready(Err(cause)),
                // A pipe has no position.
                _ => self.unread = 0,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for File {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_settle(cx))?;
        let Poll::Ready(read) = Pin::new(&mut self.io).poll_read(cx, buffer) else {
            self.unread = self.unread.max(buffer.len());
            return Poll::Pending;
        };
        let length = *read.as_ref().unwrap_or(&0);
        self.unread = if length < buffer.len() { 0 } else { self.unread.saturating_sub(length) };
        Poll::Ready(read)
    }
}

impl AsyncWrite for File {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        ready!(self.poll_unread(cx))?;
        let written = ready!(Pin::new(&mut self.io).poll_write(cx, bytes))?;
        self.is_dirty = true;
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_settle(cx))?;
        Poll::Ready(self.check())
    }

    /// Flushes. Dropping the file closes it.
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

impl AsyncSeek for File {
    fn poll_seek(mut self: Pin<&mut Self>, cx: &mut Context<'_>, position: SeekFrom) -> Poll<io::Result<u64>> {
        ready!(self.poll_settle(cx))?;
        let position = ready!(Pin::new(&mut self.io).poll_seek(cx, position))?;
        self.unread = 0;
        *self.unsynced.lock() = None;
        Poll::Ready(Ok(position))
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.fmt(f)
    }
}

impl From<std::fs::File> for File {
    fn from(file: std::fs::File) -> Self {
        let file = Arc::new(file);
        Self { io: Unblock::new(file.clone()), file, is_dirty: false, unread: 0, unsynced: Arc::default() }
    }
}

#[cfg(unix)]
mod descriptor {
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

    use super::File;

    impl AsFd for File {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.file.as_fd()
        }
    }

    impl AsRawFd for File {
        fn as_raw_fd(&self) -> RawFd {
            self.file.as_raw_fd()
        }
    }

    impl From<OwnedFd> for File {
        fn from(descriptor: OwnedFd) -> Self {
            std::fs::File::from(descriptor).into()
        }
    }
}

#[cfg(windows)]
mod handle {
    use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, OwnedHandle, RawHandle};

    use super::File;

    impl AsHandle for File {
        fn as_handle(&self) -> BorrowedHandle<'_> {
            self.file.as_handle()
        }
    }

    impl AsRawHandle for File {
        fn as_raw_handle(&self) -> RawHandle {
            self.file.as_raw_handle()
        }
    }

    impl From<OwnedHandle> for File {
        fn from(handle: OwnedHandle) -> Self {
            std::fs::File::from(handle).into()
        }
    }
}
