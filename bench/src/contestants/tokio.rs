//! tokio: its multi-threaded runtime, and a `LocalSet` on its single-threaded one.

use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinHandle, LocalSet};

use super::{HandleOf, Local, Named, Pool, Spawn, Unwrapped};

pub struct Tokio(Runtime);

/// `tokio::spawn`, which finds the runtime of the task that calls it.
#[derive(Clone)]
pub struct InTask;

impl Named for Tokio {
    const NAME: &'static str = "tokio";
    const PACKAGE: &'static str = "tokio";
}

impl Pool for Tokio {
    type Inside = InTask;

    fn start(workers: usize) -> Self {
        Self(Builder::new_multi_thread().worker_threads(workers).build().expect("threads can be started"))
    }

    fn spawn<F>(&self, future: F) -> HandleOf<Self, F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Unwrapped(self.0.spawn(future))
    }

    fn inside(&self) -> InTask {
        InTask
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }
}

impl Spawn for InTask {
    type Handle<T: Send + 'static> = Unwrapped<JoinHandle<T>>;

    fn spawn<F>(&self, future: F) -> Unwrapped<JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Unwrapped(tokio::spawn(future))
    }

    fn detach<F>(&self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        drop(tokio::spawn(future));
    }
}

pub struct TokioLocal {
    // In this order: the set's tasks are dropped while their runtime lives.
    tasks: LocalSet,
    runtime: Runtime,
}

/// `tokio::task::spawn_local`, which finds the set of the task that calls it.
pub struct InSet;

impl Named for TokioLocal {
    const NAME: &'static str = "tokio LocalSet";
    const PACKAGE: &'static str = "tokio";
}

impl Local for TokioLocal {
    type Inside = InSet;

    fn start() -> Self {
        let runtime = Builder::new_current_thread().build().expect("needs no threads");
        Self { tasks: LocalSet::new(), runtime }
    }

    fn inside(&self) -> InSet {
        InSet
    }

    fn run<F: Future>(&mut self, root: F) -> F::Output {
        self.tasks.block_on(&self.runtime, root)
    }
}

impl Spawn for InSet {
    type Handle<T: Send + 'static> = Unwrapped<JoinHandle<T>>;

    fn spawn<F>(&self, future: F) -> Unwrapped<JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Unwrapped(tokio::task::spawn_local(future))
    }

    fn detach<F>(&self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        drop(tokio::task::spawn_local(future));
    }
}
