//! Which auto traits the public types of every crate have. A type that loses one breaks programs, and no other test fails.
//!
//! Owners, handles, builders, sockets, timers and files have them all, but for what belongs to its thread. What holds
//! values of its user's has the traits that these have; here they have all.

// The lists are those of Unix.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::Path;
// polyexec's own `test` comes with its `*`.
use std::prelude::v1::test;

use polyexec::executor::context::{Entered, Outside};
use polyexec::executor::driver::{Looks, Polled, Priority, ReadyWakers, Working};
use polyexec::executor::process::{PerProcess, Process};
use polyexec::executor::{
    Alarm, Boxed, HostedTask, HostedTasks, LazyStart, OwnedTasks, OwnerThread, Parker, Ran, Rejected, RunLoop, Task,
    TaskSlot, ThreadBound,
};
use polyexec::{
    net::{
        Addresses, Incoming, Problem, Report, Serve, ServeError, TcpListener, TcpSocket, TcpStream, UdpSocket,
        unix::{UnixDatagram, UnixListener, UnixStream},
    },
    time::{Elapsed, Interval, MissedTick, Sleep, Timeout},
    *,
};
use polyexec_futures::{Counter, Inspect, Moment, YieldNow};
use polyexec_io::Io;
use polyexec_threads::{Jobs, Refused, Settings, Submitted, ThreadPool, WhenBusy};

/// Whether a type has a trait: of two constants of one name, the inherent one goes before the trait's.
macro_rules! has {
    ($type:ty: $trait:ident) => {{
        #[allow(dead_code)]
        trait Otherwise {
            const HAS: bool = false;
        }
        impl<T: ?Sized> Otherwise for T {}
        struct Asked<T: ?Sized>(PhantomData<T>);
        #[allow(dead_code)]
        impl<T: ?Sized + $trait> Asked<T> {
            const HAS: bool = true;
        }
        <Asked<$type>>::HAS
    }};
}

/// The types that a crate has, and the traits that each has.
macro_rules! types {
    ($($type:ty),+ $(,)?) => {{
        let mut types = BTreeMap::new();
        $(
            let traits = [
                ("Send", has!($type: Send)),
                ("Sync", has!($type: Sync)),
                ("Unpin", has!($type: Unpin)),
                ("UnwindSafe", has!($type: UnwindSafe)),
                ("RefUnwindSafe", has!($type: RefUnwindSafe)),
            ];
            let lacks = traits.into_iter().filter(|(_, has)| !has).map(|(name, _)| name).collect::<Vec<_>>();
            types.insert(name(stringify!($type)), lacks);
        )+
        types
    }};
}

/// `Timeout` of `polyexec::time::Timeout<Sleep>`.
fn name(path: &str) -> &str {
    let path = path.split('<').next().unwrap_or_default();
    path.rsplit("::").next().unwrap_or_default().trim()
}

/// The types of a crate's sources that anybody can name.
fn find(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("sync/modelled.rs") {
            for line in std::fs::read_to_string(path).unwrap().lines() {
                let line = line.trim_start();
                let Some(rest) = line.strip_prefix("pub struct ").or(line.strip_prefix("pub enum ")) else { continue };
                found.push(rest.split(|letter: char| !letter.is_alphanumeric()).next().unwrap().to_owned());
            }
        }
    }
}

/// Compares a crate's types with those that are found in its sources, and what each lacks.
#[track_caller]
fn check(folder: &str, types: BTreeMap<&str, Vec<&str>>, lack: &[(&str, &[&str])]) {
    let mut found = Vec::new();
    find(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut found);
    found.sort_unstable();
    found.dedup();
    assert_eq!(found, types.keys().copied().collect::<Vec<_>>(), "found in {folder} (left), checked here (right)");
    let lacking = types.iter().filter(|(_, lacks)| !lacks.is_empty()).map(|(name, lacks)| (*name, &**lacks));
    assert_eq!(lacking.collect::<Vec<_>>(), lack, "what lacks which of the traits (left), and may (right)");
}

/// What no panic may have left half done: errors hold one of their user's, as [`std::io::Error`] does.
const UNWINDING: &[&str] = &["UnwindSafe", "RefUnwindSafe"];

