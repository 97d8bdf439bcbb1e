//! The first call of `context` comes when threads of each kind poll futures already. Alone in its process: there is one first call.

use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use polyexec_conformance::probe::Gate;
use polyexec_conformance::watched;
use polyexec_core::{block_on, block_on_polling, yield_now};
use polyexec_local::Local;
use polyexec_pool::Pool;
use polyexec_threaded::Threaded;

/// Says that it is being polled, and uses tokio in the second poll after the one that finds the gate open.
async fn late(is_polled: mpsc::Sender<()>, gate: Gate) -> io::Result<()> {
    assert!(tokio::runtime::Handle::try_current().is_err());
    is_polled.send(()).expect("the test waits");
    gate.opened().await;
    // That poll may have begun before the call.
    yield_now().await;
    tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    tokio::time::sleep(Duration::from_millis(1)).await;
    Ok(())
}

#[test]
fn threads_that_poll_already_enter_before_their_next_poll() {
    watched!();
    let (send, is_polled) = mpsc::channel();
    let gate = Gate::new();
    let late = || late(send.clone(), gate.clone());

    let pool = Pool::builder().worker_threads(1).build().unwrap();
    let threaded = Threaded::new();
    let tasks = [pool.spawn(late()), threaded.spawn(late())];
    let (local, plain, polling) = (late(), late(), late());
    let threads = [
        thread::spawn(|| Local::new().block_on(local)),
        thread::spawn(|| block_on(plain)),
        thread::spawn(|| block_on_polling(polling, Duration::from_millis(1))),
    ];
    (0..5).for_each(|_| is_polled.recv().unwrap());

    polyexec_tokio::context().unwrap();
    gate.open();
    for task in tasks {
        task.join().unwrap().unwrap();
    }
    for thread in threads {
        thread.join().unwrap().unwrap();
    }
}
