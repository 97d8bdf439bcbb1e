//! `Unblock`: the order of bytes, and what happens to them after an error.

use std::io::{self, Cursor, ErrorKind, PipeReader, PipeWriter, Read, Seek, SeekFrom, Write};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, channel};

use futures_lite::future::{FutureExt, poll_once, zip};
use futures_lite::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use polyexec_conformance::watched;
use polyexec_core::block_on;
use polyexec_threaded::blocking::Unblock;

fn pipe(capacity: usize) -> (Unblock<PipeReader>, Unblock<PipeWriter>) {
    let (reader, writer) = io::pipe().unwrap();
    (Unblock::with_capacity(capacity, reader), Unblock::with_capacity(capacity, writer))
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 31 % 251) as u8).collect()
}

#[test]
fn bytes_come_through_a_pipe_in_order_whatever_the_capacity() {
    watched!();
    for (capacity, length) in [(7, 1_000), (4096, 300_000), (2 << 20, 3 << 20)] {
        block_on(async {
            let (mut reader, mut writer) = pipe(capacity);
            let (sent, mut received) = (bytes(length), Vec::new());
            let send = async {
                writer.write_all(&sent).await?;
                // The reader owns that end of the pipe.
                writer.close().await
            };
            let (sent_all, read_all) = zip(send, reader.read_to_end(&mut received)).await;
            sent_all.and(read_all.map(drop)).unwrap();
            assert!(received == sent, "other bytes have arrived than were sent");
            assert_eq!(reader.read(&mut [0; 8]).await.unwrap(), 0, "the end stays the end");
            assert_eq!(writer.write(b"x").await.unwrap_err().kind(), ErrorKind::NotConnected);
            writer.close().await.unwrap();
        });
    }
}

#[test]
fn what_a_read_that_was_given_up_brings_is_the_next_ones() {
    watched!();
    block_on(async {
        let (mut reader, mut writer) = pipe(1024);
        assert!(poll_once(reader.read(&mut [0; 64])).await.is_none());
        writer.write_all(b"not lost").await.unwrap();
        writer.flush().await.unwrap();
        let mut word = [0; 3];
        reader.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"not");
        let mut rest = [0; 64];
        assert_eq!(reader.read(&mut rest).await.unwrap(), 5);
        assert_eq!(&rest[..5], b" lost");
    });
}

#[test]
fn what_was_written_is_written_after_a_drop() {
    watched!();
    let (mut reader, writer) = io::pipe().unwrap();
    block_on(async {
        let mut writer = Unblock::new(writer);
        writer.write_all(b"on its way").await.unwrap();
    });
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "on its way");
}

/// A disk that is full for a while, and accepts few bytes at a time.
#[derive(Debug, Default)]
struct Disk {
    is_full: Arc<AtomicBool>,
    bytes: Vec<u8>,
    flushed: usize,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_full.load(Relaxed) && self.bytes.len() >= 4 {
            return Err(ErrorKind::StorageFull.into());
        }
        let length = bytes.len().min(4);
        self.bytes.extend_from_slice(&bytes[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flushed += 1;
        Ok(())
    }
}

#[test]
fn a_full_disk_is_an_error_each_time_and_nothing_is_missing_in_the_end() {
    watched!();
    block_on(async {
        let is_full = Arc::new(AtomicBool::new(true));
        let mut disk = Unblock::new(Disk { is_full: is_full.clone(), ..Disk::default() });
        disk.write_all(b"important").await.unwrap();
        for _ in 0..3 {
            assert_eq!(disk.flush().await.unwrap_err().kind(), ErrorKind::StorageFull);
            assert_eq!(disk.write(b"more").await.unwrap_err().kind(), ErrorKind::StorageFull);
            assert_eq!(disk.close().await.unwrap_err().kind(), ErrorKind::StorageFull);
        }
        is_full.store(false, Relaxed);
        disk.write_all(b", and more").await.unwrap();
        disk.flush().await.unwrap();
        let disk = disk.into_inner().await.unwrap();
        assert_eq!((disk.bytes.as_slice(), disk.flushed), (&b"important, and more"[..], 1));
    });
}

/// A file whose reads each wait for permission.
struct Slow {
    file: Cursor<Vec<u8>>,
    lets_through: Receiver<()>,
}

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.lets_through.recv().map_err(io::Error::other)?;
        self.file.read(buffer)
    }
}

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Slow {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}

#[test]
fn a_seek_counts_from_what_was_asked_for() {
    watched!();
    block_on(async {
        let (let_through, lets_through) = channel();
        let mut file = Unblock::new(Slow { file: Cursor::new(b"one two three".to_vec()), lets_through });
        // Dropped early, it reads on to the end of its buffer.
        assert!(poll_once(file.read(&mut [0; 7])).await.is_none());
        let_through.send(()).unwrap();
        let mut word = [0; 3];
        file.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"one");
        assert_eq!(file.seek(SeekFrom::Current(1)).await.unwrap(), 4);
        let_through.send(()).unwrap();
        file.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"two");
        assert_eq!(file.seek(SeekFrom::Start(0)).await.unwrap(), 0);
        file.write_all(b"ONE").await.unwrap();
        assert_eq!(file.seek(SeekFrom::End(-5)).await.unwrap(), 8);
        assert_eq!(file.into_inner().await.unwrap().file.into_inner(), b"ONE two three");
    });
}

#[test]
fn the_inner_value_is_lent_and_comes_back() {
    watched!();
    block_on(async {
        let mut numbers = Unblock::new(Cursor::new(vec![1, 2, 3]));
        assert_eq!(numbers.with_mut(|numbers| numbers.get_ref().len()).await.unwrap(), 3);
        numbers.get_mut().await.unwrap().get_mut().push(4);
        assert_eq!(numbers.into_inner().await.unwrap().into_inner(), [1, 2, 3, 4]);
        let mut closed = Unblock::new(Vec::new());
        closed.close().await.unwrap();
        assert_eq!(closed.get_mut().await.unwrap_err().kind(), ErrorKind::NotConnected);
        assert_eq!(closed.with_mut(|_| ()).await.unwrap_err().kind(), ErrorKind::NotConnected);
        assert_eq!(closed.into_inner().await.unwrap_err().kind(), ErrorKind::NotConnected);
    });
}

#[derive(Debug)]
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        panic!("on purpose")
    }
}

#[test]
fn a_panic_comes_to_the_reader_and_the_next_read_is_an_error() {
    watched!();
    block_on(async {
        let mut broken = Unblock::new(Broken);
        let panic = AssertUnwindSafe(broken.read(&mut [0; 8])).catch_unwind().await.unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"on purpose"));
        assert_eq!(broken.read(&mut [0; 8]).await.unwrap_err().kind(), ErrorKind::NotConnected);
    });
}
