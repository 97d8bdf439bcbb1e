//! Splits a client's bytes into lines of bounded length that are safe to print. Sends nothing.

use std::io;
use std::mem;

use futures_lite::{AsyncBufRead, AsyncBufReadExt};

/// The longest line, in bytes.
pub(crate) const LONGEST: usize = 1024;

/// A client's lines.
pub(crate) struct Lines<R> {
    from: R,
    /// The bytes of the next line so far.
    begun: Vec<u8>,
}

/// What the client has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    Line(String),
    /// A line that is too long. The rest of it was not read.
    TooLong,
    End,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    pub(crate) fn new(from: R) -> Self {
        Self { from, begun: Vec::new() }
    }

    /// Reads the next line, and strips its end. The last line may lack one.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a partial line is kept.
    pub(crate) async fn next(&mut self) -> io::Result<Came> {
        loop {
            let block = self.from.fill_buf().await?;
            if block.is_empty() {
                return Ok(if self.begun.is_empty() { Came::End } else { Came::Line(self.take()) });
            }
            let end = block.iter().position(|byte| *byte == b'\n');
            let part = &block[..end.unwrap_or(block.len())];
            let length = self.begun.len() + part.len();
            // One byte more, which may belong to the line's end.
            let last = part.last().or(self.begun.last());
            if length > LONGEST + 1 || length > LONGEST && last != Some(&b'\r') {
                return Ok(Came::TooLong);
            }
            self.begun.extend_from_slice(part);
            let used = part.len() + usize::from(end.is_some());
            self.from.consume(used);
            if end.is_some() {
                return Ok(Came::Line(self.take()));
            }
        }
    }

    /// Converts to text. Replaces invalid bytes and control characters, which a terminal would obey.
    fn take(&mut self) -> String {
        let line = mem::take(&mut self.begun);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        String::from_utf8_lossy(line).replace(char::is_control, "\u{fffd}")
    }
}

#[cfg(test)]
mod tests {
    use futures_lite::future::block_on;
    use futures_lite::io::{BufReader, Cursor};

    use super::*;

    fn lines(sent: &[u8], buffer: usize) -> Vec<Came> {
        let mut lines = Lines::new(BufReader::with_capacity(buffer, Cursor::new(sent)));
        let mut all = Vec::new();
        loop {
            all.push(block_on(lines.next()).unwrap());
            if !matches!(all.last(), Some(Came::Line(_))) {
                return all;
            }
        }
    }

    fn line(text: &str) -> Came {
        Came::Line(text.to_owned())
    }

    #[test]
    fn lines_whatever_the_blocks() {
        for buffer in [1, 2, 3, 100] {
            assert_eq!(lines(b"a\r\n\nbc\nlast", buffer), [line("a"), line(""), line("bc"), line("last"), Came::End]);
            assert_eq!(lines(b"", buffer), [Came::End]);
        }
    }

    #[test]
    fn garbage_is_shown_as_such() {
        assert_eq!(lines(b"\xff\x1b[2Jx\0\n", 100), [line("\u{fffd}\u{fffd}[2Jx\u{fffd}"), Came::End]);
    }

    #[test]
    fn lines_are_bounded() {
        let longest = vec![b'x'; LONGEST];
        let text = line(&"x".repeat(LONGEST));
        for buffer in [7, 10_000] {
            assert_eq!(lines(&[&longest[..], b"\n"].concat(), buffer), [text.clone(), Came::End]);
            assert_eq!(lines(&[&longest[..], b"\r\n"].concat(), buffer), [text.clone(), Came::End]);
            assert_eq!(lines(&[&longest[..], b"x\n"].concat(), buffer), [Came::TooLong]);
            assert_eq!(lines(&[&longest[..], b"\rx\n"].concat(), buffer), [Came::TooLong]);
        }
    }
}
