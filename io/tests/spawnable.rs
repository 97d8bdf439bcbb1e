//! The future of every public async function is `Send`, so that a task can await it. Compiling is the test. Running it checks
//! that its list is complete.

// The list is that of Unix.
#![cfg(unix)]

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ::hyper::body::Incoming;
use ::hyper::service::service_fn;
use ::hyper::{Request, Response};
use polyexec_core::executor::RunLoop;
use polyexec_core::executor::context::enter;
use polyexec_core::task::{consume_budget, unconstrained};
use polyexec_futures::{CancellationToken, JoinSet, Moment, TaskTracker, TryScope, scope, try_scope, watch};
use polyexec_io::fs::{self, DirBuilder, DirEntry, File, OpenOptions};
use polyexec_io::io::{DuplexStream, copy_bidirectional, copy_bidirectional_with_sizes};
use polyexec_io::net::{Problem, Serve, TcpListener, TcpSocket, TcpStream, UdpSocket, resolve};
use polyexec_io::time::{Interval, Sleep};
use polyexec_io::{Io, hyper};
use polyexec_threaded::blocking::Unblock;

/// A value of any type, for code that never runs.
fn given<T>() -> T {
    unreachable!("these futures are never polled")
}

/// Exceptions: futures of `Local`, which stays on its thread.
const OF_ONE_THREAD: [&str; 2] = ["Local::finished", "Local::run_until"];

/// Exceptions: those of another system.
const OF_WINDOWS: [&str; 2] = ["symlink_dir", "symlink_file"];

/// The bounds of every executor's `spawn`.
fn spawnable(future: impl Future<Output: Send + 'static> + Send + 'static) {
    drop(future);
}

/// Checks each call inside an `async` block, as in a task. Returns the names.
macro_rules! spawnable {
    ($($name:literal: $($call:expr),+;)*) => {{
        $($(spawnable(async { $call.await });)+)*
        [$($name),*]
    }};
}

async fn answer(_: Request<Incoming>) -> Result<Response<String>, Infallible> {
    given()
}

fn of_any_system() -> impl IntoIterator<Item = &'static str> {
    type Here = Io<mio::net::UdpSocket>;
    type Server = Serve<TcpListener, Sleep, fn(Problem<'_, SocketAddr>)>;
    type Bytes = Unblock<Vec<u8>>;
    spawnable! {
        "CancellationToken::run_until_cancelled":
            given::<CancellationToken>().run_until_cancelled(given::<Sleep>());
        "JoinSet::join_all": given::<JoinSet<()>>().join_all();
        "JoinSet::join_next": given::<JoinSet<()>>().join_next();
        "JoinSet::room": given::<JoinSet<()>>().room();
        "JoinSet::shutdown": given::<JoinSet<()>>().shutdown();
        "TaskTracker::wait": given::<TaskTracker>().wait();
        "RunLoop::drive_within": RunLoop::new().drive_within(async {}, || enter(given()), || false);
        "DirBuilder::create": DirBuilder::new().create("path"), given::<DirBuilder>().create(given::<PathBuf>());
        "DirEntry::file_type": given::<DirEntry>().file_type();
        "DirEntry::metadata": given::<DirEntry>().metadata();
        "HyperServer::run": hyper::serve(given::<TcpListener>(), service_fn(answer)).shutdown_on(given::<Sleep>()).run();
        "serve_connection": hyper::serve_connection(given::<TcpStream>(), service_fn(answer), given());
        "File::create": File::create("path"), File::create(given::<PathBuf>());
        "File::metadata": given::<File>().metadata();
        "File::open": File::open("path"), File::open(&given::<PathBuf>());
        "File::set_len": given::<File>().set_len(0);
        "File::set_permissions": given::<File>().set_permissions(given());
        "File::sync_all": given::<File>().sync_all();
        "File::sync_data": given::<File>().sync_data();
        "Interval::tick": given::<Interval>().tick();
        "Io::read_with": given::<Here>().read_with(|_| io::Result::Ok(()));
        "Io::write_with": given::<Here>().write_with(|_| io::Result::Ok(()));
        "OpenOptions::open": OpenOptions::new().open("path"), given::<OpenOptions>().open(given::<PathBuf>());
        "Io::readable": given::<Here>().readable();
        "Io::writable": given::<Here>().writable();
        "Serve::run": given::<Server>().run(|_, _| async {});
        "Serve::run_with_shutdown": given::<Server>().run_with_shutdown(|_, _, _| async {});
        "TcpListener::accept": given::<TcpListener>().accept();
        "TcpListener::bind": TcpListener::bind("localhost:0"), TcpListener::bind(given::<SocketAddr>());
        "TcpSocket::connect": given::<TcpSocket>().connect(given());
        "TcpStream::connect": TcpStream::connect("localhost:0"), TcpStream::connect(given::<Vec<SocketAddr>>());
        "TcpStream::peek": given::<TcpStream>().peek(&mut [0]);
        "UdpSocket::bind": UdpSocket::bind("localhost:0"), UdpSocket::bind(given::<(String, u16)>());
        "UdpSocket::connect":
            given::<UdpSocket>().connect("localhost:0"),
            given::<UdpSocket>().connect(given::<SocketAddr>()),
            given::<UdpSocket>().connect(&given::<SocketAddr>());
        "UdpSocket::peek": given::<UdpSocket>().peek(&mut [0]);
        "UdpSocket::peek_from": given::<UdpSocket>().peek_from(&mut [0]);
        "UdpSocket::peek_sender": given::<UdpSocket>().peek_sender();
        "UdpSocket::recv": given::<UdpSocket>().recv(&mut [0]);
        "UdpSocket::recv_from": given::<UdpSocket>().recv_from(&mut [0]);
        "UdpSocket::send": given::<UdpSocket>().send(b"");
        "UdpSocket::send_to":
            given::<UdpSocket>().send_to(b"", "localhost:0"),
            given::<UdpSocket>().send_to(b"", given::<SocketAddr>()),
            given::<UdpSocket>().send_to(b"", &given::<SocketAddr>());
        "Unblock::get_mut": async { given::<Bytes>().get_mut().await.map(|bytes| bytes.len()) };
        "Unblock::into_inner": given::<Bytes>().into_inner();
        "Unblock::with_mut": given::<Bytes>().with_mut(|bytes| bytes.len());
        "canonicalize": fs::canonicalize("path"), fs::canonicalize(given::<PathBuf>());
        "copy_bidirectional": copy_bidirectional(&mut given::<TcpStream>(), &mut given::<DuplexStream>());
        "copy_bidirectional_with_sizes":
            copy_bidirectional_with_sizes(&mut given::<TcpStream>(), &mut given::<TcpStream>(), 1, 1);
        "copy": fs::copy("path", given::<PathBuf>());
        "create_dir": fs::create_dir("path");
        "create_dir_all": fs::create_dir_all("path");
        "hard_link": fs::hard_link("path", given::<PathBuf>());
        "metadata": fs::metadata("path");
        "read": fs::read("path");
        "read_dir": fs::read_dir("path");
        "read_link": fs::read_link("path");
        "read_to_string": fs::read_to_string("path");
        "remove_dir": fs::remove_dir("path");
        "remove_dir_all": fs::remove_dir_all("path");
        "remove_file": fs::remove_file("path");
        "rename": fs::rename("path", given::<PathBuf>());
        "set_permissions": fs::set_permissions("path", given());
        "symlink_metadata": fs::symlink_metadata("path");
        "write": fs::write("path", b"bytes"), fs::write(given::<PathBuf>(), given::<String>());
        // Generated for every socket by a macro.
        "$socket::readable": given::<TcpStream>().readable();
        "$socket::writable": given::<UdpSocket>().writable();
        "consume_budget": consume_budget();
        "unconstrained": unconstrained(async {});
        "resolve": resolve("localhost:0"), resolve(given::<String>()), resolve(&[given::<SocketAddr>()][..]);
        "scope": scope(async |_| ());
        "try_scope": try_scope(async |_: TryScope<io::Error>| Ok(()));
        "watch": watch(given::<Sleep>(), |_: Moment| ());
    }
}

