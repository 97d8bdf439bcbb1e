//! The standard streams of this process, without blocking tasks.
//!
//! Standard input is read on a thread of its own. That thread holds up neither the end of the process nor
//! `blocking::shutdown_timeout`, even while it waits for a terminal. The other two are written on threads for blocking work.
//!
//! # Examples
//!
//! ```no_run
//! use futures_lite::{AsyncBufReadExt, AsyncWriteExt, StreamExt, io::BufReader};
//! use polyexec_io::stdio::{stdin, stdout};
//!
//! # polyexec_core::block_on(async {
//! let (mut lines, mut out) = (BufReader::new(stdin()).lines(), stdout());
//! while let Some(line) = lines.next().await {
//!     out.write_all(line?.to_uppercase().as_bytes()).await?;
//!     out.write_all(b"\n").await?;
//!     out.flush().await?; // or it may be lost at the end
//! }
//! # std::io::Result::Ok(())
//! # })?;
//! # Ok::<(), std::io::Error>(())
//! ```

use std::fmt;
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker, ready};

use futures_io::{AsyncRead, AsyncWrite};
use parking_lot::Mutex;
use polyexec_core::executor::process::{PerProcess, Process};
use polyexec_core::task::poll_proceed;
use polyexec_threaded::blocking::Unblock;
use polyexec_threads::{MIN_STACK, Settings, ThreadPool, WhenBusy};

/// The most bytes that the thread reads at once: what `std` has room for.
const ROOM: usize = 8 << 10;

/// Reads standard input.
///
/// All handles of the process share one thread and what it has read: a byte goes to one of them. A program that reads
/// [`std::io::stdin`], too, can't tell which of the two gets what.
///
/// # What dropping does
///
/// A read that it has begun goes on, since the system can't be told to stop. Its bytes go to the next handle.
///
/// # Cancel safety
///
/// A read that is dropped early loses nothing: its bytes go to the next one.
#[derive(Debug)]
pub struct Stdin {
    number: u64,
}

/// A handle of standard input. See the [module](self).
pub fn stdin() -> Stdin {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    // Relaxed: numbers only have to differ.
    Stdin { number: NEXT.fetch_add(1, Relaxed) }
}

/// What the handles share. A forked child has its own.
struct Shared {
    state: Mutex<State>,
    thread: ThreadPool<()>,
}

#[derive(Default)]
struct State {
    /// Bytes that no handle has taken yet, from `begin` on.
    bytes: Vec<u8>,
    begin: usize,
    /// The end of the input, or an error, that no handle knows of yet.
    stopped: Option<io::Result<()>>,
    is_reading: bool,
    /// Handles that wait for the thread, by number.
    waiting: Vec<(u64, Waker)>,
}

fn shared() -> &'static Shared {
    static SHARED: PerProcess<Shared> = PerProcess::new();
    // Lets a forked child notice that it is one, also with a handle of its parent's.
    Process::current();
    SHARED.get_or_init(|| {
        let settings = Settings::new("stdin").stack_size(MIN_STACK).max_threads(1);
        Shared {
            state: Mutex::default(),
            thread: ThreadPool::new(settings, |jobs| jobs.for_each(|()| shared().read())),
        }
    })
}

impl Shared {
    /// Reads once, and wakes the handles that wait.
    fn read(&self) {
        let mut bytes = vec![0; ROOM];
        let read = loop {
            match io::stdin().read(&mut bytes) {
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => (),
                read => break read,
            }
        };
        bytes.truncate(*read.as_ref().unwrap_or(&0));
        self.end_read(|state| {
            if bytes.is_empty() {
                state.stopped = Some(read.map(drop));
            }
            (state.bytes, state.begin) = (bytes, 0);
        });
    }

    /// Lets the next read begin, and wakes the handles that wait.
    fn end_read(&self, note: impl FnOnce(&mut State)) {
        let waiting = {
            let mut state = self.state.lock();
            note(&mut state);
            state.is_reading = false;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(|(_, waker)| waker.wake());
    }
}

impl State {
    /// Takes what is there.
    fn take(&mut self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        let unread = &self.bytes[self.begin..];
        if unread.is_empty() {
            return self.stopped.take().map(|stopped| stopped.map(|()| 0));
        }
        let length = unread.len().min(buffer.len());
        buffer[..length].copy_from_slice(&unread[..length]);
        self.begin += length;
        Some(Ok(length))
    }

    /// Keeps the waker of a handle that waits. Returns the one before.
    fn wait(&mut self, number: u64, waker: Waker) -> Option<Waker> {
        let before = self.forget(number);
        self.waiting.push((number, waker));
        before
    }

    fn forget(&mut self, number: u64) -> Option<Waker> {
        let position = self.waiting.iter().position(|(waiting, _)| *waiting == number)?;
        Some(self.waiting.swap_remove(position).1)
    }
}

impl AsyncRead for Stdin {
    /// # Errors
    ///
    /// The system's, or it has no thread.
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let proceed = ready!(poll_proceed(cx));
        // No waker is cloned, called or dropped under the lock.
        let (shared, waker) = (shared(), cx.waker().clone());
        let mut state = shared.state.lock();
        if let Some(read) = state.take(buffer) {
            drop(state);
            proceed.made_progress();
            return Poll::Ready(read);
        }
        let before = state.wait(self.number, waker);
        let begins = !std::mem::replace(&mut state.is_reading, true);
        drop(state);
        drop(before);
        if begins && let Err(refused) = shared.thread.submit((), WhenBusy::Wait) {
            shared.end_read(|_| ());
            let cause = refused.into_parts().1.unwrap_or_else(|| io::ErrorKind::NotConnected.into());
            return Poll::Ready(Err(io::Error::new(cause.kind(), format!("no thread reads standard input: {cause}"))));
        }
        Poll::Pending
    }
}

impl Drop for Stdin {
    fn drop(&mut self) {
        let waker = shared().state.lock().forget(self.number);
        drop(waker);
    }
}

/// Writes to standard output. Made by [`stdout`].
///
/// A write is ready when a thread has its bytes. Flush to wait until they are written: **they are lost if the process ends
/// first**. Lines may be mixed if several handles, or `println!` and its like, write at the same time.
///
/// # What dropping does
///
/// Bytes that a write has accepted are still written, unless that fails, which goes unnoticed. Closing only flushes.
///
/// # Errors
///
/// A failed write is reported by the next operation, and its bytes are tried again, as for a file.
///
/// # Cancel safety
///
/// A write that is dropped early has accepted nothing. A flush that is dropped early goes on.
#[derive(Debug)]
pub struct Stdout(Unblock<io::Stdout>);

/// Writes to standard error, as [`Stdout`] does to standard output. Made by [`stderr`].
///
/// # What dropping does
///
/// Bytes that a write has accepted are still written, unless that fails, which goes unnoticed. Closing only flushes.
#[derive(Debug)]
pub struct Stderr(Unblock<io::Stderr>);

/// A handle of standard output. See [`Stdout`].
pub fn stdout() -> Stdout {
    Stdout(Unblock::new(io::stdout()))
}

/// A handle of standard error. See [`Stderr`].
pub fn stderr() -> Stderr {
    Stderr(Unblock::new(io::stderr()))
}

macro_rules! output {
    ($stream:ident) => {
        impl AsyncWrite for $stream {
            fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.0).poll_write(cx, bytes)
            }

            fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut self.0).poll_flush(cx)
            }

            fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_flush(cx)
            }
        }
    };
}

output!(Stdout);
output!(Stderr);

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("thread", &self.thread).finish_non_exhaustive()
    }
}
