//! Child processes, on every executor: their streams, their ends, and that no zombie is left.

use std::io::ErrorKind;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::time::Duration;

use futures_lite::future::{poll_once, zip};
use futures_lite::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, StreamExt, io::BufReader};
use polyexec_conformance::watched;
use polyexec_core::block_on;
use polyexec_io::process::{Command, Stdio};
use polyexec_io::time::{sleep, timeout};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGKILL, SIGTERM};

use crate::alone;

const LONG: &str = "1000";

fn sh(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// Waits until the system knows no such process, not even as a zombie. Its id isn't given away again that soon.
#[track_caller]
fn is_gone(id: u32) {
    while Path::new(&format!("/proc/{id}")).exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The state of a process, such as `Z` for a zombie.
fn state(id: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// All that a child does, as a task.
async fn works() {
    let output = sh("read line; echo \"out $line\"; echo err >&2; exit 3").output().await.unwrap();
    assert_eq!((output.status.code(), &*output.stdout, &*output.stderr), (Some(3), &b"out \n"[..], &b"err\n"[..]));

    let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut stdin, mut stdout) = (child.take_stdin().unwrap(), child.take_stdout().unwrap());
    assert!(child.take_stdin().is_none() && child.take_stdout().is_none() && child.take_stderr().is_none());
    // More than a pipe holds.
    let bytes: Vec<u8> = (0..300_000).map(|n| (n % 251) as u8).collect();
    let write = async {
        stdin.write_all(&bytes).await?;
        stdin.close().await?;
        stdin.write(b"more").await
    };
    let mut read = Vec::new();
    let (written, end) = zip(write, stdout.read_to_end(&mut read)).await;
    assert_eq!((written.unwrap_err().kind(), end.unwrap()), (ErrorKind::BrokenPipe, bytes.len()));
    assert!(read == bytes, "other bytes came back");
    assert!(child.wait().await.unwrap().success());

    let mut child = Command::new("sleep").arg(LONG).spawn().unwrap();
    assert!(child.try_wait().unwrap().is_none());
    assert!(timeout(Duration::from_millis(1), child.wait()).await.is_err());
    child.kill().await.unwrap();
    // Again and again the same.
    for _ in 0..2 {
        assert_eq!(child.wait().await.unwrap().signal(), Some(SIGKILL));
        assert_eq!(child.try_wait().unwrap().unwrap().signal(), Some(SIGKILL));
        child.start_kill().unwrap();
    }
    assert!(state(child.id()).is_none(), "no zombie");
}

#[test]
fn children_work_on_every_executor() {
    watched!();
    let pool = polyexec_pool::Pool::builder().worker_threads(2).build().unwrap();
    let threaded = polyexec_threaded::Threaded::new();
    let foreign = async_executor::Executor::new();
    let tasks = [pool.spawn(works()), pool.spawn(works()), threaded.spawn(works()), threaded.spawn(works())];
    let futures = std::thread::spawn(|| futures_executor::block_on(works()));
    block_on(foreign.run(zip(foreign.spawn(works()), works())));
    polyexec_local::Local::new().block_on(zip(works(), works()));
    tasks.into_iter().for_each(|task| task.join().unwrap());
    futures.join().unwrap();
}

#[test]
fn hundreds_of_children_end_at_once() {
    watched!(Duration::from_secs(60));
    let pool = polyexec_pool::Pool::builder().worker_threads(2).build().unwrap();
    let children: Vec<_> =
        (0..100).map(|n| pool.spawn(async move { sh(&format!("exit {n}")).status().await.unwrap().code() })).collect();
    for (n, child) in (0..).zip(children) {
        assert_eq!(child.join().unwrap(), Some(n));
    }
}

#[test]
fn both_outputs_are_read_at_once() {
    watched!();
    // Either alone would fill its pipe, and the other one is waited for.
    let script = "i=0; while [ $i -lt 3000 ]; do echo 'a line of some length, sixty-four bytes with its newline, no less'; \
                  echo 'and another one for the standard error, to fill that pipe as well' >&2; i=$((i+1)); done";
    let output = block_on(sh(script).output()).unwrap();
    let lines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!((lines(&output.stdout), lines(&output.stderr)), (3000, 3000));
    assert!(output.status.success());
}

#[test]
fn a_child_that_waits_for_more_input_sees_its_end() {
    watched!();
    block_on(async {
        // The pipe isn't taken: `wait` closes it.
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        assert!(child.wait().await.unwrap().success());
        let child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        assert!(child.wait_with_output().await.unwrap().stdout.is_empty());
        // Dropped, too.
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        drop(child.take_stdin());
        assert!(child.wait().await.unwrap().success());
    });
}

#[test]
fn a_program_that_is_not_there_is_named() {
    watched!();
    let error = Command::new("no-such-program").spawn().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().starts_with("can't start \"no-such-program\": "), "{error}");
    let cause = error.get_ref().unwrap().source().unwrap().downcast_ref::<std::io::Error>().unwrap();
    assert!(cause.raw_os_error().is_some(), "nothing is lost");

    let error = block_on(sh("exit").current_dir("/no/such/folder").output()).unwrap_err();
    assert!(error.to_string().starts_with("can't start \"sh\" in \"/no/such/folder\": "), "{error}");
    let error = block_on(Command::new("/").status()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
}

#[test]
fn a_child_killed_from_outside_says_by_which_signal() {
    watched!();
    block_on(async {
        let mut child = Command::new("sleep").arg(LONG).spawn().unwrap();
        let id = child.id().to_string();
        let (killed, status) = zip(Command::new("kill").arg(id).status(), child.wait()).await;
        assert!(killed.unwrap().success());
        let status = status.unwrap();
        assert_eq!((status.signal(), status.code()), (Some(SIGTERM), None));
        assert!(status.to_string().contains("SIGTERM"), "{status}");
    });
}

#[test]
fn dropped_children_leave_no_zombie_and_go_on_unless_killed() {
    watched!();
    // No executor, and no thread that waits for it.
    let child = sh("exit 0").spawn().unwrap();
    let ended = child.id();
    while state(ended) != Some('Z') {
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(child);
    assert!(state(ended).is_none(), "taken by the drop");

    let mut child = sh("read line; exit 0").stdin(Stdio::piped()).spawn().unwrap();
    let (goes_on, stdin) = (child.id(), child.take_stdin());
    drop(child);
    assert!(state(goes_on).is_some_and(|state| state != 'Z'), "it goes on");
    drop(stdin);
    is_gone(goes_on);

    let killed = Command::new("sleep").arg(LONG).kill_on_drop(true).spawn().unwrap().id();
    is_gone(killed);
    // Futures that were given up.
    block_on(async {
        let mut command = sh("echo $$; exec sleep 1000");
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let id = child.id();
        let mut waits = Box::pin(async move { child.wait().await });
        assert!(poll_once(&mut waits).await.is_none());
        drop(waits);
        is_gone(id);
        let child = command.spawn().unwrap();
        let id = child.id();
        assert!(timeout(Duration::from_millis(5), child.wait_with_output()).await.is_err());
        is_gone(id);
    });
}

#[test]
fn a_shutdown_leaves_no_zombie() {
    watched!();
    let (send, ids) = std::sync::mpsc::channel();
    let pool = polyexec_pool::Pool::builder().worker_threads(1).build().unwrap();
    for kill in [true, false] {
        let send = send.clone();
        drop(pool.spawn(async move {
            let mut child = sh("read line").stdin(Stdio::piped()).kill_on_drop(kill).spawn().unwrap();
            // Dropped with the task, which ends the other child.
            let _stdin = child.take_stdin();
            send.send(child.id()).unwrap();
            child.wait().await
        }));
    }
    let ids = [ids.recv().unwrap(), ids.recv().unwrap()];
    assert!(ids.iter().all(|id| state(*id).is_some()));
    drop(pool);
    ids.into_iter().for_each(is_gone);
}

#[test]
fn one_child_reads_what_another_writes() {
    watched!();
    block_on(async {
        let mut first = sh("printf 'b\\na\\nc\\n'").stdout(Stdio::piped()).spawn().unwrap();
        let between = Stdio::try_from(first.take_stdout().unwrap()).unwrap();
        let second = Command::new("sort").stdin(between).output().await.unwrap();
        assert_eq!(second.stdout, b"a\nb\nc\n");
        assert!(first.wait().await.unwrap().success());

        // A pipe that is passed on waits, as programs expect.
        let mut first = sh("exit").stdout(Stdio::piped()).spawn().unwrap();
        let between = Stdio::try_from(first.take_stdout().unwrap()).unwrap();
        let flags = Command::new("cat").arg("/proc/self/fdinfo/0").stdin(between).output().await.unwrap();
        let flags = String::from_utf8(flags.stdout).unwrap();
        let octal = flags.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
        let nonblocking = rustix::fs::OFlags::NONBLOCK.bits();
        assert_eq!(u32::from_str_radix(octal, 8).unwrap() & nonblocking, 0, "{octal}");
        first.wait().await.unwrap();
    });
}

#[test]
fn what_std_has_is_there_and_a_command_can_be_repeated() {
    watched!();
    block_on(async {
        let mut std = std::process::Command::new("sh");
        std.args(["-c", "echo $0 $NAME $LOST; pwd"]).arg0("zero").env("LOST", "lost");
        let mut command = Command::from(std);
        command.env("NAME", "name").env_remove("LOST").current_dir("/").as_std_mut().process_group(0);
        for _ in 0..2 {
            let output = command.output().await.unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), "zero name\n/\n");
        }
        // What `output` has set for itself doesn't last.
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        assert!(child.take_stdin().is_none() && child.take_stderr().is_none());
        child.wait().await.unwrap();
        assert_eq!(command.as_std().get_args().count(), 2);

        let mut clean = sh("echo ${HOME-none} $A $B");
        clean.env_clear().envs([("A", "1"), ("B", "2")]);
        assert_eq!(clean.output().await.unwrap().stdout, b"none 1 2\n");
    });
}

/// A child that talks for a while is heard line by line.
#[test]
fn lines_come_when_they_are_written() {
    watched!();
    block_on(async {
        let mut child = sh("while read line; do echo \"got $line\"; done")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.take_stdin().unwrap();
        let mut lines = BufReader::new(child.take_stdout().unwrap()).lines();
        for n in 0..20 {
            stdin.write_all(format!("{n}\n").as_bytes()).await.unwrap();
            assert_eq!(lines.next().await.unwrap().unwrap(), format!("got {n}"));
        }
        drop(stdin);
        assert!(lines.next().await.is_none());
        assert!(child.wait().await.unwrap().success());
        sleep(Duration::ZERO).await;
    });
}

/// The processes that this one has started, zombies included.
fn children() -> Vec<u32> {
    let parent = std::process::id().to_string();
    let ids = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    ids.filter(|id| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat"));
        stat.is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.split(' ').nth(1) == Some(&parent)))
    })
    .collect()
}

