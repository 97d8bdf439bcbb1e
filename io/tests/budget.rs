//! Futures that are always ready yield all the same: each poll of a task completes a bounded number of operations, on every
//! polyexec executor. On other executors nothing changes.

use std::future::poll_fn;
use std::io::Write;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use futures_lite::future::{or, yield_now};
use futures_lite::{AsyncReadExt, AsyncWriteExt, StreamExt};
use polyexec_conformance::watched;
use polyexec_core::{Executor, block_on, task::unconstrained};
use polyexec_io::net::{TcpListener, TcpStream, UdpSocket, resolve};
use polyexec_io::time::{Elapsed, interval_at, now, sleep, sleep_until, timeout};
use polyexec_local::Local;
use polyexec_pool::Pool;
use polyexec_threaded::Threaded;
use polyexec_threaded::blocking::spawn_blocking;

/// The most operations in one poll.
const MOST: usize = 128;

/// How many operations a task does: more than one poll's, few enough for the limit on files, and no multiple of `MOST`.
const ALL: usize = 300;

/// A count of operations. Clones share it.
#[derive(Clone, Default)]
struct Done(Arc<AtomicUsize>);

impl Done {
    fn one_more(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    fn get(&self) -> usize {
        self.0.load(Relaxed)
    }
}

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Makes the work of a task. A trait object, so that its callers are compiled once.
type Make = Arc<dyn Fn(Done) -> Work + Send + Sync>;

/// Returns the most operations in one poll of a task's work.
async fn most_in_a_poll(make: Make) -> usize {
    let (done, mut most) = (Done::default(), 0);
    let mut work = make(done.clone());
    poll_fn(|cx| {
        let before = done.get();
        let answer = work.as_mut().poll(cx);
        most = most.max(done.get() - before);
        answer
    })
    .await;
    assert!(done.get() >= ALL);
    most
}

/// Checks that polls of the work end within the budget: as a task, and in `block_on`.
fn yields(name: &str, make: impl Fn(Done) -> Work + Send + Sync + 'static) {
    fn check(name: &str, executor: &(impl Executor + Clone), make: &Make) {
        let driven = executor.block_on(most_in_a_poll(make.clone()));
        let spawned = executor.block_on(executor.spawn(most_in_a_poll(make.clone()))).unwrap();
        assert_eq!([driven, spawned], [MOST; 2], "{name}, on {}", std::any::type_name_of_val(executor));
    }

    let make: Make = Arc::new(make);
    check(name, &Pool::builder().worker_threads(2).build().unwrap().handle(), &make);
    check(name, &Local::new().handle(), &make);
    check(name, &Threaded::new().handle(), &make);
    assert_eq!(block_on(most_in_a_poll(make)), MOST, "{name}, without an executor");
}

/// Checks that a task yields that only does this. `$before` runs once per task.
macro_rules! yields {
    ($name:literal, { $($before:tt)* }, $operation:expr) => {
        yields($name, |done| {
            Box::pin(async move {
                $($before)*
                for _ in 0..ALL {
                    $operation;
                    done.one_more();
                }
            })
        })
    };
}

/// A socket, and a blocking peer.
async fn connected() -> (TcpStream, std::net::TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (listener.accept().await.unwrap().0, peer)
}

/// A socket that is connected to itself.
async fn to_itself() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(socket.local_addr().unwrap()).await.unwrap();
    socket
}

#[test]
fn timers_whose_time_has_passed() {
    watched!();
    yields!("sleep", {}, sleep(Duration::ZERO).await);
    yields!(
        "sleep_until",
        {
            let begin = now();
        },
        sleep_until(begin).await
    );
    yields!(
        "a sleep that is over",
        {
            let mut over = sleep(Duration::ZERO);
        },
        (&mut over).await
    );
    yields!("timeout", {}, timeout(Duration::from_secs(60), async {}).await.unwrap());
    yields!("timeout that has elapsed", {}, timeout(Duration::ZERO, std::future::pending::<()>()).await.unwrap_err());
    let hour = Duration::from_secs(60 * 60);
    if let Some(long_ago) = now().checked_sub(hour) {
        yields("ticks that were missed", move |done| {
            Box::pin(async move {
                let mut ticks = interval_at(long_ago, Duration::from_micros(1));
                for _ in 0..ALL {
                    ticks.tick().await;
                    done.one_more();
                }
            })
        });
    }
}

