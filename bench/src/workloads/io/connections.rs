//! Many connections that are open at once: what it costs to have one for a single round trip.

use super::IoWorkload;
use super::echo::{accept, connect, round_trip, serve};
use crate::contestants::Spawn;
use crate::contestants::io::{Io, Listener};
use crate::workloads::nanoseconds_each;

/// Files that are open in this process besides the connections, and more than that.
const OTHER_FILES: u64 = 256;

#[derive(Clone, Copy)]
pub struct Connections {
    pub number: u64,
}

impl IoWorkload for Connections {
    /// In microseconds. The warm-up is a tenth of the connections.
    fn measure<P: Io>(&self, pool: &P) -> f64 {
        let files = 2 * self.number + OTHER_FILES;
        let may_open = rlimit::increase_nofile_limit(files).expect("the limit can be read");
        assert!(
            may_open >= files,
            "this process may open {may_open} files; `connections` needs {files} (see ulimit -n)"
        );
        pool.run(open_and_close::<P>(pool.inside(), self.number / 10));
        let (time, round_trips) =
            nanoseconds_each(self.number, || pool.run(open_and_close::<P>(pool.inside(), self.number)));
        assert_eq!(round_trips, self.number);
        time / 1_000.0
    }
}

/// Returns when all connections have been open at once, and both sides of each are closed; how many those are.
async fn open_and_close<P: Io>(executor: P::Inside, number: u64) -> u64 {
    let listener = P::bind().await.expect("a port is free");
    let address = listener.address().expect("it is bound");
    let acceptor = executor.spawn({
        let executor = executor.clone();
        async move {
            let mut servers = Vec::with_capacity(number as usize);
            for _ in 0..number {
                servers.push(executor.spawn(serve(accept::<P>(&listener).await)));
            }
            servers
        }
    });
    let client = |seed| {
        executor.spawn(async move {
            let mut stream = connect::<P>(address).await;
            round_trip(&mut stream, seed, 0).await;
            stream
        })
    };
    let clients: Vec<_> = (0..number).map(client).collect();
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