fn of_unix() -> impl IntoIterator<Item = &'static str> {
    use std::os::unix::net::SocketAddr;

    use polyexec_io::net::unix::{UnixDatagram, UnixListener, UnixStream};
    use polyexec_io::process::{Child, Command};
    use polyexec_io::signal::{Signals, ctrl_c};

    spawnable! {
        "Child::kill": given::<Child>().kill();
        "Child::wait": given::<Child>().wait();
        "Child::wait_with_output": given::<Child>().wait_with_output(), Command::new("ls").output(), Command::new("ls").status();
        "Signals::recv": given::<Signals>().recv();
        "ctrl_c": ctrl_c();
        "UnixDatagram::recv": given::<UnixDatagram>().recv(&mut [0]);
        "UnixDatagram::recv_from": given::<UnixDatagram>().recv_from(&mut [0]);
        "UnixDatagram::send": given::<UnixDatagram>().send(b"");
        "UnixDatagram::send_to":
            given::<UnixDatagram>().send_to(b"", "path"),
            given::<UnixDatagram>().send_to(b"", given::<PathBuf>()),
            given::<UnixDatagram>().send_to(b"", &given::<PathBuf>());
        "UnixDatagram::send_to_addr": given::<UnixDatagram>().send_to_addr(b"", &given::<SocketAddr>());
        "UnixListener::accept": given::<UnixListener>().accept();
        "symlink": polyexec_io::fs::unix::symlink("path", given::<PathBuf>());
        "UnixStream::connect_addr": UnixStream::connect_addr(&given::<SocketAddr>());
        "UnixStream::connect": UnixStream::connect("path"), UnixStream::connect(given::<PathBuf>());
    }
}

/// Adds `name` or `Type::name` for each public async function of a file.
fn find(file: &Path, found: &mut BTreeSet<String>) {
    let mut place = String::new();
    for line in std::fs::read_to_string(file).unwrap().lines() {
        if let Some(rest) = line.trim_start().strip_prefix("impl") {
            // After the parameters: `impl<S: Source> Io<S> {`.
            let of = if rest.starts_with('<') { rest.split_once("> ").map_or(rest, |(_, of)| of) } else { rest };
            place = format!("{}::", of.trim_start().split(['<', ' ']).next().unwrap_or_default());
        } else if line.starts_with('}') {
            place.clear();
        }
        let Some(function) = line.trim_start().strip_prefix("pub async fn ") else { continue };
        let name = function.split(['(', '<']).next().unwrap_or_default();
        found.insert(format!("{place}{name}"));
    }
}

fn search(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            search(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            find(&path, found);
        }
    }
}

#[test]
fn every_public_async_function_is_listed() {
    let listed = of_any_system()
        .into_iter()
        .chain(of_unix())
        .chain(OF_ONE_THREAD)
        .chain(OF_WINDOWS)
        .map(str::to_owned)
        .collect::<BTreeSet<_>>();
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = BTreeSet::new();
    let crates = ["core", "executor-local", "executor-pool", "executor-threaded", "futures-lib", "io", "threads"];
    for of_crate in crates.into_iter().chain(["."]) {
        search(&workspace.join(of_crate).join("src"), &mut found);
    }
    assert_eq!(found, listed, "what is found in the sources (left) and what this checks (right)");
}
