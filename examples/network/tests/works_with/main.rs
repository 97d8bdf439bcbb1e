//! Popular libraries, unchanged, on every executor: combinators, channels, locks, events.

mod executors;
mod made_for_tokio;

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use polyexec::{
    Executor, Handle,
    net::{TcpListener, TcpStream},
    time::sleep,
};

use executors::on_every_executor;

on_every_executor! {
    combinators_of_futures
    streams_of_futures
    channels_of_futures
    combinators_of_futures_lite
    io_of_futures_lite
    async_channels
    async_locks
    events
}

/// How many tasks each test spawns.
const MANY: u64 = 100;

/// Ready a little later, on any thread.
async fn later(n: u64) -> u64 {
    sleep(Duration::from_micros(n % 7 * 100)).await;
    n
}

fn combinators_of_futures(executor: &Handle) {
    use futures::future::{self, Either, FutureExt, TryFutureExt};
    use futures::{join, select, try_join};

    executor.block_on(async {
        let tasks = (0..MANY).map(|n| executor.spawn(later(n)));
        let sum: u64 = future::join_all(tasks).await.into_iter().map(Result::unwrap).sum();
        assert_eq!(sum, MANY * (MANY - 1) / 2);

        let (one, two) = join!(executor.spawn(later(1)), executor.spawn(later(2)));
        assert_eq!((one.unwrap(), two.unwrap()), (1, 2));
        assert_eq!(try_join!(executor.spawn(later(3)), executor.spawn(later(4))).unwrap(), (3, 4));
        let failed = future::try_join_all([executor.spawn(async { Err::<(), _>("no") }).map(Result::unwrap)]);
        assert_eq!(failed.await, Err("no"));

        let mut quick = executor.spawn(later(5)).fuse();
        let mut never = pin!(future::pending::<()>().fuse());
        select! {
            five = quick => assert_eq!(five.unwrap(), 5),
            () = never => unreachable!(),
        }
        match future::select(executor.spawn(later(6)), future::pending::<()>()).await {
            Either::Left((six, _)) => assert_eq!(six.unwrap(), 6),
            Either::Right(_) => unreachable!(),
        }
        let (first, ..) = future::select_all((0..9).map(|n| executor.spawn(later(n)))).await;
        assert!(first.unwrap() < 9);

        // One result for several tasks.
        let shared = executor.spawn(later(7)).map(Result::unwrap).shared();
        let others: Vec<_> = (0..3).map(|_| executor.spawn(shared.clone())).collect();
        for other in others {
            assert_eq!(other.await.unwrap(), 7);
        }
        assert_eq!(shared.await, 7);
        // A panic, caught within the task, or at its join.
        hush(|| {
            assert!(polyexec::block_on(executor.spawn(async { panic!("meant") }.catch_unwind())).unwrap().is_err())
        });
        let error = executor.spawn(async { Err::<u8, _>(io::Error::other("meant")) }.map_err(|error| error.kind()));
        assert_eq!(error.await.unwrap(), Err(io::ErrorKind::Other));
        // A part of a future, polled by another task than the rest.
        let (remote, handle) = later(8).remote_handle();
        drop(executor.spawn(remote));
        assert_eq!(handle.await, 8);
    });
}

/// Hides the message of a planned panic.
fn hush(run: impl FnOnce()) {
    polyexec_conformance::probe::hush();
    run();
}

fn streams_of_futures(executor: &Handle) {
    use futures::stream::{self, FuturesUnordered, StreamExt, TryStreamExt};

    executor.block_on(async {
        let tasks: FuturesUnordered<_> = (0..MANY).map(|n| executor.spawn(later(n))).collect();
        assert_eq!(tasks.map(Result::unwrap).fold(0, |sum, n| async move { sum + n }).await, MANY * (MANY - 1) / 2);

        let at_once = AtomicUsize::new(0);
        let results = stream::iter(0..MANY).map(|n| {
            assert!(at_once.fetch_add(1, Relaxed) < 8);
            let (task, at_once) = (executor.spawn(later(n)), &at_once);
            async move {
                let n = task.await;
                at_once.fetch_sub(1, Relaxed);
                n
            }
        });
        let results: Vec<u64> = results.buffered(8).try_collect().await.unwrap();
        assert_eq!(results, (0..MANY).collect::<Vec<_>>());

        let unordered = stream::iter(0..MANY).map(|n| executor.spawn(later(n))).buffer_unordered(8);
        assert_eq!(unordered.count().await as u64, MANY);
        let counted = AtomicUsize::new(0);
        stream::iter(0..MANY)
            .for_each_concurrent(4, |n| {
                let (task, counted) = (executor.spawn(later(n)), &counted);
                async move {
                    task.await.unwrap();
                    counted.fetch_add(1, Relaxed);
                }
            })
            .await;
        assert_eq!(counted.into_inner() as u64, MANY);
    });
}

