//! Lookups of names and operations on files are blocking work like any other: its configuration and its shutdown govern them.

use std::time::Duration;

use futures_lite::future::poll_once;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use polyexec_conformance::probe::Gate;
use polyexec_conformance::watched;
use polyexec_core::block_on;
use polyexec_io::fs::{self, File};
use polyexec_io::net::resolve;
use polyexec_threaded::blocking::{builder, configure, shutdown_timeout, spawn_blocking};

use crate::alone;

#[test]
fn its_configuration_and_its_shutdown_hold_for_lookups_and_files() {
    alone("blocking::its_configuration_and_its_shutdown_hold_for_lookups_and_files", || {
        watched!();
        configure(builder().max_threads(1).thread_name("only")).unwrap();
        let gate = Gate::new();
        let opened = gate.clone();
        let occupant = spawn_blocking(move || opened.wait());
        let path = std::env::current_exe().unwrap();
        block_on(async {
            let mut lookup = Box::pin(resolve("localhost:80"));
            let mut metadata = Box::pin(fs::metadata(&path));
            // The only thread is busy. These are first in its queue: their results are there once a later one has run.
            assert!(poll_once(&mut lookup).await.is_none());
            assert!(poll_once(&mut metadata).await.is_none());
            let last = spawn_blocking(|| std::thread::current().name().map(str::to_owned));
            assert!(poll_once(&mut lookup).await.is_none() && poll_once(&mut metadata).await.is_none());
            gate.open();
            occupant.await.unwrap();
            assert_eq!(last.await.unwrap().as_deref(), Some("only-0"));
            let found = poll_once(&mut lookup).await.expect("it has run").unwrap();
            assert!(!found.is_empty() && found.iter().all(|address| address.ip().is_loopback()), "{found:?}");
            assert!(poll_once(&mut metadata).await.expect("it has run").unwrap().is_file());

            let mut file = File::open("/dev/null").await.unwrap();
            assert_eq!(shutdown_timeout(Duration::from_secs(3600)), Ok(()));
            let told = resolve("localhost:80").await.unwrap_err().to_string();
            assert!(told.contains("can't look up localhost: ") && told.contains("shut down"), "{told}");
            for error in [
                fs::metadata(&path).await.unwrap_err(),
                File::open(&path).await.unwrap_err(),
                file.metadata().await.unwrap_err(),
                file.sync_all().await.unwrap_err(),
            ] {
                assert!(error.to_string().contains("shut down"), "{error}");
            }
            assert!(file.write_all(b"bytes").await.unwrap_err().to_string().contains("lost by a panic or a shutdown"));
            assert!(
                File::from(std::fs::File::open(&path).unwrap())
                    .read(&mut [0])
                    .await
                    .unwrap_err()
                    .to_string()
                    .contains("shut down")
            );
            assert!(resolve("127.0.0.1:80").await.is_ok(), "it needs no thread");
        });
    });
}
