//! The rows about I/O, time and blocking work; this file has their table.

mod blocking;
mod connections;
mod echo;
mod http;
mod timers;

use std::time::Duration;

use self::blocking::RoundTrips;
use self::connections::Connections;
use self::echo::Echo;
use self::http::{Http, Value};
use self::timers::{Late, Sleeps};
use crate::contestants::async_executor::Unblock;
use crate::contestants::io::{Io, LocalIo};
use crate::contestants::polyexec;
use crate::contestants::tokio::SpawnBlocking;
use crate::row::Row;

/// What a pool with sockets and timers can be measured with.
pub trait IoWorkload: Copy + 'static {
    /// As [`PoolWorkload::measure`](super::PoolWorkload::measure).
    fn measure<P: Io>(&self, pool: &P) -> f64;
}

/// What a local executor with sockets and timers can be measured with.
pub trait LocalIoWorkload: Copy + 'static {
    /// As [`PoolWorkload::measure`](super::PoolWorkload::measure).
    fn measure<L: LocalIo>(&self, local: &mut L) -> f64;
}

pub fn rows() -> Vec<Row> {
    let http = |value| Http { connections: 64, requests: 300, value };
    let echo = Echo { connections: 64, round_trips: 300 };
    let blocking = RoundTrips { number: 2_000 };
    vec![
        Row::new(
            "echo",
            "µs/round trip",
            "64 TCP connections within this process, with a task at either end: 300 times, the client sends 64 bytes, and \
             awaits the same. They are connected before the clock starts, and closed after it has stopped. \
             The limit makes the four system calls of a round trip on one thread, one after the other; two could take \
             half of that.",
        )
        .io(echo)
        .limit("no executor: one thread", move || echo.in_turn()),
        Row::new("local_echo", "µs/round trip", "On a local executor: echo, all of it on one thread. The limit is the same.")
            .local_io(echo)
            .limit("no executor: one thread", move || echo.in_turn()),
        Row::new(
            "connections",
            "µs/connection",
            "1,000 TCP connections within this process, open at once: 50 tasks open 20 each, with a round trip after each; \
             then all are closed, and the servers' tasks come to their end.",
        )
        .io(Connections::of(1_000)),
        Row::new(
            "http",
            "µs/request",
            "hyper's HTTP/1 server says hello 300 times on each of 64 connections that stay open. The clients are tasks of \
             the same pool, without hyper: they write the bytes of a request, and read until they have those of the reply. \
             1,000,000 by this is requests a second.",
        )
        .io(http(Value::Each)),
        Row::new("http_p50", "µs", "The same: how long half of the requests take at most, from request to reply.")
            .io(http(Value::Percentile(50))),
        Row::new("http_p99", "µs", "The same: how long 99 % of the requests take at most.")
            .io(http(Value::Percentile(99))),
        Row::new("timers", "ns/sleep", "A task spawns 100,000 that each sleep for 10 ms, and awaits them.")
            .io(Sleeps { number: 100_000, time: Duration::from_millis(10) }),
        Row::new(
            "timers_late",
            "µs",
            "1,000 tasks sleep for 5 to 15 ms, each for another time: how late 99 % of them go on at most. None may be early.",
        )
        .io(Late { number: 1_000, shortest: Duration::from_millis(5), step: Duration::from_micros(10) }),
        Row::new(
            "spawn_blocking",
            "µs/round trip",
            "A task has a thread for blocking work run a function that does nothing, and awaits it, 2,000 times.",
        )
        .with(blocking.on::<polyexec::Unblock>())
        .with(blocking.on::<SpawnBlocking>())
        .with(blocking.on::<Unblock>()),
    ]
}