fn channels_of_futures(executor: &Handle) {
    use futures::channel::{mpsc, oneshot};
    use futures::{SinkExt, StreamExt};

    executor.block_on(async {
        let (sender, mut receiver) = mpsc::channel(2);
        for n in 0..4 {
            let mut sender = sender.clone();
            drop(executor.spawn(async move {
                for i in 0..MANY {
                    sender.send(n * MANY + i).await.unwrap();
                }
            }));
        }
        drop(sender);
        let sum = executor.spawn(async move {
            let mut sum = 0;
            while let Some(n) = receiver.next().await {
                sum += n;
            }
            sum
        });
        assert_eq!(sum.await.unwrap(), 4 * MANY * (4 * MANY - 1) / 2);

        let (answer, question) = oneshot::channel();
        drop(executor.spawn(async move { answer.send(later(42).await) }));
        assert_eq!(question.await, Ok(42));
        // An aborted task drops its end of the channel.
        let (never, question) = oneshot::channel::<u64>();
        let task = executor.spawn(async move {
            let _never = never;
            std::future::pending::<()>().await;
        });
        task.abort();
        assert!(question.await.is_err());
    });
}

fn combinators_of_futures_lite(executor: &Handle) {
    use futures_lite::{StreamExt, future, stream};

    executor.block_on(async {
        // Its `block_on`, on another thread, waits for a polyexec task.
        let (task, (done, is_done)) = (executor.spawn(later(1)), async_channel::bounded(1));
        let stranger = thread::spawn(move || done.send_blocking(future::block_on(task).unwrap()));
        assert_eq!(is_done.recv().await, Ok(1));
        stranger.join().unwrap().unwrap();
        let (two, three) = future::zip(executor.spawn(later(2)), executor.spawn(later(3))).await;
        assert_eq!((two.unwrap(), three.unwrap()), (2, 3));
        assert_eq!(future::try_zip(executor.spawn(later(2)), executor.spawn(later(3))).await.unwrap(), (2, 3));
        let first = future::or(executor.spawn(later(4)), future::pending()).await;
        assert_eq!(first.unwrap(), 4);
        let either = future::race(executor.spawn(later(5)), executor.spawn(later(6))).await.unwrap();
        assert!(either == 5 || either == 6);
        let task = executor.spawn(async {
            future::yield_now().await;
            stream::iter(0..MANY).then(later).map(|n| n * 2).fold(0, |sum, n| sum + n).await
        });
        assert_eq!(task.await.unwrap(), MANY * (MANY - 1));
        assert!(future::poll_once(executor.spawn(future::pending::<()>())).await.is_none());
    });
}

fn io_of_futures_lite(executor: &Handle) {
    use futures_lite::io::{AssertAsync, BufReader, Cursor};
    use futures_lite::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, StreamExt, io};

    executor.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // Copies from one half to the other.
        let server = executor.spawn(async move {
            let (stream, _) = listener.accept().await?;
            let copied = io::copy(&stream, &stream).await?;
            (&stream).close().await?;
            io::Result::Ok(copied)
        });
        let stream = TcpStream::connect(address).await.unwrap();
        let writer = executor.spawn({
            let mut stream = stream.clone();
            async move {
                io::copy(Cursor::new("a line\n".repeat(50_000)), &mut stream).await?;
                stream.close().await
            }
        });
        let lines = BufReader::new(stream).lines();
        let lines: Vec<_> = lines.try_collect().await.unwrap();
        assert_eq!(lines, vec!["a line"; 50_000]);
        writer.await.unwrap().unwrap();
        assert_eq!(server.await.unwrap().unwrap(), 7 * 50_000);

        let (mut reader, mut writer) = io::split(AssertAsync::new(std::io::Cursor::new(vec![0; 4])));
        writer.write_all(b"ab").await.unwrap();
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, [0, 0]);
    });
}

