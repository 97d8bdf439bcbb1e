//! Signals, child processes and standard streams: what the parent had of them, and what the child does with them.

use std::io::{PipeWriter, Write};
use std::os::fd::AsRawFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::{path::Path, thread, time::Duration};

use futures_lite::future::poll_once;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use polyexec::process::{Child, Command, Stdio};
use polyexec::signal::{Signals, consts::SIGUSR1};
use polyexec::stdio::{Stdin, stdin, stdout};
use polyexec::{Threaded, block_on};

/// What the parent had, for the child to use it.
static LISTENER: Mutex<Option<Signals>> = Mutex::new(None);
static CHILD: Mutex<Option<Child>> = Mutex::new(None);
static INPUT: Mutex<Option<Stdin>> = Mutex::new(None);
/// Whether a thread of the parent reads standard input, and so holds the lock that `std` has for it.
static READS: AtomicBool = AtomicBool::new(false);

/// This process alone gets the signal.
fn raise() {
    // SAFETY: it takes no memory.
    assert_eq!(unsafe { libc::raise(SIGUSR1) }, 0);
}

pub fn had_listener() -> Box<dyn FnOnce()> {
    let mut listener = Signals::new([SIGUSR1]).unwrap();
    *LISTENER.lock().unwrap() = Some(Signals::new([SIGUSR1]).unwrap());
    Box::new(move || {
        block_on(async {
            assert!(poll_once(listener.recv()).await.is_none(), "the forked child's signal came to its parent");
            raise();
            assert_eq!(listener.recv().await.unwrap(), SIGUSR1);
        });
    })
}

pub fn signal() {
    let mut listener = Signals::new([SIGUSR1]).unwrap();
    raise();
    assert_eq!(block_on(listener.recv()).unwrap(), SIGUSR1);
}

pub fn parents_listener() {
    if let Some(listener) = &mut *LISTENER.lock().unwrap() {
        let error = block_on(listener.recv()).unwrap_err();
        assert!(error.to_string().contains("before a fork"), "{error}");
    }
}

/// Runs until its input is closed.
fn cat() -> Child {
    Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).kill_on_drop(true).spawn().unwrap()
}

pub fn had_child() -> Box<dyn FnOnce()> {
    let mut child = cat();
    *CHILD.lock().unwrap() = Some(cat());
    Box::new(move || {
        let the_other = CHILD.lock().unwrap().take().unwrap();
        for child in [&mut child].into_iter().chain(&mut Some(the_other)) {
            // It would have ended by a signal if the forked child's drop had killed it.
            assert!(block_on(child.wait()).unwrap().success());
        }
    })
}

pub fn had_orphan() -> Box<dyn FnOnce()> {
    let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let (id, input) = (child.id(), child.take_stdin());
    drop(child);
    Box::new(move || {
        drop(input);
        // The forked child's exit has closed its copy of the pipe, and the driver asks for the status here.
        while Path::new(&format!("/proc/{id}")).exists() {
            thread::sleep(Duration::from_millis(1));
        }
    })
}

pub fn child() {
    let ended = Command::new("cat").stdin(Stdio::null()).output();
    assert!(block_on(ended).unwrap().status.success());
    drop(cat());
}

pub fn parents_child() {
    if let Some(mut child) = CHILD.lock().unwrap().take() {
        // It is no child of this process.
        block_on(child.wait()).unwrap_err();
    }
}

/// Makes a pipe this process's standard input, and returns its other end.
fn new_input() -> PipeWriter {
    let (reader, writer) = std::io::pipe().unwrap();
    // SAFETY: nothing owns the descriptor 0 but the process, whose input this becomes.
    assert_eq!(unsafe { libc::dup2(reader.as_raw_fd(), 0) }, 0);
    writer
}

/// Whether a byte comes that is written now.
fn reads(stdin: &mut Stdin, input: &mut PipeWriter) {
    input.write_all(b"!").unwrap();
    let mut byte = [0];
    // Not by polyexec's, which would notice the fork.
    futures_lite::future::block_on(stdin.read_exact(&mut byte)).unwrap();
    assert_eq!(byte, *b"!");
}

pub fn had_input() -> Box<dyn FnOnce()> {
    let (mut stdin, mut input) = (stdin(), new_input());
    reads(&mut stdin, &mut input);
    *INPUT.lock().unwrap() = Some(polyexec::stdio::stdin());
    Box::new(move || reads(&mut stdin, &mut input))
}

pub fn had_waiting_read() -> Box<dyn FnOnce()> {
    let mut input = new_input();
    let threaded = Threaded::new();
    let task = threaded.spawn(async { stdin().read(&mut [0; 8]).await.unwrap() });
    READS.store(true, SeqCst);
    // Most likely the thread waits for a byte by then.
    thread::sleep(Duration::from_millis(50));
    Box::new(move || {
        input.write_all(b"!").unwrap();
        assert_eq!(task.join().unwrap(), 1);
        drop(threaded);
    })
}

pub fn input() {
    // A thread that this process doesn't have holds the lock: see "After a fork" in docs/reliability.md.
    if !READS.load(SeqCst) {
        reads(&mut stdin(), &mut new_input());
    }
}

pub fn parents_input() {
    if let Some(stdin) = &mut *INPUT.lock().unwrap() {
        reads(stdin, &mut new_input());
    }
}

pub fn output() {
    block_on(async {
        let mut out = stdout();
        out.write_all(b"from the forked child\n").await.unwrap();
        out.flush().await.unwrap();
    });
}
