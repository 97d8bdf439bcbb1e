//! async-executor, driven as smol drives its global one: each thread blocks on `Executor::run`.

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use async_channel::Sender;
use async_executor::{Executor, LocalExecutor, Task};
use futures_lite::future::block_on;

use super::{HandleOf, Local, Named, Pool, Spawn};

pub struct AsyncExecutor {
    executor: Arc<Executor<'static>>,
    /// Dropped to end the threads.
    run: Option<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

thread_local! {
    /// A worker's executor. smol's own is a static, which costs its tasks no counting when they spawn; this one costs
    /// none either, and can be dropped.
    static HERE: OnceCell<Arc<Executor<'static>>> = const { OnceCell::new() };
}

/// Spawns on the executor of the task that calls it.
#[derive(Clone)]
pub struct InTask;

impl Named for AsyncExecutor {
    const NAME: &'static str = "async-executor";
    const PACKAGE: &'static str = "async-executor";
}

impl Pool for AsyncExecutor {
    type Inside = InTask;

    fn start(workers: usize) -> Self {
        let executor = Arc::new(Executor::new());
        let (run, end) = async_channel::bounded::<()>(1);
        let work = |executor: Arc<Executor<'static>>| {
            let end = end.clone();
            move || {
                HERE.with(|here| here.set(executor.clone()).expect("a new thread"));
                let _ = block_on(executor.run(end.recv()));
            }
        };
        let threads = (0..workers).map(|_| thread::spawn(work(executor.clone()))).collect();
        Self { executor, run: Some(run), threads }
    }

    fn spawn<F>(&self, future: F) -> HandleOf<Self, F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.executor.spawn(future)
    }

    fn inside(&self) -> InTask {
        InTask
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        block_on(future)
    }
}

impl Drop for AsyncExecutor {
    fn drop(&mut self) {
        self.run.take();
        for thread in self.threads.drain(..) {
            thread.join().expect("no worker panics");
        }
    }
}

impl Spawn for InTask {
    type Handle<T: Send + 'static> = Task<T>;

    fn spawn<F>(&self, future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        HERE.with(|here| here.get().expect("a worker").spawn(future))
    }

    fn detach<F>(&self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.spawn(future).detach();
    }
}

pub struct AsyncExecutorLocal(Rc<LocalExecutor<'static>>);

impl Named for AsyncExecutorLocal {
    const NAME: &'static str = "async-executor LocalExecutor";
    const PACKAGE: &'static str = "async-executor";
}

impl Local for AsyncExecutorLocal {
    type Inside = Rc<LocalExecutor<'static>>;

    fn start() -> Self {
        Self(Rc::new(LocalExecutor::new()))
    }

    fn inside(&self) -> Self::Inside {
        self.0.clone()
    }

    fn run<F: Future>(&mut self, root: F) -> F::Output {
        block_on(self.0.run(root))
    }
}

impl Spawn for Rc<LocalExecutor<'static>> {
    type Handle<T: Send + 'static> = Task<T>;

    fn spawn<F>(&self, future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        LocalExecutor::spawn(self, future)
    }

    fn detach<F>(&self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        LocalExecutor::spawn(self, future).detach();
    }
}
