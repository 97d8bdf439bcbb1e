//! A thread that leaves the driver wakes the fallback thread if there are events left to wait for. Alone in its process, so
//! that no other test's thread polls.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use mio::net::UdpSocket;
use polyexec_conformance::watched;
use polyexec_core::executor::Parker;
use polyexec_io::{Io, clock};

/// Long enough for the fallback thread to sleep: a thread is in the driver, and no event comes.
const LONG: Duration = Duration::from_millis(60);

#[test]
fn the_fallback_thread_steps_in_when_the_last_thread_leaves() {
    watched!(Duration::from_secs(60));
    let socket = Io::new(UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap()).unwrap();
    let address = socket.get_ref().local_addr().unwrap();
    let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..3 {
        thread::scope(|threads| {
            // An executor without polyexec's parker: only other threads see its events.
            let receives = threads.spawn(|| {
                let received = socket.read_with(|socket| socket.recv(&mut [0; 8]));
                futures_lite::future::block_on(received).unwrap()
            });
            // Waits in the driver until its timer is due, and leaves.
            let leaves = threads.spawn(|| {
                let parker = Arc::new(Parker::new());
                clock().set(clock().now() + LONG, &futures_task::waker(parker.clone()));
                parker.park();
            });
            leaves.join().unwrap();
            sender.send_to(b"!", address).unwrap();
            assert_eq!(receives.join().unwrap(), 1);
        });
    }
}
