//! A thread for each task: ours and the peers' ways to get one.

use std::thread;

use futures_lite::future::block_on;
use tokio::runtime::{Builder, Runtime};

use super::{Job, Named, named};

/// Runs each future on a thread of its own.
pub trait Threads: Named + 'static {
    type Handle<T: Send + 'static>;

    fn start() -> Self;

    fn spawn<F: Job>(&self, future: F) -> Self::Handle<F::Output>;

    fn join<T: Send + 'static>(&self, handle: Self::Handle<T>) -> T;
}

/// `Threaded`, with a new thread for each task or as it comes: threads are used again.
pub struct Ours<const FRESH: bool>(polyexec::Threaded);

pub type Cached = Ours<false>;
pub type Fresh = Ours<true>;

impl<const FRESH: bool> Named for Ours<FRESH> {
    const NAME: &'static str = if FRESH { "polyexec Threaded, fresh" } else { "polyexec Threaded" };
    const PACKAGE: &'static str = "polyexec";
}

impl<const FRESH: bool> Threads for Ours<FRESH> {
    type Handle<T: Send + 'static> = polyexec::JoinHandle<T>;

    fn start() -> Self {
        let builder = polyexec::Threaded::builder();
        Self(if FRESH { builder.fresh_threads() } else { builder }.build().expect("valid settings"))
    }

    fn spawn<F: Job>(&self, future: F) -> polyexec::JoinHandle<F::Output> {
        self.0.spawn(future)
    }

    fn join<T: Send + 'static>(&self, handle: polyexec::JoinHandle<T>) -> T {
        handle.join().expect("no task panics")
    }
}

/// tokio's pool of threads that may block.
pub struct SpawnBlocking(Runtime);

named!(SpawnBlocking: "tokio spawn_blocking", "tokio");

impl Threads for SpawnBlocking {
    type Handle<T: Send + 'static> = tokio::task::JoinHandle<T>;

    fn start() -> Self {
        Self(Builder::new_multi_thread().worker_threads(2).build().expect("threads can be started"))
    }

    fn spawn<F: Job>(&self, future: F) -> tokio::task::JoinHandle<F::Output> {
        self.0.spawn_blocking(|| block_on(future))
    }

    fn join<T: Send + 'static>(&self, handle: tokio::task::JoinHandle<T>) -> T {
        self.0.block_on(handle).expect("no task panics")
    }
}

/// `std::thread::spawn`.
pub struct Std;

named!(Std: "std::thread::spawn", "std");

impl Threads for Std {
    type Handle<T: Send + 'static> = thread::JoinHandle<T>;

    fn start() -> Self {
        Self
    }

    fn spawn<F: Job>(&self, future: F) -> thread::JoinHandle<F::Output> {
        thread::spawn(|| block_on(future))
    }

    fn join<T: Send + 'static>(&self, handle: thread::JoinHandle<T>) -> T {
        handle.join().expect("no task panics")
    }
}
