//! A thread for each task: ours and the peers' ways to get one.

use std::thread;

use futures_lite::future::block_on;
use tokio::runtime::{Builder, Runtime};

use super::Named;

/// Runs each future on a thread of its own.
pub trait Threads: Named + 'static {
    type Handle<T: Send + 'static>;

    fn start() -> Self;

    fn spawn<F>(&self, future: F) -> Self::Handle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    fn join<T: Send + 'static>(&self, handle: Self::Handle<T>) -> T;
}

/// `Threaded` as it comes: threads are used again.
pub struct Cached(polyexec::Threaded);

/// `Threaded` with a new thread for each task.
pub struct Fresh(polyexec::Threaded);

impl Named for Cached {
    const NAME: &'static str = "polyexec Threaded";
    const PACKAGE: &'static str = "polyexec";
}

impl Threads for Cached {
    type Handle<T: Send + 'static> = polyexec::JoinHandle<T>;

    fn start() -> Self {
        Self(polyexec::Threaded::new())
    }

    fn spawn<F>(&self, future: F) -> polyexec::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.spawn(future)
    }

    fn join<T: Send + 'static>(&self, handle: polyexec::JoinHandle<T>) -> T {
        handle.join().expect("no task panics")
    }
}

impl Named for Fresh {
    const NAME: &'static str = "polyexec Threaded, fresh";
    const PACKAGE: &'static str = "polyexec";
}

impl Threads for Fresh {
    type Handle<T: Send + 'static> = polyexec::JoinHandle<T>;

    fn start() -> Self {
        Self(polyexec::Threaded::builder().fresh_threads().build().expect("valid settings"))
    }

    fn spawn<F>(&self, future: F) -> polyexec::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.spawn(future)
    }

    fn join<T: Send + 'static>(&self, handle: polyexec::JoinHandle<T>) -> T {
        handle.join().expect("no task panics")
    }
}

/// tokio's pool of threads that may block.
pub struct SpawnBlocking(Runtime);

impl Named for SpawnBlocking {
    const NAME: &'static str = "tokio spawn_blocking";
    const PACKAGE: &'static str = "tokio";
}

impl Threads for SpawnBlocking {
    type Handle<T: Send + 'static> = tokio::task::JoinHandle<T>;

    fn start() -> Self {
        Self(Builder::new_multi_thread().worker_threads(2).build().expect("threads can be started"))
    }

    fn spawn<F>(&self, future: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.spawn_blocking(|| block_on(future))
    }

    fn join<T: Send + 'static>(&self, handle: tokio::task::JoinHandle<T>) -> T {
        self.0.block_on(handle).expect("no task panics")
    }
}

/// `std::thread::spawn`.
pub struct Std;

impl Named for Std {
    const NAME: &'static str = "std::thread::spawn";
    const PACKAGE: &'static str = "std";
}

impl Threads for Std {
    type Handle<T: Send + 'static> = thread::JoinHandle<T>;

    fn start() -> Self {
        Self
    }

    fn spawn<F>(&self, future: F) -> thread::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        thread::spawn(|| block_on(future))
    }

    fn join<T: Send + 'static>(&self, handle: thread::JoinHandle<T>) -> T {
        handle.join().expect("no task panics")
    }
}
