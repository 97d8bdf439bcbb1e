//! The entries of a folder, read some at a time. Leaves the folders themselves to `functions`.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::fs::{FileType, Metadata};
use std::io;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use polyexec_core::AbortOnDrop;
use polyexec_threaded::blocking::spawn_blocking;

use crate::blocking::unblock;

/// Entries that a thread reads at a time: a way to the thread costs as much as some dozens of them.
const BATCH: usize = 64;

/// The entries of a folder, as a stream. Made by [`read_dir`](super::read_dir).
///
/// # What dropping does
///
/// Closes the folder.
#[derive(Debug)]
pub struct ReadDir(State);

enum State {
    Here(Batch),
    /// A thread reads the next batch.
    Busy(AbortOnDrop<Batch>),
}

#[derive(Default)]
struct Batch {
    entries: VecDeque<io::Result<DirEntry>>,
    /// `None` at the end.
    rest: Option<std::fs::ReadDir>,
}

impl Batch {
    fn read(mut rest: std::fs::ReadDir) -> Self {
        let entries: VecDeque<_> = rest.by_ref().take(BATCH).map(|entry| entry.map(DirEntry::new)).collect();
        let is_more = entries.len() == BATCH;
        Self { entries, rest: is_more.then_some(rest) }
    }
}

// No user code runs while what was read changes.
impl UnwindSafe for ReadDir {}
impl RefUnwindSafe for ReadDir {}

impl ReadDir {
    pub(super) async fn open(path: PathBuf) -> io::Result<Self> {
        let batch = unblock(move || std::fs::read_dir(path).map(Batch::read)).await?;
        Ok(Self(State::Here(batch)))
    }
}

impl Stream for ReadDir {
    type Item = io::Result<DirEntry>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match &mut self.0 {
                State::Here(batch) => {
                    if let Some(entry) = batch.entries.pop_front() {
                        return Poll::Ready(Some(entry));
                    }
                    let Some(rest) = batch.rest.take() else { return Poll::Ready(None) };
                    self.0 = State::Busy(spawn_blocking(|| Batch::read(rest)).abort_on_drop());
                }
                State::Busy(reading) => {
                    let read = ready!(Pin::new(reading).poll(cx));
                    // An error ends the stream.
                    let batch = read.unwrap_or_else(|lost| Batch { entries: [Err(lost.into())].into(), rest: None });
                    self.0 = State::Here(batch);
                }
            }
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here(batch) => batch.rest.fmt(f),
            Self::Busy(_) => f.write_str("<busy>"),
        }
    }
}

/// An entry of a folder. Clones share it.
#[derive(Clone, Debug)]
pub struct DirEntry(Arc<std::fs::DirEntry>);

impl DirEntry {
    fn new(entry: std::fs::DirEntry) -> Self {
        Self(Arc::new(entry))
    }

    /// The path: the folder's, as it was given, and the name.
    pub fn path(&self) -> PathBuf {
        self.0.path()
    }

    /// The name, without the folder.
    pub fn file_name(&self) -> OsString {
        self.0.file_name()
    }

    /// The metadata. Doesn't follow a symbolic link.
    ///
    /// # Errors
    ///
    /// The system's, such as `NotFound` if the file was removed meanwhile.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        let entry = self.0.clone();
        unblock(move || entry.metadata()).await
    }

    /// The type. Doesn't follow a symbolic link.
    ///
    /// # Errors
    ///
    /// The system's, such as `NotFound` if the file was removed meanwhile.
    pub async fn file_type(&self) -> io::Result<FileType> {
        let entry = self.0.clone();
        unblock(move || entry.file_type()).await
    }
}

#[cfg(unix)]
pub(super) mod unix {
    use super::DirEntry;

    /// What Unix says of an entry.
    pub trait DirEntryExt: sealed::Sealed {
        /// The number of its inode.
        fn ino(&self) -> u64;
    }

    impl DirEntryExt for DirEntry {
        fn ino(&self) -> u64 {
            std::os::unix::fs::DirEntryExt::ino(&*self.0)
        }
    }

    mod sealed {
        pub trait Sealed {}

        impl Sealed for super::DirEntry {}
    }
}
