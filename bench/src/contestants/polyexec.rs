//! Ours: `Pool` and `Local`, spawning through their handles, on the static path.

use polyexec::local::LocalHandle;
use polyexec::pool::PoolHandle;
use polyexec::{Executor, JoinHandle};

use super::{HandleOf, Local, Named, Pool, Spawn, Unwrapped};

pub struct OurPool(polyexec::Pool);

impl Named for OurPool {
    const NAME: &'static str = "polyexec Pool";
    const PACKAGE: &'static str = "polyexec";
}

impl Pool for OurPool {
    type Inside = PoolHandle;

    fn start(workers: usize) -> Self {
        Self(polyexec::Pool::builder().worker_threads(workers).build().expect("threads can be started"))
    }

    fn spawn<F>(&self, future: F) -> HandleOf<Self, F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Unwrapped(self.0.spawn(future))
    }

    fn inside(&self) -> PoolHandle {
        self.0.handle()
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }
}

impl Spawn for PoolHandle {
    type Handle<T: Send + 'static> = Unwrapped<JoinHandle<T>>;

    fn spawn<F>(&self, future: F) -> Unwrapped<JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Unwrapped(Executor::spawn(self, future))
    }

    fn detach<F>(&self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        drop(Executor::spawn(self, future));
    }
}

pub struct OurLocal(polyexec::Local);

impl Named for OurLocal {
    const NAME: &'static str = "polyexec Local";
    const PACKAGE: &'static str = "polyexec";
}

impl Local for OurLocal {
    type Inside = LocalHandle;

    fn start() -> Self {
        Self(polyexec::Local::new())
    }

    fn inside(&self) -> LocalHandle {
        self.0.handle()
    }

    fn run<F: Future>(&mut self, root: F) -> F::Output {
        self.0.block_on(root)
    }
}

impl Spawn for LocalHandle {
    type Handle<T: Send + 'static> = Unwrapped<JoinHandle<T>>;

    fn spawn<F>(&self, future: F) -> Unwrapped<JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Unwrapped(self.spawn_local(future))
    }

    fn detach<F>(&self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        drop(self.spawn_local(future));
    }
}