#[test]
fn handles_of_what_has_ended() {
    watched!();
    yields!(
        "handles of blocking work",
        {
            let mut ended: Vec<_> = (0..ALL).map(|_| spawn_blocking(|| ())).collect();
            while !ended.iter().all(|task| task.is_finished()) {
                yield_now().await;
            }
        },
        ended.pop().unwrap().await.unwrap()
    );
}

#[test]
fn tcp_that_brings_much_and_takes_much() {
    watched!();
    yields!(
        "read",
        {
            let (mut stream, mut peer) = connected().await;
            peer.write_all(&[7; ALL]).unwrap();
        },
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 1)
    );
    yields!(
        "peek",
        {
            let (stream, mut peer) = connected().await;
            peer.write_all(b"x").unwrap();
        },
        assert_eq!(stream.peek(&mut [0; 8]).await.unwrap(), 1)
    );
    yields!(
        "write",
        {
            let (mut stream, _peer) = connected().await;
        },
        stream.write_all(b"x").await.unwrap()
    );
    yields!(
        "readable",
        {
            let (stream, mut peer) = connected().await;
            peer.write_all(b"x").unwrap();
        },
        stream.readable().await.unwrap()
    );
    yields!(
        "poll_write_ready",
        {
            let (stream, _peer) = connected().await;
        },
        poll_fn(|cx| stream.poll_write_ready(cx)).await.unwrap()
    );
    yields!(
        "reads into nothing",
        {
            let (mut stream, _peer) = connected().await;
        },
        assert_eq!(stream.read(&mut []).await.unwrap(), 0)
    );
    yields!(
        "writes of nothing",
        {
            let (mut stream, _peer) = connected().await;
        },
        assert_eq!(stream.write(b"").await.unwrap(), 0)
    );
}

/// The most by which `count` grows in one poll of `future`.
async fn most_a_poll(count: &AtomicUsize, future: impl Future<Output = ()>) -> usize {
    let (mut future, mut most) = (pin!(future), 0);
    poll_fn(|cx| {
        let before = count.load(Relaxed);
        let answer = future.as_mut().poll(cx);
        most = most.max(count.load(Relaxed) - before);
        answer
    })
    .await;
    most
}

#[test]
fn listeners_before_whom_many_wait() {
    watched!();
    // All stay open, so there are fewer of them.
    async fn most(mut accept: impl AsyncFnMut(&TcpListener)) -> usize {
        const WAITING: usize = MOST + 20;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let _peers: Vec<_> = (0..WAITING).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
        // Listening was an operation, too.
        yield_now().await;
        let accepted = AtomicUsize::new(0);
        most_a_poll(&accepted, async {
            for _ in 0..WAITING {
                accept(&listener).await;
                accepted.fetch_add(1, Relaxed);
            }
        })
        .await
    }

    let local = Local::new();
    assert_eq!(local.block_on(most(async |listener| drop(listener.accept().await.unwrap()))), MOST);
    assert_eq!(local.block_on(most(async |listener| drop(listener.incoming().next().await.unwrap().unwrap()))), MOST);
}

#[test]
fn datagrams_to_oneself() {
    watched!();
    yields!(
        "send",
        {
            let socket = to_itself().await;
        },
        socket.send(b"x").await.unwrap()
    );
    yields("send_to", |done| {
        Box::pin(async move {
            let socket = to_itself().await;
            let here = socket.local_addr().unwrap();
            for _ in 0..ALL {
                socket.send_to(b"x", here).await.unwrap();
                // The address counts, too: it might have been a name.
                done.one_more();
                done.one_more();
            }
        })
    });
}

#[test]
fn addresses_that_are_known() {
    watched!();
    yields!("resolve", {}, resolve("127.0.0.1:80").await.unwrap());
    yields!(
        "connect",
        {
            let socket = to_itself().await;
        },
        socket.connect("127.0.0.1:80").await.unwrap()
    );
}

