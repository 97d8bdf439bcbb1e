//! Child processes, for every executor: [`Command`] wraps [`std::process::Command`], and its streams and its end are waited for
//! by the driver.
//!
//! On Linux a child has a file descriptor (`pidfd_open`) that the driver watches. On other Unix systems, and on a Linux without it, each
//! child listens for `SIGCHLD`. There is no thread.
//!
//! # Examples
//!
//! ```
//! use futures_lite::{AsyncReadExt, AsyncWriteExt};
//! use polyexec_io::process::{Command, Stdio};
//!
//! # polyexec_core::block_on(async {
//! let listing = Command::new("ls").arg("src").output().await?;
//! assert!(listing.status.success());
//!
//! let mut child = Command::new("tr").args(["a-z", "A-Z"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
//! let (mut stdin, mut stdout) = (child.take_stdin().unwrap(), child.take_stdout().unwrap());
//! stdin.write_all(b"louder").await?;
//! stdin.close().await?;
//! let mut text = String::new();
//! stdout.read_to_string(&mut text).await?;
//! assert_eq!(text, "LOUDER");
//! assert!(child.wait().await?.success());
//! # std::io::Result::Ok(())
//! # })?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # No zombie is left
//!
//! The system keeps a process that has ended until its parent has asked for its status. A [`Child`] that is dropped is asked for
//! by the driver as soon as it has ended, on no thread of its own and without an executor. So dropping a `Child`, giving up a future,
//! or shutting down an executor leaves no zombie.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

pub use std::process::{ExitStatus, Output, Stdio};

pub use child::Child;
pub use pipes::{ChildStderr, ChildStdin, ChildStdout};

use error::NotStarted;

mod child;
mod error;
mod exit;
mod orphan;
mod pipes;

/// How to start a process. Wraps [`std::process::Command`], whose methods it has.
///
/// Whatever it lacks (`uid`, `process_group`, `pre_exec`, …) is there through [`as_std_mut`](Command::as_std_mut), or set before the
/// conversion from a command of `std`.
///
/// # Examples
///
/// ```
/// use polyexec_io::process::Command;
///
/// # polyexec_core::block_on(async {
/// let mut command = Command::new("sh");
/// command.args(["-c", "exit $CODE"]).env("CODE", "3");
/// assert_eq!(command.status().await?.code(), Some(3));
/// # std::io::Result::Ok(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Command {
    std: std::process::Command,
    kill_on_drop: bool,
    /// The streams that were configured here.
    has: Streams,
}

#[derive(Clone, Copy, Debug, Default)]
struct Streams {
    stdin: bool,
    stdout: bool,
    stderr: bool,
}

