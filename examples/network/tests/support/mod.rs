//! Starts the programs, watches them from outside, and stops them. Knows no protocol.

#![allow(dead_code, reason = "each test uses its part of this")]

use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{SockRef, Socket};

pub(crate) mod http;

/// How long a test waits for what must come: generous, for machines are slow at times.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// The tests, each on each executor, under a watchdog.
macro_rules! on_every_executor {
    ($($test:ident)*) => {
        $(mod $test {
            #[test]
            fn pool() {
                polyexec_conformance::watched!();
                super::$test("pool");
            }
            #[test]
            fn threaded() {
                polyexec_conformance::watched!();
                super::$test("threaded");
            }
            #[test]
            fn local() {
                polyexec_conformance::watched!();
                super::$test("local");
            }
        })*
    };
}
pub(crate) use on_every_executor;

/// A running program. Dropping it kills it.
pub(crate) struct Program {
    child: Child,
    said: Receiver<String>,
    reported: Receiver<String>,
}

impl Program {
    /// Starts `path` on `executor`.
    pub(crate) fn start(path: &str, executor: &str, args: &[&str]) -> Self {
        Self::spawn(Command::new(path).args(["--executor", executor]).args(args))
    }

    /// Like [`start`](Self::start), with a limit on open files.
    pub(crate) fn start_with_few_files(files: u32, path: &str, executor: &str, args: &[&str]) -> Self {
        let limited = format!("ulimit -n {files} && exec \"$0\" \"$@\"");
        Self::spawn(Command::new("sh").args(["-c", &limited, path, "--executor", executor]).args(args))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a program");
        let said = lines(child.stdout.take().expect("piped"));
        let reported = lines(child.stderr.take().expect("piped"));
        Self { child, said, reported }
    }

    /// The next line on stdout.
    #[track_caller]
    pub(crate) fn says(&self) -> String {
        next(&self.said, "stdout")
    }

    /// The next line on stderr.
    #[track_caller]
    pub(crate) fn reports(&self) -> String {
        next(&self.reported, "stderr")
    }

    /// The address of a server, from its first line.
    #[track_caller]
    pub(crate) fn address(&self) -> SocketAddr {
        let line = self.says();
        let address = line.strip_prefix("listening on ").and_then(|address| address.parse().ok());
        address.unwrap_or_else(|| panic!("no address: {line:?}"))
    }

    /// Sends a signal, by its name without `SIG`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().expect("kill").success());
    }

    /// Waits for the end, and returns the exit code.
    #[track_caller]
    pub(crate) fn ends(&mut self) -> i32 {
        let mut status = None;
        soon("the program ends", || {
            status = self.child.try_wait().expect("a child of ours");
            status.is_some()
        });
        status.and_then(|status| status.code()).expect("no signal ended it")
    }

    /// Stops a server, which must succeed. Returns how many open connections it has finished and cut.
    #[track_caller]
    pub(crate) fn stops(mut self) -> (usize, usize) {
        self.signal("TERM");
        self.has_stopped()
    }

    /// Like [`stops`](Self::stops), and no connection may be cut.
    #[track_caller]
    pub(crate) fn stops_well(self) {
        // A task may be at its very end, whose connection is closed already.
        assert_eq!(self.stops().1, 0, "connections were cut");
    }

    /// Like [`stops`](Self::stops), after the signal.
    #[track_caller]
    pub(crate) fn has_stopped(&mut self) -> (usize, usize) {
        assert_eq!(self.ends(), 0);
        let line = self.says();
        let counts = line.strip_prefix("stopped; of the open connections: ");
        let (finished, cut) = counts.and_then(|counts| counts.split_once(", ")).expect(&line);
        let number = |text: &str| text.split(' ').next().and_then(|number| number.parse().ok()).expect(&line);
        (number(finished), number(cut))
    }

    fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.child.id())
    }

    /// The number of open file descriptors.
    pub(crate) fn files(&self) -> usize {
        fs::read_dir(self.proc("fd")).expect("a process of ours").count()
    }

    /// Waits until as many files are open as before.
    #[track_caller]
    pub(crate) fn has_files_again(&self, files: usize) {
        let mut open = 0;
        let back = within(PATIENCE, || {
            open = self.files();
            open <= files
        });
        assert!(back, "{open} files are open, there were {files}");
    }

    /// Sends a signal, and waits until the server has stopped listening. Doesn't connect to check: it might be accepted.
    #[track_caller]
    pub(crate) fn stops_to_listen(&self, signal: &str, address: SocketAddr) {
        self.signal(signal);
        soon("it listens no more", || !self.listens(address));
        assert!(TcpStream::connect(address).is_err(), "{address} is open yet");
    }

    /// Whether a socket listens on that IPv4 port, from the system's table.
    fn listens(&self, address: SocketAddr) -> bool {
        const LISTENS: &str = "0A";
        let table = fs::read_to_string(self.proc("net/tcp")).expect("a process of ours");
        let port = format!(":{:04X}", address.port());
        table.lines().any(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let local = fields.next().is_some_and(|local| local.ends_with(&port));
            local && fields.nth(1) == Some(LISTENS)
        })
    }

    /// The memory in use, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = fs::read_to_string(self.proc("status")).expect("a process of ours");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("kilobytes") * 1024
    }

    /// Processor time that was used. Linux counts a hundred ticks a second.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(self.proc("stat")).expect("a process of ours");
        // The name, in parentheses, may have anything in it. The fields after it begin with the third.
        let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
        let ticks = |n: usize| fields[n - 3].parse::<u64>().expect("ticks");
        Duration::from_millis(10 * (ticks(14) + ticks(15)))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("stdout: {:?}", self.said.try_iter().collect::<Vec<_>>());
            eprintln!("stderr: {:?}", self.reported.try_iter().collect::<Vec<_>>());
        }
    }
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (line, lines) = mpsc::channel();
    thread::spawn(move || {
        for next in BufReader::new(from).lines().map_while(Result::ok) {
            let _ = line.send(next);
        }
    });
    lines
}