#[cfg(unix)]
#[test]
fn unix_sockets() {
    use polyexec_io::net::unix::{UnixDatagram, UnixStream};

    watched!();
    yields!(
        "read",
        {
            let (mut here, mut there) = UnixStream::pair().unwrap();
            there.write_all(&[7; ALL]).await.unwrap();
        },
        assert_eq!(here.read(&mut [0]).await.unwrap(), 1)
    );
    let folder = std::env::temp_dir().join(format!("polyexec-budget-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("socket");
    for_each_datagram(&path);
    std::fs::remove_dir_all(&folder).unwrap();

    fn for_each_datagram(path: &std::path::Path) {
        let most = block_on(async {
            let (socket, receiver) = (UnixDatagram::unbound().unwrap(), UnixDatagram::bind(path).unwrap());
            let sent = AtomicUsize::new(0);
            most_a_poll(&sent, async {
                while sent.load(Relaxed) < ALL {
                    socket.send_to(b"x", path).await.unwrap();
                    sent.fetch_add(1, Relaxed);
                    receiver.recv(&mut [0; 8]).await.unwrap();
                }
            })
            .await
        });
        assert!(most <= MOST / 2, "{most}: to receive is an operation, too");
    }
}

#[test]
fn what_spends_all_is_timed_out() {
    watched!();
    async fn forever() {
        loop {
            sleep(Duration::ZERO).await;
        }
    }

    async fn ends() -> Result<(), Elapsed> {
        timeout(Duration::from_millis(2), forever()).await
    }

    let with_a_sleep = || or(forever(), sleep(Duration::from_millis(2)));
    let (pool, local) = (Pool::builder().worker_threads(1).build().unwrap(), Local::new());
    assert!(block_on(ends()).is_err());
    assert!(pool.block_on(pool.spawn(ends())).unwrap().is_err());
    assert!(local.block_on(local.spawn(ends())).unwrap().is_err());
    block_on(with_a_sleep());
    pool.block_on(pool.spawn(with_a_sleep())).unwrap();
    local.block_on(local.spawn(with_a_sleep())).unwrap();
}

#[test]
fn one_socket_does_not_starve_another_one_of_its_task() {
    watched!();
    block_on(async {
        let (mut floods, mut flood) = connected().await;
        let (mut quiet, mut peer) = connected().await;
        let enough = Arc::new(AtomicUsize::new(0));
        let sender = std::thread::spawn({
            let enough = enough.clone();
            move || {
                while enough.load(Relaxed) == 0 && flood.write_all(&[7; 4096]).is_ok() {}
                flood
            }
        });
        peer.write_all(&[7; ALL]).unwrap();
        let drain = async { while floods.read(&mut [0]).await.unwrap() > 0 {} };
        let read = async { quiet.read_exact(&mut [0; ALL]).await.unwrap() };
        or(drain, async {
            read.await;
        })
        .await;
        enough.store(1, Relaxed);
        // Reads what has arrived.
        drop(floods);
        sender.join().unwrap();
    });
}

#[test]
fn what_is_unconstrained_does_not_yield() {
    watched!();
    let most = block_on(most_in_a_poll(Arc::new(|done| {
        Box::pin(unconstrained(async move {
            for _ in 0..ALL {
                sleep(Duration::ZERO).await;
                done.one_more();
            }
        }))
    })));
    assert_eq!(most, ALL);
}

#[test]
fn executors_of_others_know_no_budget() {
    watched!();
    let work = || {
        most_in_a_poll(Arc::new(|done| {
            Box::pin(async move {
                for _ in 0..ALL {
                    sleep(Duration::ZERO).await;
                    done.one_more();
                }
            })
        }))
    };
    assert_eq!(futures_executor::block_on(work()), ALL);
    let smol = async_executor::Executor::new();
    assert_eq!(futures_lite::future::block_on(smol.run(smol.spawn(work()))), ALL);
    // A nested `block_on` in a polyexec task goes on.
    let local = Local::new();
    let nested = local.spawn(async move { futures_executor::block_on(work()) });
    assert!(local.block_on(nested).unwrap() >= MOST);
}