#[test]
fn core() {
    let types = types![
        AbortHandle,
        AbortOnDrop<()>,
        Alarm,
        Boxed<Sleep>,
        task::Builder,
        Entered,
        Handle,
        HostedTask,
        HostedTasks,
        JoinError,
        JoinHandle<()>,
        LazyStart<()>,
        Looks,
        observe::End,
        observe::PollOutcome,
        observe::PollWaker,
        observe::Spawned<'static>,
        observe::Wake,
        observe::WakeEffect,
        observe::WorkerEvent,
        Outside,
        OwnedTasks,
        OwnerThread,
        Parker,
        PerProcess<()>,
        Polled,
        Priority,
        task::Proceed,
        Process,
        Ran,
        ReadyWakers,
        Rejected,
        RunLoop,
        task::Scope<'static, 'static>,
        task::ScopedJoinHandle<'static, ()>,
        SpawnError<()>,
        StillRunning,
        Task,
        TaskId,
        TaskInfo,
        TaskSlot,
        ThreadBound<()>,
        Working,
        YieldNow,
    ];
    let lack: &[(_, &[_])] = &[
        // It undoes what was done on this thread.
        ("Entered", &["Send", "Sync"]),
        ("JoinError", UNWINDING),
        // Lent to a closure, for as long as that runs.
        ("Outside", UNWINDING),
        // The poll's in which it was made.
        ("Proceed", &["Send", "Sync"]),
        ("Rejected", UNWINDING),
        ("SpawnError", UNWINDING),
        // A pointer, inside of executors, which have them all.
        ("TaskSlot", &["UnwindSafe"]),
    ];
    check("core/src", types, lack);
}

#[test]
fn threads() {
    let types = types![Jobs<()>, Refused<()>, Settings, Submitted, ThreadPool<()>, WhenBusy];
    check("threads/src", types, &[("Refused", UNWINDING)]);
}

#[test]
fn executors() {
    check("executor-local/src", types![local::Builder, Local, local::LocalHandle], &[("Local", &["Send", "Sync"])]);
    let types = types![pool::Builder, Pool, pool::PoolHandle, pool::Stall, pool::WorkerInfo];
    check("executor-pool/src", types, &[]);
    let types =
        types![Threaded, threaded::ThreadedHandle, threaded::Builder, blocking::Unblock<()>, blocking::Unblocked<()>];
    check("executor-threaded/src", types, &[]);
    check("executor-smol/src", types![Smol, smol::SmolHandle], &[]);
    check("executor-tokio/src", types![Tokio, tokio::TokioHandle], &[]);
    check("src", types![DefaultExecutor, SetDefaultError], &[]);
}

#[test]
fn observers() {
    use polyexec::observe::{
        Dump, Event, EventKind, Lane, LiveTask, Recording, Stuck, TaskState, TaskSummary, Tasks, Timeline,
        TimelineBuilder,
    };

    let types = types![
        Dump,
        Event,
        EventKind,
        Lane,
        LiveTask,
        Recording,
        Stuck,
        TaskState,
        TaskSummary,
        Tasks,
        Timeline,
        TimelineBuilder
    ];
    check("observe/src", types, &[]);
}

#[test]
fn futures() {
    let types = types![
        task::AccessError,
        CancelOnDrop,
        CancellationToken,
        Cancelled<'static>,
        Counter,
        Inspect<fn(u64)>,
        JoinSet<()>,
        task::LocalKey<()>,
        Moment,
        Scope,
        ScopedHandle<()>,
        TaskTracker,
        TaskTrackerToken,
        TrackedFuture<Sleep>,
        TryScope<()>,
        task::WithValues<Sleep>,
    ];
    // The values need not be.
    check("futures-lib/src", types, &[("WithValues", UNWINDING)]);
}

#[test]
fn sockets_timers_and_files() {
    let types = types![
        Addresses,
        process::Child,
        process::ChildStderr,
        process::ChildStdin,
        process::ChildStdout,
        process::Command,
        fs::DirBuilder,
        fs::DirEntry,
        polyexec::io::DuplexStream,
        Elapsed,
        fs::File,
        hyper::CurrentExecutor,
        hyper::HyperConnector,
        hyper::HyperExecutor<DefaultExecutor>,
        hyper::HyperIo<TcpStream>,
        hyper::HyperServer<TcpListener, ()>,
        hyper::HyperTimer,
        Incoming<'static>,
        Interval,
        Io<mio::net::UdpSocket>,
        polyexec::io::Join<(), ()>,
        MissedTick,
        fs::OpenOptions,
        fs::ReadDir,
        Problem<'static, SocketAddr>,
        Report<SocketAddr>,
        Serve<TcpListener>,
        ServeError<SocketAddr>,
        signal::Signals,
        Sleep,
        stdio::Stderr,
        stdio::Stdin,
        stdio::Stdout,
        TcpListener,
        TcpSocket,
        TcpStream,
        Timeout<Sleep>,
        UdpSocket,
        UnixDatagram,
        UnixListener,
        UnixStream,
    ];
    let lack: &[(_, &[_])] = &[
        // A command holds hooks of its user's, as that of `std` does.
        ("Command", UNWINDING),
        // hyper's builder holds a timer of any type.
        ("HyperServer", UNWINDING),
        ("Problem", UNWINDING),
        ("Report", UNWINDING),
        ("ServeError", UNWINDING),
    ];
    check("io/src", types, lack);
}
