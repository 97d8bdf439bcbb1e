//! async-executor, driven as smol drives its global one: each thread blocks on `Executor::run`. With smol's I/O or without.

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use async_channel::Sender;
use async_executor::{Executor, LocalExecutor, Task};
use async_io::Timer;
use async_net::{TcpListener, TcpStream};
use futures_lite::future::block_on;
use futures_lite::io::{AsyncReadExt, AsyncWriteExt};
use smol_hyper::rt::FuturesIo;

use super::io::{Blocking, LocalIo, sockets};
use super::{HandleOf, Job, Local, Named, Pool, Spawn, named};

pub struct AsyncExecutorPool<const IO: bool> {
    executor: Arc<Executor<'static>>,
    /// Dropped to end the threads.
    run: Option<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

/// Whose threads wait for tasks alone.
pub type AsyncExecutor = AsyncExecutorPool<false>;

/// smol: its threads, and the thread that blocks on a future, wait for events too, by `async_io::block_on`.
pub type Smol = AsyncExecutorPool<true>;

/// smol's `block_on`, or the one without I/O.
fn block_on_with<F: Future, const IO: bool>(future: F) -> F::Output {
    if IO { async_io::block_on(future) } else { block_on(future) }
}

thread_local! {
    /// A worker's executor. smol's own is a static, which costs its tasks no counting when they spawn; this one costs
    /// none either, and can be dropped.
    static HERE: OnceCell<Arc<Executor<'static>>> = const { OnceCell::new() };
}

/// Spawns on the executor of the task that calls it.
#[derive(Clone)]
pub struct InTask;

impl<const IO: bool> Named for AsyncExecutorPool<IO> {
    const NAME: &'static str = if IO { "async-io" } else { "async-executor" };
    const PACKAGE: &'static str = Self::NAME;
}

impl<const IO: bool> Pool for AsyncExecutorPool<IO> {
    type Inside = InTask;

    fn start(workers: usize) -> Self {
        let executor = Arc::new(Executor::new());
        let (run, end) = async_channel::bounded::<()>(1);
        let work = |executor: Arc<Executor<'static>>| {
            let end = end.clone();
            move || {
                HERE.with(|here| here.set(executor.clone()).expect("a new thread"));
                let _ = block_on_with::<_, IO>(executor.run(end.recv()));
            }
        };
        let threads = (0..workers).map(|_| thread::spawn(work(executor.clone()))).collect();
        Self { executor, run: Some(run), threads }
    }

    fn spawn<F: Job>(&self, future: F) -> HandleOf<Self, F::Output> {
        self.executor.spawn(future)
    }

    fn inside(&self) -> InTask {
        InTask
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        block_on_with::<_, IO>(future)
    }
}

impl<const IO: bool> Drop for AsyncExecutorPool<IO> {
    fn drop(&mut self) {
        self.run.take();
        for thread in self.threads.drain(..) {
            thread.join().expect("no worker panics");
        }
    }
}

impl Spawn for InTask {
    type Handle<T: Send + 'static> = Task<T>;

    fn spawn<F: Job>(&self, future: F) -> Task<F::Output> {
        HERE.with(|here| here.get().expect("a worker").spawn(future))
    }

    fn detach(&self, future: impl Job<Output = ()>) {
        self.spawn(future).detach();
    }
}

sockets!(Smol, FuturesIo, sleep);

async fn sleep(time: Duration) {
    Timer::after(time).await;
}

/// smol's `unblock`.
pub struct Unblock;

named!(Unblock: "blocking's unblock", "blocking");

impl Blocking for Unblock {
    type Pool = AsyncExecutor;

    fn unblock<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> impl Future<Output = T> + Send {
        blocking::unblock(work)
    }
}

pub struct AsyncExecutorOnOneThread<const IO: bool>(Rc<LocalExecutor<'static>>);

/// Whose thread waits for tasks alone.
pub type AsyncExecutorLocal = AsyncExecutorOnOneThread<false>;

/// smol's, whose thread waits for events, too.
pub type SmolLocal = AsyncExecutorOnOneThread<true>;

impl<const IO: bool> Named for AsyncExecutorOnOneThread<IO> {
    const NAME: &'static str = if IO { "async-io LocalExecutor" } else { "async-executor LocalExecutor" };
    const PACKAGE: &'static str = if IO { "async-io" } else { "async-executor" };
}

impl LocalIo for SmolLocal {
    type Family = Smol;
}

impl<const IO: bool> Local for AsyncExecutorOnOneThread<IO> {
    type Inside = Rc<LocalExecutor<'static>>;

    fn start() -> Self {
        Self(Rc::new(LocalExecutor::new()))
    }

    fn inside(&self) -> Self::Inside {
        self.0.clone()
    }

    fn run<F: Future>(&mut self, root: F) -> F::Output {
        block_on_with::<_, IO>(self.0.run(root))
    }
}

impl Spawn for Rc<LocalExecutor<'static>> {
    type Handle<T: Send + 'static> = Task<T>;

    fn spawn<F: Job>(&self, future: F) -> Task<F::Output> {
        LocalExecutor::spawn(self, future)
    }

    fn detach(&self, future: impl Job<Output = ()>) {
        LocalExecutor::spawn(self, future).detach();
    }
}
