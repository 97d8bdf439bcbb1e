//! The standard streams of a process, seen from its parent.

use std::future::pending;
use std::io::{BufRead, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use futures_lite::future::{poll_once, zip};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use polyexec_conformance::watched;
use polyexec_core::block_on;
use polyexec_io::stdio::{stderr, stdin, stdout};
use polyexec_threaded::blocking::shutdown_timeout;

use crate::CHILD;

/// The calling `test` again, in a process of its own, whose input is a pipe.
fn child(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(CHILD, test);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

#[test]
fn a_read_that_waits_holds_up_no_end() {
    watched!();
    if is_child() {
        block_on(async {
            let (mut first, mut second) = (stdin(), stdin());
            let (mut one, mut two) = ([0], [0]);
            let mut both = Box::pin(zip(first.read(&mut one), second.read(&mut two)));
            assert!(poll_once(&mut both).await.is_none());
            // It isn't blocking work that a shutdown waits for.
            assert_eq!(shutdown_timeout(Duration::from_secs(3600)), Ok(()));
            std::mem::forget(both);
        });
        return;
    }
    let mut child = child("standard_streams::a_read_that_waits_holds_up_no_end").spawn().unwrap();
    // Open all the time.
    let stdin = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn what_a_dropped_handle_was_to_read_goes_to_the_next() {
    watched!();
    if is_child() {
        block_on(async {
            let mut given_up = stdin();
            let mut buffer = [0; 100];
            assert!(poll_once(given_up.read(&mut buffer)).await.is_none(), "the parent waits");
            drop(given_up);
            println!("ready");
            // Until the thread has read, for a handle that is gone.
            let taken = std::env::temp_dir().join(format!("polyexec-stdin-{}", std::process::id()));
            while !taken.exists() || rustix::io::ioctl_fionread(std::io::stdin()).unwrap() > 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::fs::remove_file(taken).unwrap();
            println!("next");
            let mut rest = String::new();
            let mut later = stdin();
            // Byte by byte, and from two handles.
            later.read_exact(&mut buffer[..3]).await.unwrap();
            assert_eq!(&buffer[..3], b"all");
            drop(later);
            stdin().read_to_string(&mut rest).await.unwrap();
            assert_eq!(rest, " of it\n".repeat(5000));
            // The end comes again.
            assert_eq!(stdin().read(&mut buffer).await.unwrap(), 0);
            assert_eq!(stdin().read(&mut []).await.unwrap(), 0);
        });
        return;
    }
    let mut child = child("standard_streams::what_a_dropped_handle_was_to_read_goes_to_the_next").spawn().unwrap();
    let mut told = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    let mut says = |word| {
        while !line.ends_with(word) {
            assert!(told.read_line(&mut line).unwrap() > 0, "{line}");
        }
    };
    says("ready\n");
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"al").unwrap();
    std::fs::write(std::env::temp_dir().join(format!("polyexec-stdin-{}", child.id())), "").unwrap();
    says("next\n");
    stdin.write_all(format!("l{}", " of it\n".repeat(5000)).as_bytes()).unwrap();
    drop(stdin);
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut told, &mut rest).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{rest}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_was_flushed_is_written() {
    watched!();
    const LINES: usize = 100;
    if is_child() {
        // The harness has begun a line.
        println!();
        let pool = polyexec_pool::Pool::builder().worker_threads(2).build().unwrap();
        let tasks = ["one", "two"].map(|task| {
            pool.spawn(async move {
                let (mut out, mut err) = (stdout(), stderr());
                for n in 0..LINES {
                    out.write_all(format!("{task} {n}\n").as_bytes()).await?;
                    if n % 10 == 0 {
                        err.write_all(format!("{task} {n}\n").as_bytes()).await?;
                    }
                }
                err.close().await?;
                // Closed, it is as flushed: the descriptor is the process's.
                err.write_all(b"closed\n").await?;
                err.flush().await?;
                out.flush().await
            })
        });
        tasks.into_iter().for_each(|task| task.join().unwrap().unwrap());
        // Nothing else holds up the end, either.
        drop(pool.spawn(pending::<()>()));
        return;
    }
    let output = child("standard_streams::what_was_flushed_is_written").output().unwrap();
    assert!(output.status.success());
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    for task in ["one", "two"] {
        let numbers = |text: &str| {
            let lines = text.lines().filter_map(|line| line.strip_prefix(task)?.strip_prefix(' '));
            lines.map(|number| number.parse::<usize>().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(numbers(&out), (0..LINES).collect::<Vec<_>>());
        assert_eq!(numbers(&err), (0..LINES).step_by(10).collect::<Vec<_>>());
    }
    assert_eq!(err.matches("closed\n").count(), 2);
}

/// The pipe has no room for it until the parent reads.
#[test]
fn a_flush_waits_until_all_is_written() {
    watched!();
    const MUCH: usize = 1 << 20;
    if is_child() {
        block_on(async {
            let mut out = stdout();
            out.write_all(&[b'.'; MUCH]).await.unwrap();
            eprintln!("accepted");
            out.flush().await.unwrap();
        });
        // The harness would wait for the stream, too.
        std::process::exit(0);
    }
    let mut child = child("standard_streams::a_flush_waits_until_all_is_written").spawn().unwrap();
    let mut told = std::io::BufReader::new(child.stderr.take().unwrap()).lines();
    while told.next().expect("its word").unwrap() != "accepted" {}
    // Without the wait, it would have ended by now, more likely than not.
    std::thread::sleep(Duration::from_millis(50));
    assert!(child.try_wait().unwrap().is_none());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(output.stdout.iter().filter(|byte| **byte == b'.').count() >= MUCH);
}
