//! TCP echo: connections within this process, a task at either end. The rows about connections and HTTP use its parts.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use super::{IoWorkload, LocalIoWorkload};
use crate::contestants::Spawn;
use crate::contestants::io::{Io, LOOPBACK, Listener, LocalIo, Stream};
use crate::workloads::nanoseconds_each;

/// Bytes that go to the server and come back.
const MESSAGE: usize = 64;

/// Round trips of each connection before the clock starts.
const WARM_UP: u64 = 10;

#[derive(Clone, Copy)]
pub struct Echo {
    pub connections: u64,
    pub round_trips: u64,
}

impl IoWorkload for Echo {
    /// In microseconds.
    fn measure<P: Io>(&self, pool: &P) -> f64 {
        let Self { connections, round_trips } = *self;
        let (streams, servers) = pool.run(connected::<P, _, _, _>(pool.inside(), connections, serve));
        let streams = pool.run(clients::<P, _>(pool.inside(), streams, WARM_UP));
        let (time, streams) = nanoseconds_each(connections * round_trips, || {
            pool.run(clients::<P, _>(pool.inside(), streams, round_trips))
        });
        drop(streams);
        let bytes = servers.into_iter().map(|server| pool.block_on(server)).sum();
        self.check(bytes);
        time / 1_000.0
    }
}

impl LocalIoWorkload for Echo {
    /// In microseconds.
    fn measure<L: LocalIo>(&self, local: &mut L) -> f64 {
        let Self { connections, round_trips } = *self;
        let inside = local.inside();
        let (streams, servers) = local.run(connected::<L::Family, _, _, _>(inside, connections, serve));
        let inside = local.inside();
        let streams = local.run(clients::<L::Family, _>(inside, streams, WARM_UP));
        let inside = local.inside();
        let (time, streams) = nanoseconds_each(connections * round_trips, || {
            local.run(clients::<L::Family, _>(inside, streams, round_trips))
        });
        drop(streams);
        let bytes = servers.into_iter().map(|server| local.run(server)).sum();
        self.check(bytes);
        time / 1_000.0
    }
}

impl Echo {
    /// The number of bytes that have come back.
    fn check(self, bytes: u64) {
        assert_eq!(bytes, self.connections * (WARM_UP + self.round_trips) * MESSAGE as u64);
    }

    /// The limit: one thread makes the four calls of a round trip, one after the other, on each connection in turn.
    pub fn in_turn(self) -> f64 {
        let listener = TcpListener::bind(LOOPBACK).expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let connect = |_| {
            let client = TcpStream::connect(address).expect("the server listens");
            let (server, _) = listener.accept().expect("files may be opened");
            for stream in [&client, &server] {
                stream.set_nodelay(true).expect("it is a TCP stream");
            }
            (client, server)
        };
        let mut connections: Vec<_> = (0..self.connections).map(connect).collect();
        let (time, ()) = nanoseconds_each(self.connections * self.round_trips, || {
            for number in 0..self.round_trips {
                for (seed, (client, server)) in (0..).zip(&mut connections) {
                    let (sent, [mut request, mut reply]) = (message(seed, number), [[0; MESSAGE]; 2]);
                    client.write_all(&sent).expect("there is room");
                    server.read_exact(&mut request).expect("it is there");
                    server.write_all(&request).expect("there is room");
                    client.read_exact(&mut reply).expect("it is there");
                    assert_eq!(reply, sent);
                }
            }
        });
        time / 1_000.0
    }
}

/// The clients' sides of the connections. On each other side, `serve` runs as a task.
pub async fn connected<P: Io, S: Spawn, T, F>(
    executor: S,
    number: u64,
    serve: fn(P::Stream) -> F,
) -> (Vec<P::Stream>, Vec<S::Handle<T>>)
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let listener = P::bind().await.expect("a port is free");
    let address = listener.address().expect("it is bound");
    let (mut clients, mut servers) = (Vec::new(), Vec::new());
    for _ in 0..number {
        clients.push(connect::<P>(address).await);
        servers.push(executor.spawn(serve(accept::<P>(&listener).await)));
    }
    (clients, servers)
}

pub async fn connect<P: Io>(to: SocketAddr) -> P::Stream {
    let stream = P::connect(to).await.expect("the server listens");
    stream.set_nodelay().expect("it is a TCP stream");
    stream
}

pub async fn accept<P: Io>(listener: &P::Listener) -> P::Stream {
    let stream = listener.accept().await.expect("files may be opened");
    stream.set_nodelay().expect("it is a TCP stream");
    stream
}

/// Sends back what comes, until the client closes; how many bytes.
pub async fn serve<S: Stream>(mut stream: S) -> u64 {
    let mut buffer = [0; 1_024];
    let mut bytes = 0;
    loop {
        match stream.read(&mut buffer).await.expect("the client closes in order") {
            0 => return bytes,
            n => {
                stream.write_all(&buffer[..n]).await.expect("the client reads");
                bytes += n as u64;
            }
        }
    }
}

/// Makes round trips on each of the streams, in a task each, and gives the streams back.
async fn clients<P: Io, S: Spawn>(executor: S, streams: Vec<P::Stream>, round_trips: u64) -> Vec<P::Stream> {
    let client = |(seed, mut stream): (usize, P::Stream)| {
        executor.spawn(async move {
            for number in 0..round_trips {
                round_trip(&mut stream, seed as u64, number).await;
            }
            stream
        })
    };
    let tasks: Vec<_> = streams.into_iter().enumerate().map(client).collect();
    let mut streams = Vec::with_capacity(tasks.len());
    for task in tasks {
        streams.push(task.await);
    }
    streams
}

/// No two are the same.
fn message(seed: u64, number: u64) -> [u8; MESSAGE] {
    let mut message = [seed as u8; MESSAGE];
    message[..8].copy_from_slice(&seed.to_le_bytes());
    message[8..16].copy_from_slice(&number.to_le_bytes());
    message
}

/// Sends a message, and awaits the same.
pub async fn round_trip<S: Stream>(stream: &mut S, seed: u64, number: u64) {
    let message = message(seed, number);
    stream.write_all(&message).await.expect("the server reads");
    let mut reply = [0; MESSAGE];
    let mut have = 0;
    while have < MESSAGE {
        let n = stream.read(&mut reply[have..]).await.expect("the server replies");
        assert_ne!(n, 0, "the server closed in the midst of a reply");
        have += n;
    }
    assert_eq!(reply, message);
}
