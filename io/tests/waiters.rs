//! Property 80, on every executor: any number of tasks wait for one side of a socket, through clones, through references, and
//! within one task. All are woken, and abandoned waits don't disturb others.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use futures_io::{AsyncRead, AsyncWrite};
use futures_lite::future::{poll_once, zip};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use polyexec_conformance::probe::Gate;
use polyexec_conformance::watched;
use polyexec_core::Executor;
use polyexec_io::net::{TcpListener, TcpStream};
use polyexec_local::Local;
use polyexec_pool::Pool;
use polyexec_threaded::Threaded;

type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Spawns a task. Returns a future of its end.
type Spawn<'a> = dyn Fn(Boxed) -> Boxed + 'a;

fn spawn_on(executor: impl Executor + Clone) -> impl Fn(Boxed) -> Boxed {
    move |task| {
        let task = executor.spawn(task);
        Box::pin(async { task.await.unwrap() })
    }
}

/// Runs it in a task, and in `block_on`, on each polyexec executor and on another one.
fn everywhere(check: impl AsyncFn(&Spawn)) {
    let pool = Pool::builder().worker_threads(2).build().unwrap();
    pool.block_on(check(&spawn_on(pool.handle())));
    let threaded = Threaded::builder().build().unwrap();
    threaded.block_on(check(&spawn_on(threaded.handle())));
    let local = Local::new();
    local.block_on(check(&spawn_on(local.handle())));
    let others = async_executor::Executor::new();
    futures_lite::future::block_on(others.run(check(&|task| Box::pin(others.spawn(task)))));
}

/// A byte stream that tasks share.
trait Shared: AsyncRead + AsyncWrite + Clone + Unpin + Send + Sync + 'static {
    fn poll_read_by_reference(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;
}

macro_rules! shared {
    ($stream:ty) => {
        impl Shared for $stream {
            fn poll_read_by_reference(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
                Pin::new(&mut &*self).poll_read(cx, buffer)
            }
        }
    };
}

shared!(TcpStream);
#[cfg(unix)]
shared!(polyexec_io::net::unix::UnixStream);

async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (client, server) = zip(TcpStream::connect(listener.local_addr().unwrap()), listener.accept()).await;
    (client.unwrap(), server.unwrap().0)
}

/// Opens `waits` when `future` is pending for the first time.
async fn noting<F: Future>(waits: Gate, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let polled = future.as_mut().poll(cx);
        if polled.is_pending() {
            waits.open();
        }
        polled
    })
    .await
}

async fn read_byte(stream: &impl Shared) {
    let mut byte = [0];
    assert_eq!(poll_fn(|cx| stream.poll_read_by_reference(cx, &mut byte)).await.unwrap(), 1);
}

/// Many tasks read a byte each. Before the bytes come, as many other reads were tried and abandoned: on clones, in other tasks,
/// and in the same tasks.
async fn readers(spawn: &Spawn<'_>, here: impl Shared, mut there: impl Shared) {
    const READERS: usize = 20;
    for _ in 0..5 {
        let mut tasks = Vec::new();
        for index in 0..READERS {
            let (gate, mut clone, shared) = (Gate::new(), here.clone(), Arc::new(here.clone()));
            let waits = gate.clone();
            let other = shared.clone();
            tasks.push(spawn(Box::pin(async move {
                let mut byte = [0];
                if index % 2 == 0 {
                    noting(waits, clone.read_exact(&mut byte)).await.unwrap();
                } else {
                    noting(waits, read_byte(&*shared)).await;
                }
            })));
            gate.opened().await;
            spawn(Box::pin(async move {
                let mut byte = [0];
                assert!(poll_once(other.as_ref().clone().read(&mut byte)).await.is_none());
                assert!(poll_once(read_byte(&*other)).await.is_none());
            }))
            .await;
        }
        there.write_all(&[1; READERS]).await.unwrap();
        for task in tasks {
            task.await;
        }
    }
}

#[test]
fn p80_each_task_that_reads_is_woken() {
    watched!();
    everywhere(async |spawn| {
        let (here, there) = tcp_pair().await;
        readers(spawn, here, there).await;
    });
}

#[cfg(unix)]
#[test]
fn p80_each_task_that_reads_from_a_unix_socket_is_woken() {
    watched!();
    everywhere(async |spawn| {
        let (here, there) = polyexec_io::net::unix::UnixStream::pair().unwrap();
        readers(spawn, here, there).await;
    });
}

