//! A running process: its end, its streams, and its drop.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::process::{ExitStatus, Output};
use std::task::{Context, Poll, ready};

use futures_io::AsyncRead;
use polyexec_core::executor::process::Process;

use super::exit::Exit;
use super::orphan;
use super::pipes::{ChildStderr, ChildStdin, ChildStdout};

/// A process that was started by [`Command::spawn`](super::Command::spawn).
///
/// # What dropping does
///
/// The process goes on, unless [`kill_on_drop`](super::Command::kill_on_drop) is set. Either way it leaves no zombie. Pipes that were not
/// taken are closed.
pub struct Child {
    /// `None` once dropped.
    running: Option<(std::process::Child, Exit)>,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    kill_on_drop: bool,
    made_in: Process,
}

// No user code runs while what is known of the process changes.
impl UnwindSafe for Child {}
impl RefUnwindSafe for Child {}

impl Child {
    /// Registers the pipes and the end. If that fails, kills the process.
    pub(super) fn adopt(mut child: std::process::Child, kill_on_drop: bool) -> io::Result<Self> {
        let parts = (|| {
            let stdin = child.stdin.take().map(ChildStdin::new).transpose()?;
            let stdout = child.stdout.take().map(ChildStdout::new).transpose()?;
            let stderr = child.stderr.take().map(ChildStderr::new).transpose()?;
            Ok((stdin, stdout, stderr, Exit::of(&child)?))
        })();
        match parts {
            Ok((stdin, stdout, stderr, exit)) => {
                let running = Some((child, exit));
                Ok(Self { running, stdin, stdout, stderr, kill_on_drop, made_in: Process::current() })
            }
            Err(cause) => {
                // It was just started, and is at most at its beginning. It ends at once.
                let _ = child.kill();
                let _ = child.wait();
                let cause: io::Error = cause;
                let why = format!("the process was started, but can't be waited for, and was killed: {cause}");
                Err(io::Error::new(cause.kind(), why))
            }
        }
    }

    fn child(&self) -> &std::process::Child {
        &self.running.as_ref().expect("until the drop").0
    }

    fn child_mut(&mut self) -> &mut std::process::Child {
        &mut self.running.as_mut().expect("until the drop").0
    }

    /// The process's id. After its end was waited for, the system may give the id to another process.
    pub fn id(&self) -> u32 {
        self.child().id()
    }

    /// Takes the pipe to the process's standard input, if that is [piped](super::Stdio::piped) and wasn't taken.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.stdin.take()
    }

    /// Takes the pipe from the process's standard output, if that is [piped](super::Stdio::piped) and wasn't taken.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.stdout.take()
    }

    /// Takes the pipe from the process's standard error, if that is [piped](super::Stdio::piped) and wasn't taken.
    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.stderr.take()
    }

    /// Waits for the end of the process, and returns its status: again, if called again.
    ///
    /// Closes the pipe to its standard input first, unless that was taken: the process might wait for more. A process that writes to a
    /// pipe that isn't read stops when the pipe is full: [`wait_with_output`](Child::wait_with_output) reads.
    ///
    /// The status tells an exit code from a signal that has ended the process, such as one that was killed from outside
    /// ([`ExitStatusExt`](std::os::unix::process::ExitStatusExt)); its `Display` says which.
    ///
    /// # Errors
    ///
    /// Another part of this process has taken the status already (`waitpid`), or ignores `SIGCHLD`. Or this process is a fork of the
    /// parent.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        poll_fn(|cx| self.poll_wait(cx)).await
    }

    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<ExitStatus>> {
        let (child, exit) = self.running.as_mut().expect("until the drop");
        exit.poll(cx, child)
    }

    /// The status of the process if it has ended, without waiting.
    ///
    /// # Errors
    ///
    /// As for [`wait`](Child::wait).
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child_mut().try_wait()
    }

    /// Sends `SIGKILL`, without waiting for the end. Does nothing after the end.
    ///
    /// # Errors
    ///
    /// The system's, such as `PermissionDenied` for a process that has changed its user.
    pub fn start_kill(&mut self) -> io::Result<()> {
        self.child_mut().kill()
    }

    /// Sends `SIGKILL`, and waits for the end.
    ///
    /// # Errors
    ///
    /// As for [`start_kill`](Child::start_kill) and [`wait`](Child::wait).
    ///
    /// # Cancel safety
    ///
    /// Dropped after its first poll, the process is killed all the same.
    pub async fn kill(&mut self) -> io::Result<()> {
        self.start_kill()?;
        self.wait().await.map(drop)
    }

    /// Reads standard output and standard error to their ends, if they are [piped](super::Stdio::piped) and were not taken, and waits for
    /// the end of the process.
    ///
    /// A pipe ends when all its writers have closed it. So a grandchild that has it, too, delays this.
    ///
    /// # Errors
    ///
    /// As for [`wait`](Child::wait), or of a read.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, what was read is lost, and the `Child` is dropped.
    pub async fn wait_with_output(mut self) -> io::Result<Output> {
        drop(self.stdin.take());
        let (mut stdout, mut stderr) = (Collected::new(self.stdout.take()), Collected::new(self.stderr.take()));
        let mut status = None;
        let status = poll_fn(|cx| {
            let (read_stdout, read_stderr) = (stdout.poll(cx)?, stderr.poll(cx)?);
            if status.is_none()
                && let Poll::Ready(exited) = self.poll_wait(cx)?
            {
                status = Some(exited);
            }
            ready!(read_stdout);
            ready!(read_stderr);
            status.map_or(Poll::Pending, |status| Poll::Ready(io::Result::Ok(status)))
        })
        .await?;
        Ok(Output { status, stdout: stdout.bytes, stderr: stderr.bytes })
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let Some((mut child, exit)) = self.running.take() else { return };
        // In a forked child, it is the parent's.
        if self.kill_on_drop && self.made_in.is_current() {
            // Fails if it has ended, or isn't ours to kill.
            let _ = child.kill();
        }
        // An error: it isn't this process's child any more.
        if let Ok(None) = child.try_wait() {
            orphan::reap(child, exit);
        }
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("id", &self.id())
            .field("kill_on_drop", &self.kill_on_drop)
            .finish_non_exhaustive()
    }
}

/// A pipe that is read to its end.
struct Collected<R> {
    pipe: Option<R>,
    bytes: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Collected<R> {
    /// Bytes that one read has room for.
    const ROOM: usize = 8 << 10;

    fn new(pipe: Option<R>) -> Self {
        Self { pipe, bytes: Vec::new() }
    }

    /// Ready at the end of the pipe.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(pipe) = &mut self.pipe {
            let before = self.bytes.len();
            self.bytes.resize(before + Self::ROOM, 0);
            let read = Pin::new(pipe).poll_read(cx, &mut self.bytes[before..]);
            let length = if let Poll::Ready(Ok(length)) = &read { *length } else { 0 };
            self.bytes.truncate(before + length);
            if ready!(read)? == 0 {
                self.pipe = None;
            }
        }
        Poll::Ready(Ok(()))
    }
}
