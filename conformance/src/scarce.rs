//! Runs a test in a process of its own where threads or files are scarce. Linux only. If the system doesn't allow that, prints so
//! and leaves the test out.

use std::any::type_name;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread::{self, JoinHandle};

use crate::probe::{Gate, threads};
use crate::run::told;
use crate::watchdog::{SOON, Watchdog};

/// The scarce resource.
#[derive(Clone, Copy, Debug)]
pub enum Scarcity {
    /// This many threads, including the main one, for a user without other threads (`RLIMIT_NPROC`). Only root can start such a
    /// process; the limit doesn't apply to root itself.
    Threads(u32),
    /// This many MiB of address space (`RLIMIT_AS`), for threads with large stacks.
    Memory(u32),
    /// This many open files (`RLIMIT_NOFILE`).
    Files(u32),
}

/// A stack size in bytes of which few fit into memory.
pub const STACK: usize = 64 << 20;

/// The system's code for a lack of threads.
pub const EAGAIN: i32 = 11;

/// An environment variable: the test for which a process was started, and its scarcity.
const CHILD: &str = "POLYEXEC_SCARCITY";

/// An environment variable that `verify/sanitize` sets: a sanitizer has addresses and threads of its own.
const SANITIZED: &str = "POLYEXEC_SANITIZED";

/// Printed by that process after its test, so that a process without a test doesn't pass for one.
const DONE: &str = "the test has run under scarcity";

/// Printed instead if the system has no such limit.
const PLENTY: &str = "nothing is scarce here";

/// Runs `body` under each of these, in a process of its own, which runs the calling test again. Call it from the test itself,
/// whose name is taken from the type of `body`.
///
/// # Panics
///
/// If such a process fails, or hangs.
pub fn with_scarcity<F: Fn(Scarcity)>(scarcities: impl IntoIterator<Item = Scarcity>, body: F) {
    let name = type_name::<F>().trim_end_matches("::{{closure}}");
    let (_, test) = name.split_once("::").expect("a test is in a crate");
    scarcities.into_iter().for_each(|scarcity| with_one(scarcity, test, &body));
}

fn with_one(scarcity: Scarcity, test: &str, body: &impl Fn(Scarcity)) {
    let told_child = format!("{test} {scarcity:?}");
    match std::env::var_os(CHILD) {
        Some(child) if *child == *told_child => {
            let _watchdog = Watchdog::new(&told_child, SOON);
            if is_scarce(scarcity) {
                body(scarcity);
                println!("{DONE}");
            } else {
                println!("{PLENTY}");
            }
        }
        // The test has several scarcities, and this process is for another one.
        Some(_) => {}
        None if std::env::var_os(SANITIZED).is_some() => {
            leave_out(&told_child, "a sanitizer has more than that for itself")
        }
        None => {
            // The child's watchdog comes first.
            let _watchdog = Watchdog::new(&told_child, 2 * SOON);
            run_again(test, scarcity, &told_child);
        }
    }
}

/// Threads that do nothing. They end when this is dropped.
pub struct Hogs(Vec<(Gate, JoinHandle<()>)>);

impl Hogs {
    /// Takes all threads that the system has for stacks of [`STACK`].
    ///
    /// # Panics
    ///
    /// If there are a hundred: threads aren't scarce.
    pub fn take_all() -> Self {
        let hogs = Self::at_most(100);
        assert!(hogs.0.len() < 100, "threads aren't scarce here");
        hogs
    }

    fn at_most(most: usize) -> Self {
        let mut hogs = Self(Vec::new());
        while hogs.0.len() < most {
            let gate = Gate::new();
            let opened = gate.clone();
            match thread::Builder::new().stack_size(STACK).spawn(move || opened.wait()) {
                Ok(hog) => hogs.0.push((gate, hog)),
                Err(_) => break,
            }
        }
        hogs
    }

