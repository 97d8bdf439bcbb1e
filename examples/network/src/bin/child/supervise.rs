//! The program itself, on Unix: its options, and the process that it starts and ends.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use futures_lite::{AsyncBufReadExt, AsyncRead, StreamExt, future::or, io::BufReader};
use lexopt::{Arg, Parser};
use polyexec::{
    Executor, Handle, JoinHandle,
    process::{Child, Command, ExitStatus, Stdio},
    signal::{Signals, consts::*},
    time::{sleep, timeout},
};

use crate::support::cli::{self, Failure, say};
use crate::support::{executors, seconds, text};

const HELP: &str = "\
Runs a program, and prints its lines with a mark.

Usage: child [--limit SECONDS] [--executor NAME] PROGRAM [ARGUMENT]...

  --executor NAME  pool, threaded or local, if compiled in; the default is the first of them
  --limit SECONDS  how long the program may run; the default is no limit
  --help           print this

A line of standard output begins with \"out: \", one of standard error with \"err: \". The last line says how the program ended.
A program that runs for too long is killed. On Ctrl-C and SIGTERM, the program gets a second to end by itself.

Exit code: that of the program, 1 if it didn't end by itself or wasn't found, 2 if the options are invalid.";

/// How long a program may go on after Ctrl-C.
const GRACE: Duration = Duration::from_secs(1);

pub(crate) fn main() -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    let ran = cli::run(|parser| program(parser).map(|ended| code = ended));
    if ran == ExitCode::SUCCESS { code } else { ran }
}

fn program(parser: &mut Parser) -> Result<ExitCode, Failure> {
    let (mut executor, mut limit, mut command) = (None, None, Vec::<OsString>::new());
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("help") | Arg::Short('h') => {
                say(HELP);
                return Ok(ExitCode::SUCCESS);
            }
            Arg::Long("executor") => executor = Some(text(parser)?),
            Arg::Long("limit") => limit = Some(seconds(parser, "--limit")?),
            Arg::Value(program) => {
                command.push(program);
                command.extend(parser.raw_args()?);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let [name, arguments @ ..] = &command[..] else { return Err(Failure::usage("which program?")) };
    let running = executors::choose(executor.as_deref())?.start()?;
    let mut command = Command::new(name);
    // Killed if this fails, or ends by a panic.
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    running.handle.block_on(supervise(&running.handle, command, limit))
}

/// How the program was stopped, if it was.
enum Stopped {
    No,
    TooLong,
    Signal,
}

async fn supervise(executor: &Handle, mut command: Command, limit: Option<Duration>) -> Result<ExitCode, Failure> {
    // First, so that no Ctrl-C comes before.
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(Failure::failed)?;
    let mut child = command.spawn().map_err(Failure::failed)?;
    let out = print(executor, "out", child.take_stdout().expect("piped"));
    let err = print(executor, "err", child.take_stderr().expect("piped"));

    let ends = async { child.wait().await.map(|_| Stopped::No) };
    let is_late = async {
        match limit {
            Some(limit) => sleep(limit).await,
            None => std::future::pending().await,
        }
        Ok(Stopped::TooLong)
    };
    let is_signalled = async { signals.recv().await.map(|_| Stopped::Signal) };
    let stopped = or(ends, or(is_late, is_signalled)).await.map_err(Failure::failed)?;

    let status = end(&mut child, &stopped).await.map_err(Failure::failed)?;
    // Another process may have the pipes, too: what it writes isn't waited for.
    for lines in [out, err] {
        let _ = timeout(GRACE, lines).await;
    }
    say(match stopped {
        Stopped::No => format!("ended: {status}"),
        Stopped::TooLong => format!("ran for too long: {status}"),
        Stopped::Signal => format!("stopped: {status}"),
    });
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(match stopped {
        Stopped::No => code.map_or(ExitCode::FAILURE, ExitCode::from),
        _ => ExitCode::FAILURE,
    })
}

/// Ends a program that was stopped, and returns its status.
async fn end(child: &mut Child, stopped: &Stopped) -> std::io::Result<ExitStatus> {
    if let Stopped::Signal = stopped {
        // The terminal sends Ctrl-C to the child, too. `kill` doesn't.
        let _ = Command::new("kill").arg(child.id().to_string()).status().await;
        if let Ok(status) = timeout(GRACE, child.wait()).await {
            return status;
        }
    }
    child.start_kill()?;
    child.wait().await
}

/// Prints the lines of `stream` with a mark, in a task.
fn print(executor: &Handle, mark: &'static str, stream: impl AsyncRead + Send + Unpin + 'static) -> JoinHandle<()> {
    executor.spawn(async move {
        let mut lines = BufReader::new(stream).split(b'\n');
        while let Some(Ok(line)) = lines.next().await {
            say(format_args!("{mark}: {}", String::from_utf8_lossy(&line)));
        }
    })
}
