//! Files: bytes that can't be written, and the position after operations that were given up.
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::io::{ErrorKind, SeekFrom};
use std::os::fd::AsFd;

use futures_lite::future::poll_once;
use futures_lite::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, StreamExt};
use polyexec_conformance::watched;
use polyexec_core::block_on;
use polyexec_io::fs::unix::{DirBuilderExt, DirEntryExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use polyexec_io::fs::{self, DirBuilder, File, OpenOptions};

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

        // A read goes behind what was written before it.
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

/// The reader of a pipe makes room, as a deletion does on a disk.
#[test]
fn what_could_not_be_written_is_written_once_there_is_room() {
    watched!();
    let path = fresh("room");
    block_on(async {
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
        // Opened for both, it waits for no peer. Without waiting, it is full at some time.
        let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
        let mut file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(&path).await.unwrap();
        let mut accepted = 0;
        let full = loop {
            match file.write(&[7; 4096]).await {
                Ok(length) => accepted += length,
                Err(cause) => break cause,
            }
        };
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
        for _ in 0..2 {
            assert_eq!(file.flush().await.unwrap_err().kind(), ErrorKind::WouldBlock);
            assert_eq!(file.seek(SeekFrom::Start(0)).await.unwrap_err().kind(), ErrorKind::WouldBlock);
        }
        let mut reader = std::fs::File::from(file.as_fd().try_clone_to_owned().unwrap());
        let mut bytes = vec![0; accepted];
        std::io::Read::read_exact(&mut reader, &mut bytes[4096..]).unwrap();
        file.flush().await.unwrap();
        std::io::Read::read_exact(&mut reader, &mut bytes[..4096]).unwrap();
        assert!(bytes.iter().all(|byte| *byte == 7), "other bytes have come");
    });
    std::fs::remove_file(&path).unwrap();
}

/// Begins to read, and gives up while a thread does it.
async fn give_up_a_read(file: &mut File, buffer: &mut [u8]) {
    let position = file.seek(SeekFrom::Current(0)).await.unwrap();
    while poll_once(file.read(buffer)).await.is_some() {
        // The thread was faster.
        file.seek(SeekFrom::Start(position)).await.unwrap();
    }
}

#[test]
fn a_read_that_was_given_up_leaves_the_position_where_the_last_one_ended() {
    watched!();
    let path = fresh("given-up");
    std::fs::write(&path, "one two three").unwrap();
    block_on(async {
        let mut file = OpenOptions::new().read(true).write(true).open(&path).await.unwrap();
        let mut word = [0; 4];
        file.read_exact(&mut word).await.unwrap();
        let mut rest = [0; 100];
        give_up_a_read(&mut file, &mut rest).await;
        file.write_all(b"TWO").await.unwrap();
        file.flush().await.unwrap();
        assert_eq!(fs::read_to_string(&path).await.unwrap(), "one TWO three");

        give_up_a_read(&mut file, &mut rest).await;
        let mut one = [0];
        let mut text = Vec::new();
        while file.read(&mut one).await.unwrap() > 0 {
            text.push(one[0]);
        }
        assert_eq!(text, b" three", "what a read has left goes to the next ones");
        drop(poll_once(file.seek(SeekFrom::Start(4))).await);
        assert_eq!(file.seek(SeekFrom::Start(4)).await.unwrap(), 4);
        file.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"TWO ");
    });
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn folders_are_made_listed_and_removed() {
    watched!();
    let path = fresh("folder");
    block_on(async {
        let deep = path.join("a/b");
        assert_eq!(fs::create_dir(&deep).await.unwrap_err().kind(), ErrorKind::NotFound);
        fs::create_dir_all(&deep).await.unwrap();
        fs::create_dir_all(&deep).await.unwrap();
        DirBuilder::new().mode(0o700).create(path.join("mine")).await.unwrap();
        assert_eq!(fs::metadata(path.join("mine")).await.unwrap().permissions().mode() & 0o777, 0o700);
        // Several batches.
        let mut names = BTreeSet::new();
        for n in 0..300 {
            fs::write(deep.join(n.to_string()), n.to_string()).await.unwrap();
            names.insert(n.to_string());
        }
        fs::unix::symlink("0", deep.join("link")).await.unwrap();
        names.insert("link".to_owned());
        let mut entries = fs::read_dir(&deep).await.unwrap();
        let (mut found, mut links) = (BTreeSet::new(), 0);
        while let Some(entry) = entries.next().await {
            let entry = entry.unwrap();
            links += usize::from(entry.file_type().await.unwrap().is_symlink());
            assert_eq!(entry.ino(), entry.metadata().await.unwrap().ino());
            assert_eq!(entry.path(), deep.join(entry.file_name()));
            assert!(found.insert(entry.file_name().into_string().unwrap()));
        }
        assert!(entries.next().await.is_none());
        assert_eq!((found, links), (names, 1));
        assert_eq!(fs::read_link(deep.join("link")).await.unwrap().to_str(), Some("0"));
        assert!(!fs::metadata(deep.join("link")).await.unwrap().is_symlink());
        assert!(fs::symlink_metadata(deep.join("link")).await.unwrap().is_symlink());
        assert_eq!(fs::copy(deep.join("299"), path.join("copy")).await.unwrap(), 3);
        fs::rename(path.join("copy"), path.join("moved")).await.unwrap();
        fs::hard_link(path.join("moved"), path.join("again")).await.unwrap();
        assert_eq!(fs::read(path.join("again")).await.unwrap(), b"299");
        assert_eq!(fs::remove_dir(&deep).await.unwrap_err().kind(), ErrorKind::DirectoryNotEmpty);
        fs::remove_dir_all(&path).await.unwrap();
        assert_eq!(fs::read_dir(&path).await.unwrap_err().kind(), ErrorKind::NotFound);
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
