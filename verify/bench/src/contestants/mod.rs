//! What a workload asks of an executor, so that it is written once; one adapter a file.

pub mod async_executor;
pub mod futures;
pub mod io;
pub mod nexosim;
pub mod plain;
pub mod polyexec;
pub mod threads;
pub mod tokio;

use std::fmt::Debug;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Whose it is, and which package's version stands beside its name in the report.
pub trait Named {
    /// As the tables show it.
    const NAME: &'static str;
    /// The package, as Cargo.lock calls it.
    const PACKAGE: &'static str;
}

/// Gives a type its name and its package.
macro_rules! named {
    ($kind:ident: $name:literal, $package:literal) => {
        impl $crate::contestants::Named for $kind {
            const NAME: &'static str = $name;
            const PACKAGE: &'static str = $package;
        }
    };
}
pub(crate) use named;

/// What every executor can spawn.
pub trait Job: Future<Output: Send + 'static> + Send + 'static {}
impl<F: Future<Output: Send + 'static> + Send + 'static> Job for F {}

/// Spawns tasks. The futures are `Send` even on a local executor, so that every executor gets the very same.
pub trait Spawn: Unpin {
    type Handle<T: Send + 'static>: Future<Output = T> + Send + Unpin + 'static;

    fn spawn<F: Job>(&self, future: F) -> Self::Handle<F::Output>;

    /// Spawns a detached task.
    fn detach(&self, future: impl Job<Output = ()>);
}

/// The handle of a `P`'s task.
pub type HandleOf<P, T> = <<P as Pool>::Inside as Spawn>::Handle<T>;

/// An executor with worker threads. Its drop ends them, and waits for that.
pub trait Pool: Named + 'static {
    /// What its tasks spawn with.
    type Inside: Spawn + Clone + Send + Sync + 'static;

    fn start(workers: usize) -> Self;

    /// Spawns from outside.
    fn spawn<F: Job>(&self, future: F) -> HandleOf<Self, F::Output>;

    fn inside(&self) -> Self::Inside;

    /// Blocks the calling thread, which is none of the workers, in the way that this executor's users do.
    fn block_on<F: Future>(&self, future: F) -> F::Output;

    /// Runs `root` as a task, and blocks until it is over.
    fn run<F: Job>(&self, root: F) -> F::Output {
        self.block_on(self.spawn(root))
    }
}

/// An executor whose tasks run on the thread that blocks on it.
pub trait Local: Named + 'static {
    type Inside: Spawn;

    fn start() -> Self;

    fn inside(&self) -> Self::Inside;

    /// Runs the tasks until `root` is ready.
    fn run<F: Future>(&mut self, root: F) -> F::Output;
}

/// Turns a handle of a `Result` into one of the output.
pub struct Unwrapped<H>(pub H);

impl<T, E: Debug, H: Future<Output = Result<T, E>> + Unpin> Future for Unwrapped<H> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        Pin::new(&mut self.0).poll(cx).map(|result| result.expect("no task panics or is cancelled here"))
    }
}
