//! Copies between two streams, both ways at once, until both have ended.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};
use polyexec_core::task::poll_proceed;

/// The bytes that are held for each direction by default.
const SIZE: usize = 8 << 10;

/// Copies from `a` to `b` and from `b` to `a`, until both have ended. Returns the bytes from `a` to `b`, and from `b` to `a`.
///
/// When one stream ends, the other one is closed for writing, and the copy back goes on: so a half-close of a peer is passed on, as a
/// proxy has to. What was read is written and flushed before the copy waits for more.
///
/// # Examples
///
/// A proxy's connection:
///
/// ```
/// use futures_lite::{AsyncRead, AsyncWrite};
///
/// async fn proxy(
///     mut client: impl AsyncRead + AsyncWrite + Unpin,
///     mut server: impl AsyncRead + AsyncWrite + Unpin,
/// ) -> std::io::Result<()> {
///     let (sent, received) = polyexec_io::io::copy_bidirectional(&mut client, &mut server).await?;
///     println!("{sent} bytes there, {received} back");
///     Ok(())
/// }
/// ```
///
/// # Errors
///
/// The first error of either stream, at once. `WriteZero` if a stream accepts no bytes. Bytes that were read from one stream, and not
/// yet written to the other, are lost. The streams are left as they are: dropping them ends the connections.
///
/// # Cancel safety
///
/// Not cancel safe: bytes that were read and not yet written are lost. So give up both streams with it.
pub async fn copy_bidirectional<A, B>(a: &mut A, b: &mut B) -> io::Result<(u64, u64)>
where
    A: AsyncRead + AsyncWrite + Unpin + ?Sized,
    B: AsyncRead + AsyncWrite + Unpin + ?Sized,
{
    copy_bidirectional_with_sizes(a, b, SIZE, SIZE).await
}

/// Like [`copy_bidirectional`], with the bytes that are held from `a` to `b`, and from `b` to `a`. The default is 8 KiB each.
///
/// # Panics
///
/// If a size is zero.
///
/// # Errors
///
/// As for [`copy_bidirectional`].
///
/// # Cancel safety
///
/// As for [`copy_bidirectional`].
pub async fn copy_bidirectional_with_sizes<A, B>(
    a: &mut A,
    b: &mut B,
    a_to_b: usize,
    b_to_a: usize,
) -> io::Result<(u64, u64)>
where
    A: AsyncRead + AsyncWrite + Unpin + ?Sized,
    B: AsyncRead + AsyncWrite + Unpin + ?Sized,
{
    let (mut there, mut back) = (Direction::new(a_to_b), Direction::new(b_to_a));
    poll_fn(|cx| {
        let a_has_ended = there.poll(cx, Pin::new(&mut *a), Pin::new(&mut *b))?;
        let b_has_ended = back.poll(cx, Pin::new(&mut *b), Pin::new(&mut *a))?;
        ready!(a_has_ended);
        ready!(b_has_ended);
        Poll::Ready(Ok((there.written, back.written)))
    })
    .await
}

/// The copy in one direction.
struct Direction {
    /// Bytes that were read and not yet written are those between `begin` and `end`.
    buffer: Box<[u8]>,
    begin: usize,
    end: usize,
    written: u64,
    is_flushed: bool,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Reading,
    /// The reader has ended: what is left is written.
    Ended,
    /// All is written: the writer is closed.
    Closing,
    Done,
}

/// What kept a direction from going on.
#[must_use]
#[derive(PartialEq, Eq)]
enum Step {
    Moved,
    Waits,
    /// There is no room, or nothing to do.
    Nothing,
}

impl Direction {
    fn new(size: usize) -> Self {
        assert!(size > 0, "a buffer of zero bytes moves none");
        let buffer = vec![0; size].into_boxed_slice();
        Self { buffer, begin: 0, end: 0, written: 0, is_flushed: true, phase: Phase::Reading }
    }

    /// Ready when the reader has ended, and the writer was closed.
    fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        mut reader: Pin<&mut R>,
        mut writer: Pin<&mut W>,
    ) -> Poll<io::Result<()>>
    where
        R: AsyncRead + ?Sized,
        W: AsyncWrite + ?Sized,
    {
        while matches!(self.phase, Phase::Reading | Phase::Ended) {
            // Streams that never wait don't keep other tasks waiting.
            let proceed = ready!(poll_proceed(cx));
            let read = self.read(cx, reader.as_mut())?;
            let written = self.write(cx, writer.as_mut())?;
            if read == Step::Moved || written == Step::Moved {
                proceed.made_progress();
            } else if self.phase == Phase::Ended && written == Step::Nothing {
                self.phase = Phase::Closing;
            } else {
                if written == Step::Nothing && !self.is_flushed {
                    // The reader waits, perhaps for the answer to what the writer still has.
                    ready!(writer.poll_flush(cx))?;
                    self.is_flushed = true;
                }
                return Poll::Pending;
            }
        }
        if self.phase == Phase::Closing {
            ready!(writer.poll_close(cx))?;
            self.phase = Phase::Done;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads if there is room, also while the writer waits: some writers are ready only after reads.
    fn read<R: AsyncRead + ?Sized>(&mut self, cx: &mut Context<'_>, reader: Pin<&mut R>) -> io::Result<Step> {
        if self.begin == self.end {
            (self.begin, self.end) = (0, 0);
        }
        if self.phase != Phase::Reading || self.end == self.buffer.len() {
            return Ok(Step::Nothing);
        }
        match reader.poll_read(cx, &mut self.buffer[self.end..]) {
            Poll::Pending => Ok(Step::Waits),
            Poll::Ready(read) => {
                let length = read?;
                self.end += length;
                if length == 0 {
                    self.phase = Phase::Ended;
                }
                Ok(Step::Moved)
            }
        }
    }

    fn write<W: AsyncWrite + ?Sized>(&mut self, cx: &mut Context<'_>, writer: Pin<&mut W>) -> io::Result<Step> {
        if self.begin == self.end {
            return Ok(Step::Nothing);
        }
        match writer.poll_write(cx, &self.buffer[self.begin..self.end]) {
            Poll::Pending => Ok(Step::Waits),
            Poll::Ready(written) => {
                let length = written?;
                if length == 0 {
                    return Err(io::Error::new(io::ErrorKind::WriteZero, "the stream accepts no more bytes"));
                }
                self.begin += length;
                self.written += length as u64;
                self.is_flushed = false;
                Ok(Step::Moved)
            }
        }
    }
}
