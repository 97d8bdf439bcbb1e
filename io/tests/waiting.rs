//! Which threads wait in the driver, and that no wait misses its event.

use std::collections::HashSet;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use polyexec_conformance::watched;
use polyexec_io::{Io, clock};
use polyexec_pool::Pool;

/// Names the workers, the same in all tests: those of one pool handle another's events.
fn pool(workers: usize) -> Pool {
    Pool::builder().worker_threads(workers).thread_name("worker").build().unwrap()
}

fn socket() -> Io<UdpSocket> {
    Io::new(UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap()).unwrap()
}

/// Sends a datagram to `to` without the driver.
fn send(to: &Io<UdpSocket>) {
    let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.send_to(b"!", to.get_ref().local_addr().unwrap()).unwrap();
}

async fn receive(socket: &Io<UdpSocket>) {
    let received = socket.read_with(|socket| socket.recv(&mut [0; 8])).await;
    assert_eq!(received.unwrap(), 1);
}

/// Calls a function, then the inner waker.
struct Calls<F>(F, Waker);

impl<F: Fn() + Send + Sync + 'static> Wake for Calls<F> {
    fn wake(self: Arc<Self>) {
        self.0();
        self.1.wake_by_ref();
    }
}

fn calling(call: impl Fn() + Send + Sync + 'static, waker: &Waker) -> Waker {
    Arc::new(Calls(call, waker.clone())).into()
}

/// Sends events one after another to a task of a pool. Returns how many a worker has handled.
fn handled_by_workers(events: usize) -> usize {
    let pool = pool(2);
    let socket = Arc::new(socket());
    let (has_received, received) = mpsc::channel();
    let on_workers = Arc::new(AtomicUsize::new(0));
    let task = pool.spawn({
        let (socket, on_workers) = (socket.clone(), on_workers.clone());
        async move {
            for _ in 0..events {
                let mut one = pin!(receive(&socket));
                poll_fn(|cx| {
                    let on_workers = on_workers.clone();
                    let note = move || {
                        if thread::current().name().is_some_and(|name| name.starts_with("worker")) {
                            on_workers.fetch_add(1, SeqCst);
                        }
                    };
                    one.as_mut().poll(&mut Context::from_waker(&calling(note, cx.waker())))
                })
                .await;
                has_received.send(()).unwrap();
            }
        }
    });
    let sender = thread::spawn(move || {
        for _ in 0..events {
            send(&socket);
            received.recv().unwrap();
        }
    });
    // This thread waits in the driver, too, until a worker claims it.
    pool.block_on(task).unwrap();
    sender.join().unwrap();
    on_workers.load(SeqCst)
}

#[test]
fn workers_handle_their_events_themselves() {
    watched!();
    // Without a free processor, a worker's claim may time out: then the other thread handles the event. But not always.
    let counts: Vec<_> = (0..50).map(|_| handled_by_workers(100)).take_while(|count| *count <= 50).collect();
    assert!(counts.len() < 50, "of 100 events the workers have handled {counts:?}");
}

