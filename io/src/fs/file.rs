//! A file of async-fs that remembers a failed write.
//!
//! async-fs writes in the background. If that fails, it drops the unwritten bytes, and reports the error once: the next flush
//! succeeds, and a read may return the error as its own.

use std::fmt;
use std::fs::{Metadata, Permissions};
use std::io::{self, SeekFrom};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::Path;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, ready};

use async_fs::File as Inner;
use futures_io::{AsyncRead, AsyncSeek, AsyncWrite};

/// A file, open for reading, for writing, or for both.
///
/// Reads and writes go through a buffer, which another thread fills or empties. So a write may be ready long before the
/// system has the bytes. [`flush`](futures_io::AsyncWrite::poll_flush) waits until it has them, and
/// [`sync_all`](File::sync_all) until the disk has.
///
/// # Errors
///
/// If a write fails, such as on a full disk, the unflushed bytes are lost. The next write, flush, sync, seek or read returns the
/// error. Then each write, flush, sync and close returns it again, until a seek sets a new position.
///
/// # What dropping does
///
/// Closes the file. Unflushed bytes are written in the background; if that fails, it goes unnoticed.
///
/// # Cancel safety
///
/// A read or a seek that is dropped early may have moved the position of the file. A write that is dropped early has written
/// nothing. A flush or a sync that is dropped early goes on, and the next one waits for it.
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
    inner: Inner,
    /// Whether bytes were written since the last successful flush.
    is_dirty: bool,
    /// Set by an operation that has lost bytes, cleared by a seek.
    lost: OnceLock<Lost>,
}

/// Why bytes were lost. An [`io::Error`] can't be cloned.
struct Lost {
    kind: io::ErrorKind,
    code: Option<i32>,
    words: String,
}

impl Lost {
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
        Inner::open(path).await.map(Self::of)
    }

    /// Opens a file for writing. Truncates an existing file, or creates a new one.
    ///
    /// # Errors
    ///
    /// The system's, such as `PermissionDenied`.
    pub async fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        Inner::create(path).await.map(Self::of)
    }

    pub(super) fn of(inner: Inner) -> Self {
        Self { inner, is_dirty: false, lost: OnceLock::new() }
    }

    /// Flushes, and waits until the disk has the contents and the metadata.
    ///
    /// # Errors
    ///
    /// The system's, or that of an earlier write. An error of the disk is returned again, too: the system may forget that it
    /// has failed to write.
    pub async fn sync_all(&self) -> io::Result<()> {
        self.check()?;
        self.note_sync(self.inner.sync_all().await)
    }

    /// Like [`sync_all`](File::sync_all), but without metadata that isn't needed to read the contents.
    ///
    /// # Errors
    ///
    /// As for [`sync_all`](File::sync_all).
    pub async fn sync_data(&self) -> io::Result<()> {
        self.check()?;
        self.note_sync(self.inner.sync_data().await)
    }

    /// Flushes, then truncates the file to `size`, or extends it with zeros. The position stays.
    ///
    /// # Errors
    ///
    /// The system's, or that of an earlier write.
    pub async fn set_len(&self, size: u64) -> io::Result<()> {
        self.check()?;
        // The error may be the flush's.
        self.note_sync(self.inner.set_len(size).await)
    }

    /// The file's metadata.
    ///
    /// # Errors
    ///
    /// The system's.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        self.inner.metadata().await
    }

    /// Sets the file's permissions.
    ///
    /// # Errors
    ///
    /// The system's.
    pub async fn set_permissions(&self, permissions: Permissions) -> io::Result<()> {
        self.inner.set_permissions(permissions).await
    }

    /// Returns the error that has lost bytes, if any.
    fn check(&self) -> io::Result<()> {
        self.lost.get().map_or(Ok(()), |lost| Err(lost.to_error()))
    }

    /// Remembers that `cause` has lost bytes.
    fn note(&self, cause: io::Error) -> io::Error {
        // The first cause stays.
        let _ = self.lost.set(Lost { kind: cause.kind(), code: cause.raw_os_error(), words: cause.to_string() });
        cause
    }

    /// Remembers the error, unless the file just can't be synced or truncated, as a pipe can't.
    fn note_sync(&self, result: io::Result<()>) -> io::Result<()> {
        result.map_err(|cause| match cause.kind() {
            io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported => cause,
            _ => self.note(cause),
        })
    }

    /// Waits until the system has all bytes, so that no other operation returns a write's error as its own.
    fn poll_settle(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_dirty {
            let flushed = ready!(Pin::new(&mut self.inner).poll_flush(cx));
            self.is_dirty = false;
            flushed.map_err(|cause| self.note(cause))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for File {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_settle(cx))?;
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl AsyncWrite for File {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        let written = match ready!(Pin::new(&mut self.inner).poll_write(cx, bytes)) {
            // After an abandoned flush, this is the error of an earlier write.
            Err(cause) if self.is_dirty => {
                self.is_dirty = false;
                return Poll::Ready(Err(self.note(cause)));
            }
            written => written?,
        };
        self.is_dirty = true;
        if written == 0 && !bytes.is_empty() {
            // The background writer has ended: the flush returns why.
            ready!(self.poll_settle(cx))?;
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_settle(cx))?;
        Poll::Ready(self.check())
    }

    /// Flushes, and closes the file even if that fails.
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(self.poll_settle(cx));
        let closed = ready!(Pin::new(&mut self.inner).poll_close(cx));
        Poll::Ready(flushed.and(self.check()).and(closed))
    }
}

impl AsyncSeek for File {
    fn poll_seek(mut self: Pin<&mut Self>, cx: &mut Context<'_>, position: SeekFrom) -> Poll<io::Result<u64>> {
        ready!(self.poll_settle(cx))?;
        let position = ready!(Pin::new(&mut self.inner).poll_seek(cx, position))?;
        self.lost.take();
        Poll::Ready(Ok(position))
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl From<std::fs::File> for File {
    fn from(file: std::fs::File) -> Self {
        Self::of(file.into())
    }
}

/// A panic leaves nothing half done: a background operation is on another thread.
impl UnwindSafe for File {}
impl RefUnwindSafe for File {}

#[cfg(unix)]
mod descriptor {
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

    use super::File;

    impl AsFd for File {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.inner.as_fd()
        }
    }

    impl AsRawFd for File {
        fn as_raw_fd(&self) -> RawFd {
            self.inner.as_raw_fd()
        }
    }

    impl From<OwnedFd> for File {
        fn from(descriptor: OwnedFd) -> Self {
            Self::of(descriptor.into())
        }
    }
}

#[cfg(windows)]
mod handle {
    use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, OwnedHandle, RawHandle};

    use super::File;

    impl AsHandle for File {
        fn as_handle(&self) -> BorrowedHandle<'_> {
            self.inner.as_handle()
        }
    }

    impl AsRawHandle for File {
        fn as_raw_handle(&self) -> RawHandle {
            self.inner.as_raw_handle()
        }
    }

    impl From<OwnedHandle> for File {
        fn from(handle: OwnedHandle) -> Self {
            Self::of(handle.into())
        }
    }
}
