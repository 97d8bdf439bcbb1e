//! Signals of the operating system, as a stream. `signal-hook` handles them, and the driver waits for its pipe: there is no thread.
//!
//! Any number of listeners, on any executors, may wait for the same signal, and each gets it.
//!
//! # Examples
//!
//! A server that stops on Ctrl-C, and on `kill`:
//!
//! ```
//! use polyexec_io::signal::{Signals, consts::{SIGINT, SIGTERM}};
//!
//! # polyexec_core::block_on(async {
//! let mut signals = Signals::new([SIGINT, SIGTERM])?;
//! # signal_hook::low_level::raise(SIGTERM)?;
//! // … accept connections meanwhile …
//! let signal = signals.recv().await?;
//! assert_eq!(signal, SIGTERM);
//! # std::io::Result::Ok(())
//! # })?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # What a signal does otherwise
//!
//! **Once a listener was made for a signal, the signal never has its default effect again in this process**, not even after the
//! listener was dropped. So a program that has waited for Ctrl-C once can't be ended by it any more, unless it goes on listening.
//! `signal_hook::low_level::emulate_default_handler` ends the process as the signal would have. Programs that the process starts have
//! the defaults.

use std::fmt;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, RawFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use mio::net::UnixStream;
use signal_hook::iterator::backend::{Pending, SignalDelivery};
use signal_hook::iterator::exfiltrator::SignalOnly;
use signal_hook::low_level::signal_name;

use crate::Io;

/// The numbers of signals: `SIGINT`, `SIGTERM`, `SIGHUP` and so on.
pub mod consts {
    pub use signal_hook::consts::signal::*;
}

/// The numbers that `signal-hook` has room for. No system has more.
const NUMBERS: std::ops::Range<i32> = 1..128;

/// Waits for Ctrl-C, or another `SIGINT`, from the first poll on.
///
/// In a loop, a signal that comes between two calls is lost: make one [`Signals`] there.
///
/// **Afterwards Ctrl-C no longer ends the process**: see the [module](self).
///
/// # Examples
///
/// ```no_run
/// # polyexec_core::block_on(async {
/// println!("running; Ctrl-C stops this");
/// polyexec_io::signal::ctrl_c().await?;
/// println!("cleaning up");
/// # std::io::Result::Ok(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// As for [`Signals::new`] and [`Signals::recv`].
///
/// # Cancel safety
///
/// Dropped early, it has received no signal.
pub async fn ctrl_c() -> io::Result<()> {
    Signals::new([consts::SIGINT])?.recv().await.map(drop)
}

/// Listens for some signals, from [`new`](Signals::new) on.
///
/// No signal is lost between two [`recv`](Signals::recv)s. As in the system itself, one that comes again before it was received counts
/// once.
///
/// # What dropping does
///
/// Ends this listener. Others go on. The signal doesn't get its default effect back: see the [module](self).
pub struct Signals {
    delivery: SignalDelivery<ReadEnd, SignalOnly>,
    /// What the last look at the pipe has found.
    pending: Option<Pending<SignalOnly>>,
}

/// Where a signal's handler reports that there is something to look for.
struct ReadEnd(Io<UnixStream>);

impl AsRawFd for ReadEnd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.get_ref().as_raw_fd()
    }
}

// No user code runs while what has come changes.
impl UnwindSafe for Signals {}
impl RefUnwindSafe for Signals {}

impl Signals {
    /// Listens for `signals`. Without any, [`add`](Signals::add) says later for which.
    ///
    /// # Errors
    ///
    /// As for [`add`](Signals::add). Or the system has no file descriptors.
    pub fn new(signals: impl IntoIterator<Item = i32>) -> io::Result<Self> {
        let (read, write) = UnixStream::pair()?;
        let none: [i32; 0] = [];
        let delivery = SignalDelivery::with_pipe(ReadEnd(Io::new(read)?), write, SignalOnly, none)?;
        let listener = Self { delivery, pending: None };
        signals.into_iter().try_for_each(|signal| listener.add(signal))?;
        Ok(listener)
    }

    /// Listens for one more signal, unless it does already.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: there is no such signal, or no program can wait for it. The latter are `SIGKILL` and `SIGSTOP`, and `SIGSEGV`,
    /// `SIGFPE` and `SIGILL`, after which the program can't go on.
    pub fn add(&self, signal: i32) -> io::Result<()> {
        let refused = |why: &dyn fmt::Display| {
            let name = signal_name(signal).map_or_else(|| format!("signal {signal}"), str::to_owned);
            io::Error::new(io::ErrorKind::InvalidInput, format!("can't wait for {name}: {why}"))
        };
        if signal_hook::consts::FORBIDDEN.contains(&signal) {
            return Err(refused(&"the system or the fault that it reports doesn't let the program go on"));
        }
        if !NUMBERS.contains(&signal) {
            return Err(refused(&"there is no such signal"));
        }
        self.delivery.handle().add_signal(signal).map_err(|cause| refused(&cause))
    }

    /// Waits for the next signal, and returns its number.
    ///
    /// # Errors
    ///
    /// This process is a fork of the one that has made the listener.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped early, it has received none.
    pub async fn recv(&mut self) -> io::Result<i32> {
        std::future::poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// [`recv`](Signals::recv) as a poll. The task is woken when a signal comes.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Signals::recv).
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<i32>> {
        loop {
            if let Some(signal) = self.pending.as_mut().and_then(Iterator::next) {
                return Poll::Ready(Ok(signal));
            }
            self.pending = None;
            let mut reports = [0; 64];
            ready!(self.delivery.get_read().0.poll_read_with(cx, |mut pipe| pipe.read(&mut reports)))?;
            // After the pipe is empty: a handler notes its signal first, and writes then.
            self.pending = Some(self.delivery.pending());
        }
    }
}

/// Never ends. An error is that of [`recv`](Signals::recv).
impl Stream for Signals {
    type Item = io::Result<i32>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_recv(cx).map(Some)
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signals").finish_non_exhaustive()
    }
}