#[test]
fn p80_each_task_that_writes_is_woken_though_others_give_up() {
    watched!();
    const EACH: usize = 1 << 20;
    everywhere(async |spawn| {
        let (here, mut there) = tcp_pair().await;
        // Far less room than each task writes.
        socket2::SockRef::from(&here).set_send_buffer_size(1 << 16).unwrap();
        socket2::SockRef::from(&there).set_recv_buffer_size(1 << 16).unwrap();
        let here = Arc::new(here);
        let mut tasks = Vec::new();
        for index in 0..3 {
            let (gate, mut clone, shared) = (Gate::new(), here.as_ref().clone(), here.clone());
            let waits = gate.clone();
            tasks.push(spawn(Box::pin(async move {
                let bytes = vec![index; EACH];
                match index {
                    0 => noting(waits, (&*shared).write_all(&bytes)).await.unwrap(),
                    _ => noting(waits, clone.write_all(&bytes)).await.unwrap(),
                }
            })));
            gate.opened().await;
            // A heartbeat, with hardly any room.
            let (mut clone, shared) = (here.as_ref().clone(), here.clone());
            spawn(Box::pin(async move {
                let _ = poll_once(clone.write(&[3])).await;
                let _ = poll_once((&*shared).write(&[3])).await;
            }))
            .await;
        }
        let (mut counts, mut buffer) = ([0; 4], vec![0; 1 << 16]);
        while counts[..3].iter().sum::<usize>() < 3 * EACH {
            let read = there.read(&mut buffer).await.unwrap();
            buffer[..read].iter().for_each(|byte| counts[usize::from(*byte)] += 1);
        }
        assert_eq!(counts[..3], [EACH; 3]);
        for task in tasks {
            task.await;
        }
    });
}

/// A part of a task with its own waker, as in a `FuturesUnordered`: polled only after that was called.
struct Part {
    woken: AtomicBool,
    task: Mutex<Waker>,
}

impl Wake for Part {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, SeqCst);
        self.task.lock().unwrap().wake_by_ref();
    }
}

/// Waits for all, each in its own part.
async fn in_parts(futures: Vec<Pin<Box<dyn Future<Output = ()> + Send + '_>>>) {
    let part = || Arc::new(Part { woken: AtomicBool::new(true), task: Mutex::new(Waker::noop().clone()) });
    let mut parts: Vec<_> = futures.into_iter().map(|future| (part(), future)).collect();
    poll_fn(|cx| {
        parts.retain_mut(|(part, future)| {
            *part.task.lock().unwrap() = cx.waker().clone();
            let waker = Waker::from(part.clone());
            !part.woken.swap(false, SeqCst) || future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending()
        });
        if parts.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[test]
fn p80_each_part_of_a_task_is_woken() {
    watched!();
    everywhere(async |spawn| {
        let (here, mut there) = tcp_pair().await;
        for _ in 0..5 {
            let (gate, here) = (Gate::new(), here.clone());
            let waits = gate.clone();
            let task = spawn(Box::pin(async move {
                let mut clones: Vec<_> = (0..5).map(|_| here.clone()).collect();
                let mut parts: Vec<Pin<Box<dyn Future<Output = ()> + Send + '_>>> = Vec::new();
                for clone in &mut clones {
                    let mut byte = [0];
                    parts.push(Box::pin(async move { clone.read_exact(&mut byte).await.unwrap() }));
                    parts.push(Box::pin(read_byte(&here)));
                }
                noting(waits, in_parts(parts)).await;
            }));
            gate.opened().await;
            there.write_all(&[1; 10]).await.unwrap();
            task.await;
        }
    });
}

#[test]
fn p80_each_task_that_accepts_is_woken() {
    watched!();
    everywhere(async |spawn| {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = Vec::new();
        let shared = Arc::new(listener.clone());
        for index in 0..12 {
            let (gate, shared, clone) = (Gate::new(), shared.clone(), listener.clone());
            let waits = gate.clone();
            tasks.push(spawn(Box::pin(async move {
                let accepted = match index % 3 {
                    0 => noting(waits, shared.accept()).await,
                    1 => noting(waits, poll_fn(|cx| shared.poll_accept(cx))).await,
                    _ => noting(waits, poll_fn(|cx| clone.poll_accept(cx))).await,
                };
                drop(accepted.unwrap());
            })));
            gate.opened().await;
            assert!(poll_once(poll_fn(|cx| listener.poll_accept(cx))).await.is_none());
            assert!(poll_once(listener.accept()).await.is_none());
        }
        for _ in 0..12 {
            TcpStream::connect(address).await.unwrap();
        }
        for task in tasks {
            task.await;
        }
    });
}
