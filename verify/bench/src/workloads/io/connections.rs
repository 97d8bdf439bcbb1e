//! Many connections that are open at once: what it costs to have one for a single round trip.

use super::IoWorkload;
use super::echo::{accept, connect, round_trip, serve};
use crate::contestants::Spawn;
use crate::contestants::io::{Io, Listener};
use crate::workloads::nanoseconds_each;

/// Files that are open in this process besides the connections, and more than that.
const OTHER_FILES: u64 = 256;

/// Tasks that connect: fewer than may wait to be accepted, since a system that has no room for one more lets it wait for
/// a second.
const CLIENTS: u64 = 50;

#[derive(Clone, Copy)]
pub struct Connections {
    /// For each client's task.
    pub each: u64,
}

impl Connections {
    /// The total, a multiple of the number of clients.
    pub const fn of(number: u64) -> Self {
        assert!(number.is_multiple_of(CLIENTS));
        Self { each: number / CLIENTS }
    }
}

impl IoWorkload for Connections {
    /// In microseconds. The warm-up is one connection of each client.
    fn measure<P: Io>(&self, pool: &P) -> f64 {
        let number = CLIENTS * self.each;
        let files = 2 * number + OTHER_FILES;
        let may_open = rlimit::increase_nofile_limit(files).expect("the limit can be read");
        assert!(
            may_open >= files,
            "this process may open {may_open} files; `connections` needs {files} (see ulimit -n)"
        );
        pool.run(open_and_close::<P>(pool.inside(), 1));
        let (time, served) = nanoseconds_each(number, || pool.run(open_and_close::<P>(pool.inside(), self.each)));
        assert_eq!(served, number);
        time / 1_000.0
    }
}

/// Returns when all connections have been open at once, and both sides of each are closed; how many those are.
async fn open_and_close<P: Io>(executor: P::Inside, each: u64) -> u64 {
    let listener = P::bind().await.expect("a port is free");
    let address = listener.address().expect("it is bound");
    let acceptor = executor.spawn({
        let executor = executor.clone();
        async move {
            let mut servers = Vec::with_capacity((CLIENTS * each) as usize);
            for _ in 0..CLIENTS * each {
                servers.push(executor.spawn(serve(accept::<P>(&listener).await)));
            }
            servers
        }
    });
    let client = |seed| {
        executor.spawn(async move {
            let mut streams = Vec::with_capacity(each as usize);
            for number in 0..each {
                let mut stream = connect::<P>(address).await;
                round_trip(&mut stream, seed, number).await;
                streams.push(stream);
            }
            streams
        })
    };
    let clients: Vec<_> = (0..CLIENTS).map(client).collect();
    let mut streams = Vec::with_capacity(clients.len());
    for client in clients {
        streams.push(client.await);
    }
    drop(streams); // all are open until here
    let mut served = 0;
    for server in acceptor.await {
        served += u64::from(server.await > 0);
    }
    served
}