#[test]
fn without_descriptors_a_start_fails_and_leaves_no_process() {
    alone("processes::without_descriptors_a_start_fails_and_leaves_no_process", || {
        watched!();
        // Without pipes, the start itself needs no descriptor: only the wait does.
        let start = |stream: fn() -> Stdio| {
            let mut command = Command::new("sleep");
            command.arg(LONG).stdin(stream()).stdout(stream()).stderr(stream()).kill_on_drop(true).spawn()
        };
        drop(start(Stdio::piped).unwrap());
        let limit = Rlimit { current: Some(64), ..getrlimit(Resource::Nofile) };
        setrlimit(Resource::Nofile, limit).unwrap();
        let (mut failed, mut started) = (0, 0);
        for (free, stream) in (0..).flat_map(|free| [(free, Stdio::inherit as fn() -> Stdio), (free, Stdio::piped)]) {
            let open = || std::fs::File::open("/dev/null");
            let mut files: Vec<_> = std::iter::from_fn(|| open().ok()).collect();
            files.truncate(files.len() - free);
            let child = start(stream);
            drop(files);
            match child {
                Ok(_) => started += 1,
                Err(cause) => {
                    assert!(cause.to_string().contains("Too many open files"), "{cause}");
                    failed += 1;
                }
            }
            if started == 20 {
                break;
            }
        }
        assert!(failed > 3, "{failed}");
        while !children().is_empty() {
            std::thread::sleep(Duration::from_millis(1));
        }
    });
}