fn async_channels(executor: &Handle) {
    let (sender, receiver) = async_channel::bounded(3);
    executor.block_on(async {
        let producers: Vec<_> = (0..4)
            .map(|n| {
                let sender = sender.clone();
                executor.spawn(async move {
                    for i in 0..MANY {
                        sender.send(n * MANY + i).await.unwrap();
                    }
                })
            })
            .collect();
        let consumers: Vec<_> = (0..3)
            .map(|_| {
                let receiver = receiver.clone();
                executor.spawn(async move {
                    let mut sum = 0;
                    while let Ok(n) = receiver.recv().await {
                        sum += n;
                    }
                    sum
                })
            })
            .collect();
        for producer in producers {
            producer.await.unwrap();
        }
        sender.close();
        let mut sum = 0;
        for consumer in consumers {
            sum += consumer.await.unwrap();
        }
        assert_eq!(sum, 4 * MANY * (4 * MANY - 1) / 2);
    });
    // From a foreign thread to a task and back.
    let (question, asked) = async_channel::bounded::<u64>(1);
    let (answer, answered) = async_channel::bounded(1);
    let task = executor.spawn(async move {
        while let Ok(n) = asked.recv().await {
            answer.send(n + 1).await.unwrap();
        }
    });
    let stranger = thread::spawn(move || {
        for n in 0..MANY {
            question.send_blocking(n).unwrap();
            assert_eq!(answered.recv_blocking(), Ok(n + 1));
        }
    });
    executor.block_on(task).unwrap();
    stranger.join().unwrap();
}

fn async_locks(executor: &Handle) {
    use async_lock::{Barrier, Mutex, OnceCell, RwLock, Semaphore};

    executor.block_on(async {
        let (mutex, semaphore) = (Arc::new(Mutex::new(0)), Arc::new(Semaphore::new(3)));
        let (lock, barrier) = (Arc::new(RwLock::new(0)), Arc::new(Barrier::new(8)));
        let (once, set, at_once) =
            (Arc::new(OnceCell::new()), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let (mutex, semaphore, lock) = (mutex.clone(), semaphore.clone(), lock.clone());
                let (barrier, once, set, at_once) = (barrier.clone(), once.clone(), set.clone(), at_once.clone());
                executor.spawn(async move {
                    for n in 0..MANY {
                        let mut guard = mutex.lock().await;
                        let before = *guard;
                        later(n % 2).await; // Held across an await.
                        *guard = before + 1;
                    }
                    let permit = semaphore.acquire().await;
                    assert!(at_once.fetch_add(1, Relaxed) < 3);
                    later(3).await;
                    at_once.fetch_sub(1, Relaxed);
                    drop(permit);
                    *lock.write().await += 1;
                    assert!(*lock.read().await > 0);
                    once.get_or_init(|| async { set.fetch_add(1, Relaxed) }).await;
                    barrier.wait().await.is_leader()
                })
            })
            .collect();
        let mut leaders = 0;
        for task in tasks {
            leaders += usize::from(task.await.unwrap());
        }
        assert_eq!((*mutex.lock().await, *lock.read().await, set.load(Relaxed), leaders), (8 * MANY, 8, 1, 1));
        // An aborted task releases what it holds.
        let (held, hold) = (mutex.clone(), event_listener::Event::new());
        let is_held = hold.listen();
        let task = executor.spawn(async move {
            let _guard = held.lock().await;
            hold.notify(1);
            std::future::pending::<()>().await;
        });
        is_held.await;
        assert!(mutex.try_lock().is_none());
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        assert!(mutex.try_lock().is_some());
    });
}

fn events(executor: &Handle) {
    use event_listener::{Event, Listener};

    let (event, count) = (Arc::new(Event::new()), Arc::new(AtomicUsize::new(0)));
    let tasks: Vec<_> = (0..MANY)
        .map(|_| {
            // Listens from now on, so that no notification comes too early.
            let (listener, count) = (event.listen(), count.clone());
            executor.spawn(async move {
                listener.await;
                count.fetch_add(1, Relaxed);
            })
        })
        .collect();
    let on_a_thread = event.listen();
    let blocked = thread::spawn(move || on_a_thread.wait());
    event.notify(usize::MAX);
    executor.block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
    });
    blocked.join().unwrap();
    assert_eq!(count.load(Relaxed) as u64, MANY);
}