#[test]
fn without_a_waiter_the_fallback_thread_polls() {
    watched!();
    let socket = socket();
    for _ in 0..100 {
        let (wake, woken) = mpsc::channel();
        let wake = Mutex::new(wake);
        let waker = calling(move || wake.lock().unwrap().send(Instant::now()).unwrap(), Waker::noop());
        let mut received = pin!(receive(&socket));
        assert!(received.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        send(&socket);
        woken.recv().unwrap();
        assert!(received.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());

        // Also timers.
        let deadline = clock().now() + Duration::from_micros(100);
        clock().set(deadline, &waker);
        assert!(woken.recv().unwrap() >= deadline, "a timer went off early");
    }
}

#[test]
fn executors_of_others_are_served() {
    watched!();
    let socket = socket();
    for _ in 0..100 {
        send(&socket);
        futures_lite::future::block_on(receive(&socket));
    }
}

#[test]
fn of_many_that_wait_for_one_source_each_has_its_turn() {
    watched!();
    const WAITING: usize = 50;
    let pool = pool(2);
    let socket = Arc::new(socket());
    for _ in 0..20 {
        let tasks: Vec<_> = (0..WAITING)
            .map(|_| {
                let socket = socket.clone();
                pool.spawn(async move { receive(&socket).await })
            })
            .collect();
        (0..WAITING).for_each(|_| send(&socket));
        tasks.into_iter().for_each(|task| task.join().unwrap());
    }
}

#[test]
fn a_dropped_wait_leaves_no_waker_behind() {
    watched!();
    let socket = socket();
    let waker = Arc::new(Calls(|| (), Waker::noop().clone()));
    for _ in 0..10 {
        let mut received = Box::pin(receive(&socket));
        assert!(received.as_mut().poll(&mut Context::from_waker(&waker.clone().into())).is_pending());
        assert_eq!(Arc::strong_count(&waker), 2);
        drop(received);
        assert_eq!(Arc::strong_count(&waker), 1);
    }
}

fn poll(socket: &Io<UdpSocket>, waker: &Waker) -> bool {
    socket.poll_read_with(&mut Context::from_waker(waker), |socket| socket.recv(&mut [0; 8])).is_ready()
}

#[test]
fn of_those_that_poll_each_is_woken_once() {
    watched!();
    let socket = socket();
    let clone = socket.clone();
    let (wake, woken) = mpsc::channel();
    let wakers: Vec<_> = (0..4)
        .map(|index| {
            let wake = Mutex::new(wake.clone());
            calling(move || wake.lock().unwrap().send(index).unwrap(), Waker::noop())
        })
        .collect();
    // Two tasks through each of two handles, each more than once.
    for _ in 0..3 {
        assert!(wakers[..2].iter().all(|waker| !poll(&socket, waker)));
        assert!(wakers[2..].iter().all(|waker| !poll(&clone, waker)));
    }
    send(&socket);
    let all: HashSet<_> = (0..4).map(|_| woken.recv().unwrap()).collect();
    assert_eq!(all.len(), 4);
    // None is called twice: the next event finds only this waker.
    assert_eq!(polyexec_core::block_on(socket.read_with(|socket| socket.recv(&mut [0; 8]))).unwrap(), 1);
    assert!(!poll(&socket, &wakers[0]));
    send(&socket);
    assert_eq!(woken.recv().unwrap(), 0);
    assert!(woken.try_recv().is_err());
}

#[test]
fn a_handle_that_is_dropped_leaves_no_waker_behind() {
    watched!();
    let socket = socket();
    let [kept, dropped] = [(); 2].map(|()| Arc::new(Calls(|| (), Waker::noop().clone())));
    for _ in 0..10 {
        let clone = socket.clone();
        let [lasting, passing] = [&kept, &dropped].map(|calls| Waker::from(calls.clone()));
        assert!(!poll(&socket, &lasting) && !poll(&clone, &lasting) && !poll(&clone, &passing));
        let mut cx = Context::from_waker(&passing);
        while clone.poll_writable(&mut cx).is_ready() {
            // A datagram could be sent: the socket only seems full.
            let full = clone.try_write_with(|_| io::Result::<()>::Err(io::ErrorKind::WouldBlock.into()));
            assert_eq!(full.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        }
        drop((lasting, passing, clone));
        // The event for writing might be about to take the waker.
        while Arc::strong_count(&dropped) > 1 {
            thread::yield_now();
        }
        assert_eq!(Arc::strong_count(&kept), 2, "the other handle waits");
    }
}

#[test]
fn a_side_that_is_ready_stays_so_until_an_attempt_fails() {
    watched!();
    let socket = socket();
    let attempt = || socket.try_read_with(|socket| socket.recv(&mut [0; 8]));
    polyexec_core::block_on(async {
        for _ in 0..50 {
            send(&socket);
            let mut bytes = 0;
            while bytes == 0 {
                socket.readable().await;
                socket.readable().await;
                bytes = attempt().unwrap_or_default();
            }
            assert_eq!(attempt().unwrap_err().kind(), io::ErrorKind::WouldBlock);
            // The event may come late, but only once.
            let mut late = 0;
            while poll_fn(|cx| std::task::Poll::Ready(pin!(socket.readable()).poll(cx))).await.is_ready() {
                assert!(attempt().is_err());
                late += 1;
                assert!(late < 3, "an attempt that fails doesn't clear what is known");
            }
        }
        socket.writable().await;
    });
}

#[test]
fn a_waker_that_panics_keeps_no_other_from_being_called() {
    watched!();
    let pool = pool(1);
    for _ in 0..50 {
        let [bad, good] = [socket(), socket()];
        let panics = calling(|| std::panic::resume_unwind(Box::new("meant")), Waker::noop());
        let mut spoilt = pin!(receive(&bad));
        assert!(spoilt.as_mut().poll(&mut Context::from_waker(&panics)).is_pending());
        send(&bad);
        send(&good);
        pool.spawn(async move { receive(&good).await }).join().unwrap();
    }
}

/// A worker calls a waker that blocks. The tasks that it wakes run elsewhere, though its thread is no worker any more.
#[test]
fn a_waker_may_block_the_worker_that_calls_it() {
    watched!();
    let pool = Arc::new(pool(2));
    let blocked = Arc::new(AtomicUsize::new(0));
    for _ in 0..20 {
        let before = blocked.load(SeqCst);
        // Until a worker has called it.
        while blocked.load(SeqCst) == before {
            let count = blocked.clone();
            let blocks = move || {
                if thread::current().name() != Some("driver") {
                    count.fetch_add(1, SeqCst);
                    polyexec_core::block_in_place(|| ());
                }
            };
            let socket = Arc::new(socket());
            let waker = calling(blocks, Waker::noop());
            let mut waits = pin!(receive(&socket));
            assert!(waits.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            let other = socket.clone();
            let task = pool.spawn(async move { other.read_with(|socket| socket.peek(&mut [0; 8])).await });
            send(&socket);
            task.join().unwrap().unwrap();
        }
        // A child task runs while its parent's poll goes on: other workers were notified.
        let spawner = pool.clone();
        let parent = pool.spawn(async move {
            let (ran, has_run) = mpsc::channel();
            let child = spawner.spawn(async move { ran.send(()).unwrap() });
            while has_run.try_recv().is_err() {
                std::hint::spin_loop();
            }
            drop(child);
        });
        parent.join().unwrap();
    }
}

#[test]
fn what_was_closed_is_not_forgotten_after_a_short_read() {
    use std::io::Read;
    watched!();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for _ in 0..300 {
        let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let stream = Io::new(mio::net::TcpStream::from_std(stream)).unwrap();
        // The bytes and the end come together.
        io::Write::write_all(&mut &peer, b"last words").unwrap();
        drop(peer);
        let mut buffer = [0; 64];
        let reads = [(); 2].map(|()| {
            let mut read =
                |cx: &mut Context<'_>| stream.poll_read_some(cx, buffer.len(), |mut stream| stream.read(&mut buffer));
            polyexec_core::block_on(poll_fn(&mut read)).unwrap()
        });
        assert_eq!(reads, [10, 0]);
    }
}

#[test]
fn files_and_tokens_are_given_back() {
    watched!();
    let open = || std::fs::read_dir("/proc/self/fd").map(|files| files.count());
    drop(socket());
    let (Ok(before), mut after) = (open(), 0) else { return println!("left out: no /proc here") };
    for round in 0..10 {
        let sockets: Vec<_> = (0..100).map(|_| socket()).collect();
        let ports: HashSet<_> = sockets.iter().map(|socket| socket.get_ref().local_addr().unwrap().port()).collect();
        assert_eq!(ports.len(), 100, "in round {round}");
        drop(sockets);
        after = open().unwrap();
    }
    // Other tests have some files open meanwhile.
    assert!(after < before + 100, "{before} files were open, and {after} are");
}

#[test]
fn a_timer_before_all_others_is_not_late_for_them() {
    watched!();
    let far = clock().now() + Duration::from_secs(3600);
    let late = clock().set(far, Waker::noop());
    let (wake, woken) = mpsc::channel();
    let wake = Mutex::new(wake);
    let waker = calling(move || wake.lock().unwrap().send(()).unwrap(), Waker::noop());
    // By now, threads wait in the driver for an hour.
    for _ in 0..100 {
        let near = clock().now() + Duration::from_millis(1);
        let timer = clock().set(near, &waker);
        woken.recv().unwrap();
        assert!(clock().now() >= near);
        assert!(!clock().renew(near, timer, &waker), "it has gone off");
    }
    clock().cancel(far, late);
    assert!(!clock().renew(far, late, &waker), "it was cancelled");
}