#[track_caller]
fn next(lines: &Receiver<String>, from: &str) -> String {
    lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no line on {from}"))
}

/// Waits until `condition` holds, and fails by name if it doesn't in time.
#[track_caller]
pub(crate) fn soon(what: impl fmt::Display, condition: impl FnMut() -> bool) {
    assert!(within(PATIENCE, condition), "not in time: {what}");
}

/// Whether `condition` holds at some time until then.
pub(crate) fn within(time: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + time;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Connects, with a timeout for reads and writes.
#[track_caller]
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap_or_else(|error| panic!("{address}: {error}"));
    stream.set_read_timeout(Some(PATIENCE)).expect("more than nothing");
    stream.set_write_timeout(Some(PATIENCE)).expect("more than nothing");
    stream
}

/// Like [`connect`], with the smallest buffers, so that a slow reader soon has an effect.
pub(crate) fn connect_with_small_buffers(address: SocketAddr) -> TcpStream {
    let socket = Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a size");
    socket.connect(&address.into()).unwrap_or_else(|error| panic!("{address}: {error}"));
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).expect("more than nothing");
    stream.set_write_timeout(Some(PATIENCE)).expect("more than nothing");
    stream
}

/// Resets the connection.
pub(crate) fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("a socket");
}

/// Closes the writing side.
pub(crate) fn half_close(stream: &TcpStream) {
    stream.shutdown(Shutdown::Write).expect("connected");
}

/// Reads until the end of the connection or a reset. Returns what came before.
#[track_caller]
pub(crate) fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let mut block = vec![0; 64 * 1024];
    loop {
        match stream.read(&mut block) {
            Ok(0) => return all,
            Ok(length) => all.extend_from_slice(&block[..length]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return all,
            // Where there is a time limit, a process that was stopped and goes on sees that.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("no end of the connection: {error}"),
        }
    }
}

/// Bytes with a period that is no power of two.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n % 251) as u8).collect()
}

/// Runs a program to its end. Returns its output.
pub(crate) fn run(path: &str, args: &[&str]) -> Output {
    Command::new(path).args(args).stdin(Stdio::null()).output().expect("a program")
}

/// Runs a program that must fail with `code`, without output. Returns its line on stderr.
#[track_caller]
pub(crate) fn fails(path: &str, args: &[&str], code: i32) -> String {
    let output = run(path, args);
    let line = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(code), "{args:?}: {line}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{args:?}");
    assert_eq!(line.lines().count(), 1, "{args:?}: {line}");
    line
}

/// Checks that a server rejects bad input, and a port in use. `args` are its other arguments.
#[track_caller]
pub(crate) fn refuses_bad_input(path: &str, executor: &str, args: &[&str]) {
    let with = |more: &[&'static str]| [args, more].concat();
    for address in ["nonsense", "127.0.0.1:99999", "127.0.0.1", "nobody.invalid:80", "", ":"] {
        let line = fails(path, &[args, &["--executor", executor, "--listen", address]].concat(), 2);
        assert!(line.contains(&format!("{address:?}")), "{line}");
    }
    assert!(fails(path, &with(&["--executor", "none"]), 2).contains("no executor \"none\""));
    assert!(fails(path, &with(&["--drain", "-1"]), 2).contains("--drain"));
    assert!(fails(path, &with(&["--drain", "inf"]), 2).contains("--drain"));
    assert!(fails(path, &with(&["--drain"]), 2).contains("--drain"));
    assert!(fails(path, &with(&["--what"]), 2).contains("--what"));
    let help = run(path, &["--help"]);
    assert!(help.status.success());
    assert!(String::from_utf8_lossy(&help.stdout).contains("--drain SECONDS"));

    let first = Program::start(path, executor, args);
    let address = first.address().to_string();
    let line = fails(path, &[args, &["--executor", executor, "--listen", &address]].concat(), 1);
    assert!(line.contains(&format!("can't listen on {address}: ")) && line.contains("in use"), "{line}");
    first.stops_well();
}
