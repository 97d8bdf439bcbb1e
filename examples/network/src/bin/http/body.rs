//! A file's bytes as the body of a response, read block by block at the client's pace. Knows nothing of headers.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Frame;
use polyexec::unblock;

/// The most bytes of one read. Large enough that the detour to a blocking thread costs little in comparison.
pub(crate) const BLOCK: usize = 64 * 1024;

pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

pub(crate) fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

pub(crate) fn text(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).map_err(|never| match never {}).boxed_unsync()
}

/// Streams these bytes of `file`. Reads the next block when the previous one is sent.
pub(crate) fn part_of(file: File, part: Range<u64>) -> Body {
    let blocks = stream::try_unfold((file, part), |(file, part)| async move {
        if part.is_empty() {
            return Ok(None);
        }
        let (file, block, rest) = unblock(move || read(file, part)).await?;
        Ok(Some((Frame::data(block), (file, rest))))
    });
    StreamBody::new(blocks).boxed_unsync()
}

/// Reads the first block of `part`. Returns it with the rest of the range.
fn read(mut file: File, part: Range<u64>) -> io::Result<(File, Bytes, Range<u64>)> {
    let length = (part.end - part.start).min(BLOCK as u64);
    let mut block = Vec::with_capacity(length as usize);
    file.seek(SeekFrom::Start(part.start))?;
    let read = file.by_ref().take(length).read_to_end(&mut block)?;
    if (read as u64) < length {
        // The file is shorter than the head has promised. The connection ends, so the client sees that bytes are missing.
        return Err(io::Error::new(ErrorKind::UnexpectedEof, "the file has become shorter"));
    }
    Ok((file, block.into(), part.start + length..part.end))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn collect(body: Body) -> io::Result<Bytes> {
        Ok(polyexec::block_on(body.collect())?.to_bytes())
    }

    fn file(length: usize) -> (File, Vec<u8>) {
        let bytes: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        (file, bytes)
    }

    #[test]
    fn parts_come_whole() {
        const LENGTH: usize = 3 * BLOCK + 77;
        for part in [0..0, 0..1, 0..LENGTH, 5..BLOCK + 5, BLOCK..2 * BLOCK, LENGTH - 1..LENGTH] {
            let (file, bytes) = file(LENGTH);
            let got = collect(part_of(file, part.start as u64..part.end as u64)).unwrap();
            assert!(got == bytes[part.clone()], "{part:?}");
        }
    }

    #[test]
    fn a_file_that_has_become_shorter_is_an_error() {
        let (file, _) = file(BLOCK + 10);
        let error = collect(part_of(file, 0..BLOCK as u64 + 11)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    }
}