    /// Ends one of them: the system has room for one thread.
    ///
    /// # Panics
    ///
    /// If none is left.
    pub fn end_one(&mut self) {
        let (gate, hog) = self.0.pop().expect("a thread that can end");
        gate.open();
        hog.join().expect("it only waits");
    }
}

impl Drop for Hogs {
    fn drop(&mut self) {
        while !self.0.is_empty() {
            self.end_one();
        }
    }
}

/// Waits until the process has as many threads as `before`, according to [`threads`]. The system counts a
/// joined thread for another moment.
pub fn threads_settle_at(before: Option<usize>) {
    while threads() != before {
        thread::yield_now();
    }
}

fn run_again(test: &str, scarcity: Scarcity, told_child: &str) {
    let program = Program::copy();
    let limit = match scarcity {
        // `-u` in some shells, `-p` in others.
        Scarcity::Threads(most) => format!("ulimit -u {most} 2>/dev/null || ulimit -p {most}"),
        Scarcity::Memory(mib) => format!("ulimit -v {}", mib * 1024),
        Scarcity::Files(most) => format!("ulimit -n {most}"),
    };
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{limit} && exec \"$0\" \"$@\"")])
        .arg(&program.0)
        .args(["--exact", test, "--include-ignored", "--nocapture", "--test-threads=1"])
        .env(CHILD, told_child)
        // Otherwise malloc reserves an arena of addresses for each thread, which counts toward the limit.
        .env("MALLOC_ARENA_MAX", "1")
        .stdin(Stdio::null());
    if let Scarcity::Threads(_) = scarcity {
        if !is_root() {
            return leave_out(told_child, "only root can start a process of another user");
        }
        command.uid(program.1).gid(program.1).current_dir("/");
    }
    let output = command.output().unwrap_or_else(|error| panic!("{told_child}: can't start this program: {error}"));
    // The shell's exit code if the program can't be run.
    if output.status.code() == Some(126) {
        return leave_out(told_child, "another user may not run this program");
    }
    if told(&output).contains(PLENTY) {
        return leave_out(told_child, PLENTY);
    }
    assert!(output.status.success(), "{told_child} failed in its own process\n{}", told(&output));
    assert!(told(&output).contains(DONE), "{told_child} has run nothing\n{}", told(&output));
}

/// Whether the limit is in force.
fn is_scarce(scarcity: Scarcity) -> bool {
    match scarcity {
        Scarcity::Threads(most) => are_threads_scarce(most as usize),
        Scarcity::Memory(mib) => are_threads_scarce(((mib as usize) << 20) / STACK),
        Scarcity::Files(most) => {
            let files: io::Result<Vec<_>> = (0..most).map(|_| File::open("/dev/null")).collect();
            files.is_err()
        }
    }
}

/// Whether there are fewer than `most` threads.
fn are_threads_scarce(most: usize) -> bool {
    let before = threads();
    let is_scarce = Hogs::at_most(most).0.len() < most;
    threads_settle_at(before);
    is_scarce
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Not `eprintln`, which the test harness captures.
fn leave_out(test: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "{test}: LEFT OUT, {why}");
}

/// A copy of this program that any user may run, removed by the drop; and a user without other processes.
struct Program(PathBuf, u32);

impl Program {
    fn copy() -> Self {
        static COPIES: AtomicU32 = AtomicU32::new(0);
        // Relaxed: numbers only have to differ.
        let number = COPIES.fetch_add(1, Relaxed);
        let process = std::process::id();
        let user = 61_000 + process.wrapping_mul(16).wrapping_add(number) % 4_000;
        let name = format!("polyexec-scarce-{process}-{number}");
        let copy = std::env::temp_dir().join(name);
        // Copied by another process. A file open for writing here would also be open, for a moment, in each child that another
        // thread starts, and so couldn't be run.
        let this = std::env::current_exe().expect("the path of this program");
        let copied = Command::new("cp").args([this.as_path(), &copy]).status().expect("`cp`");
        assert!(copied.success(), "can't copy {} to {}", this.display(), copy.display());
        Self(copy, user)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
