//! Files on a full disk, and bytes that can't be written.
#![cfg(target_os = "linux")]

use std::io::{ErrorKind, SeekFrom};

use futures_lite::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use polyexec_conformance::watched;
use polyexec_core::block_on;
use polyexec_io::fs::{self, File, OpenOptions};

/// Every write fails here.
async fn full() -> File {
    OpenOptions::new().read(true).write(true).open("/dev/full").await.unwrap()
}

/// A path of this test that doesn't exist yet.
fn fresh(name: &str) -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("polyexec-{name}-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

#[test]
fn that_bytes_were_lost_is_said_each_time() {
    watched!();
    block_on(async {
        let mut file = full().await;
        file.write_all(b"important").await.unwrap();
        for _ in 0..2 {
            assert_eq!(file.flush().await.unwrap_err().kind(), ErrorKind::StorageFull);
            assert_eq!(file.write(b"more").await.unwrap_err().kind(), ErrorKind::StorageFull);
            assert_eq!(file.sync_all().await.unwrap_err().kind(), ErrorKind::StorageFull);
            assert_eq!(file.sync_data().await.unwrap_err().kind(), ErrorKind::StorageFull);
            assert_eq!(file.set_len(0).await.unwrap_err().kind(), ErrorKind::StorageFull);
            assert_eq!(file.close().await.unwrap_err().kind(), ErrorKind::StorageFull);
        }
    });
}

/// A sync flushes, and has to remember which bytes that has lost.
#[test]
fn that_bytes_were_lost_is_said_whoever_finds_out() {
    watched!();
    block_on(async {
        let mut file = full().await;
        file.write_all(b"important").await.unwrap();
        assert_eq!(file.sync_all().await.unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(file.flush().await.unwrap_err().kind(), ErrorKind::StorageFull);

        let mut file = full().await;
        file.write_all(b"important").await.unwrap();
        assert_eq!(file.close().await.unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(file.close().await.unwrap_err().kind(), ErrorKind::StorageFull);

        // async-fs alone would return the error from a seek.
        let mut file = full().await;
        file.write_all(b"important").await.unwrap();
        assert_eq!(file.read(&mut [0]).await.unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(file.flush().await.unwrap_err().kind(), ErrorKind::StorageFull);
    });
}

/// More bytes than the buffer holds: the writer notices the error before it flushes.
#[test]
fn a_write_to_a_full_disk_says_that_it_is_full() {
    watched!();
    block_on(async {
        let mut file = full().await;
        let error = file.write_all(&vec![1; 64 << 20]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
        assert_eq!(file.flush().await.unwrap_err().kind(), ErrorKind::StorageFull);
    });
}

#[test]
fn a_seek_says_where_to_go_on_after_a_failed_write() {
    watched!();
    block_on(async {
        let mut file = full().await;
        file.write_all(b"important").await.unwrap();
        assert_eq!(file.seek(SeekFrom::Start(0)).await.unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(file.seek(SeekFrom::Start(0)).await.unwrap(), 0);
        file.flush().await.unwrap();
        file.write_all(b"important").await.unwrap();
        assert_eq!(file.flush().await.unwrap_err().kind(), ErrorKind::StorageFull);
    });
}

#[test]
fn that_a_file_cannot_be_synced_loses_nothing() {
    watched!();
    block_on(async {
        let mut file = OpenOptions::new().write(true).open("/dev/null").await.unwrap();
        file.write_all(b"bytes").await.unwrap();
        assert_eq!(file.sync_all().await.unwrap_err().kind(), ErrorKind::InvalidInput);
        file.write_all(b"bytes").await.unwrap();
        file.flush().await.unwrap();
        file.close().await.unwrap();
    });
}

#[test]
fn reads_and_writes_share_a_position() {
    watched!();
    let path = fresh("position");
    block_on(async {
        let mut file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).await.unwrap();
        file.write_all(b"one two three").await.unwrap();
        file.seek(SeekFrom::Start(4)).await.unwrap();
        let mut word = [0; 3];
        file.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"two");
        file.write_all(b" and").await.unwrap();
        file.sync_all().await.unwrap();
        assert_eq!(fs::read_to_string(&path).await.unwrap(), "one two andee");
        file.set_len(3).await.unwrap();
        assert_eq!(file.metadata().await.unwrap().len(), 3);
        fs::remove_file(&path).await.unwrap();
    });
}
