//! HTTP: hyper's server says hello on connections that stay open; the clients are as light as can be.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};

use super::IoWorkload;
use super::echo::connected;
use crate::contestants::Spawn;
use crate::contestants::io::{Io, Stream};
use crate::stats::percentile;
use crate::workloads::nanoseconds_each;

/// Requests on each connection before the clock starts.
const WARM_UP: u64 = 10;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
const HELLO: &str = "Hello, world!";
const REPLY_BEGIN: &[u8] = b"HTTP/1.1 200 OK\r\n";
/// The end of the headers, and the body.
const REPLY_END: &[u8] = b"\r\n\r\nHello, world!";

#[derive(Clone, Copy)]
pub struct Http {
    pub connections: u64,
    pub requests: u64,
    pub value: Value,
}

/// What becomes of the measurement.
#[derive(Clone, Copy)]
pub enum Value {
    /// The whole time, divided by the number of requests.
    Each,
    /// The time within which this many of a hundred requests are answered.
    Percentile(u32),
}

impl IoWorkload for Http {
    /// In microseconds.
    fn measure<P: Io>(&self, pool: &P) -> f64 {
        let (streams, servers) = pool.run(connected::<P, _, _, _>(pool.inside(), self.connections, serve));
        let (streams, _) = pool.run(clients::<P>(pool.inside(), streams, WARM_UP));
        let requests = self.connections * self.requests;
        let (each, (streams, mut times)) =
            nanoseconds_each(requests, || pool.run(clients::<P>(pool.inside(), streams, self.requests)));
        drop(streams);
        servers.into_iter().for_each(|server| pool.block_on(server));
        assert_eq!(times.len() as u64, requests);
        match self.value {
            Value::Each => each / 1_000.0,
            Value::Percentile(percent) => percentile(&mut times, percent).as_secs_f64() * 1_000_000.0,
        }
    }
}

async fn hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(HELLO.as_bytes()))))
}

/// Until the client closes.
async fn serve<S: Stream>(stream: S) {
    let connection = http1::Builder::new().serve_connection(stream.for_hyper(), service_fn(hello));
    connection.await.expect("the client's requests are valid, and it closes between them");
}

/// Sends `requests` on each of the streams, one after the other, by a task each. Returns the streams, and how long each
/// request took.
async fn clients<P: Io>(
    executor: P::Inside,
    streams: Vec<P::Stream>,
    requests: u64,
) -> (Vec<P::Stream>, Vec<Duration>) {
    let client = |mut stream: P::Stream| {
        executor.spawn(async move {
            let mut times = Vec::with_capacity(requests as usize);
            for _ in 0..requests {
                let begin = Instant::now();
                request(&mut stream).await;
                times.push(begin.elapsed());
            }
            (stream, times)
        })
    };
    let tasks: Vec<_> = streams.into_iter().map(client).collect();
    let mut streams = Vec::with_capacity(tasks.len());
    let mut times = Vec::with_capacity(tasks.len() * requests as usize);
    for task in tasks {
        let (stream, its_times) = task.await;
        streams.push(stream);
        times.extend(its_times);
    }
    (streams, times)
}

/// One request, and all of its reply.
async fn request<S: Stream>(stream: &mut S) {
    stream.write_all(REQUEST).await.expect("the server reads");
    let mut reply = [0; 512];
    let mut have = 0;
    while !reply[..have].ends_with(REPLY_END) {
        let n = stream.read(&mut reply[have..]).await.expect("the server replies");
        assert_ne!(n, 0, "the server closed, or its reply is another one: {:?}", str::from_utf8(&reply[..have]));
        have += n;
    }
    assert!(reply.starts_with(REPLY_BEGIN), "{:?}", str::from_utf8(&reply[..have]));
}