impl Command {
    /// Starts `program`, from the search path if it has no slash, without arguments, with this process's environment, folder and
    /// streams.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        std::process::Command::new(program).into()
    }

    /// Adds an argument.
    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.std.arg(arg);
        self
    }

    /// Adds arguments.
    pub fn args(&mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> &mut Self {
        self.std.args(args);
        self
    }

    /// Sets an environment variable.
    pub fn env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        self.std.env(name, value);
        self
    }

    /// Sets environment variables.
    pub fn envs(&mut self, variables: impl IntoIterator<Item = (impl AsRef<OsStr>, impl AsRef<OsStr>)>) -> &mut Self {
        self.std.envs(variables);
        self
    }

    /// Doesn't pass on an environment variable.
    pub fn env_remove(&mut self, name: impl AsRef<OsStr>) -> &mut Self {
        self.std.env_remove(name);
        self
    }

    /// Passes on no environment variable.
    pub fn env_clear(&mut self) -> &mut Self {
        self.std.env_clear();
        self
    }

    /// Starts the program in this folder.
    pub fn current_dir(&mut self, folder: impl AsRef<Path>) -> &mut Self {
        self.std.current_dir(folder);
        self
    }

    /// Sets the standard input. The default is this process's; for [`output`](Command::output), nothing.
    pub fn stdin(&mut self, stdin: impl Into<Stdio>) -> &mut Self {
        self.has.stdin = true;
        self.std.stdin(stdin);
        self
    }

    /// Sets the standard output. The default is this process's; for [`output`](Command::output), a pipe.
    pub fn stdout(&mut self, stdout: impl Into<Stdio>) -> &mut Self {
        self.has.stdout = true;
        self.std.stdout(stdout);
        self
    }

    /// Sets the standard error. The default is this process's; for [`output`](Command::output), a pipe.
    pub fn stderr(&mut self, stderr: impl Into<Stdio>) -> &mut Self {
        self.has.stderr = true;
        self.std.stderr(stderr);
        self
    }

    /// Whether dropping the [`Child`] kills the process. The default is `false`: it goes on.
    ///
    /// This includes dropping the futures of [`status`](Command::status), [`output`](Command::output) and
    /// [`wait_with_output`](Child::wait_with_output), and so a timeout around them.
    pub fn kill_on_drop(&mut self, kill: bool) -> &mut Self {
        self.kill_on_drop = kill;
        self
    }

    /// Starts the process. Does so on this thread, which takes about a millisecond.
    ///
    /// # Errors
    ///
    /// The system's, with the program's name: `NotFound`, `PermissionDenied` and so on. Or the system has no file descriptor with
    /// which to wait for the process; then the process was killed.
    pub fn spawn(&mut self) -> io::Result<Child> {
        // First: without the driver no process could be waited for.
        crate::start()?;
        let child = self.std.spawn().map_err(|cause| NotStarted::error(&self.std, cause))?;
        Child::adopt(child, self.kill_on_drop)
    }

    /// Starts the process now, and returns a future of its end.
    ///
    /// # Errors
    ///
    /// As for [`spawn`](Command::spawn) and [`Child::wait`].
    ///
    /// # Cancel safety
    ///
    /// Dropped early, the process goes on, unless [`kill_on_drop`](Command::kill_on_drop) is set.
    pub fn status(&mut self) -> impl Future<Output = io::Result<ExitStatus>> + Send + use<> {
        let child = self.spawn();
        async { child?.wait().await }
    }

    /// Starts the process now, and returns a future of its end and of what it has written.
    ///
    /// Unless configured otherwise, standard input has nothing, and the other two are pipes. What
    /// [`as_std_mut`](Command::as_std_mut) has configured counts as the default.
    ///
    /// # Errors
    ///
    /// As for [`spawn`](Command::spawn) and [`Child::wait_with_output`].
    ///
    /// # Cancel safety
    ///
    /// As for [`status`](Command::status).
    pub fn output(&mut self) -> impl Future<Output = io::Result<Output>> + Send + use<> {
        let default = Streams { stdin: !self.has.stdin, stdout: !self.has.stdout, stderr: !self.has.stderr };
        self.set(default, Stdio::null, Stdio::piped);
        let child = self.spawn();
        self.set(default, Stdio::inherit, Stdio::inherit);
        async { child?.wait_with_output().await }
    }

    /// Sets some streams.
    fn set(&mut self, streams: Streams, input: fn() -> Stdio, output: fn() -> Stdio) {
        if streams.stdin {
            self.std.stdin(input());
        }
        if streams.stdout {
            self.std.stdout(output());
        }
        if streams.stderr {
            self.std.stderr(output());
        }
    }

    /// The command of `std`, to read its settings.
    pub fn as_std(&self) -> &std::process::Command {
        &self.std
    }

    /// The command of `std`, for settings that have no method here.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::os::unix::process::CommandExt;
    ///
    /// use polyexec_io::process::Command;
    ///
    /// let mut command = Command::new("true");
    /// command.as_std_mut().process_group(0); // Ctrl-C in the terminal doesn't reach it
    /// # polyexec_core::block_on(command.status())?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn as_std_mut(&mut self) -> &mut std::process::Command {
        &mut self.std
    }
}

impl From<std::process::Command> for Command {
    fn from(std: std::process::Command) -> Self {
        Self { std, kill_on_drop: false, has: Streams::default() }
    }
}
