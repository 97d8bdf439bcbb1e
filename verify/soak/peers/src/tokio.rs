//! tokio's multi-threaded runtime.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use polyexec_soak::faults::Fault;
use polyexec_soak::job::Job;
use polyexec_soak::outcome::{Outcome, Output};
use polyexec_soak::subject::{self, Manners, Spawner, Subject, Threads};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::{JoinError, JoinHandle};

pub struct Tokio(Runtime);

#[derive(Clone)]
pub struct Spawns(Handle);

pub struct Joins(JoinHandle<Output>);

impl Subject for Tokio {
    const NAME: &'static str = "tokio";
    const WINDOW: usize = 512;
    const EPOCH: u32 = 20_000;
    const MANNERS: Manners =
        Manners { home: false, ready_beats_abort: true, tells_drop_panics: false, tells_shutdown: false };
    const LEFT_OUT: &'static [(Fault, &'static str)] = &[
        (Fault::PanicInStartHook, "it ends a worker, and nobody takes its place"),
        (Fault::NestedJoin, "its `block_on` panics inside a task"),
        (Fault::LocalFuture, "its tasks go from thread to thread"),
    ];
    const NOTES: &'static [&'static str] = &[
        "a panic in a join waker's drop comes to whoever drops or polls the handle, and leaks the task's memory",
        "a panic in a join waker's wake leaks that waker",
        "a panic in an output's drop comes to whoever drops the handle",
    ];
    type Spawner = Spawns;

    fn start(threads: Threads) -> io::Result<Self> {
        let Threads { workers, on_start, on_stop } = threads;
        Builder::new_multi_thread()
            .worker_threads(workers)
            .on_thread_start(move || on_start())
            .on_thread_stop(move || on_stop())
            .build()
            .map(Self)
    }

    fn spawner(&self) -> Spawns {
        Spawns(self.0.handle().clone())
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }
}

impl Spawner for Spawns {
    type Handle = Joins;

    fn spawn(&self, job: Job<Self>) -> Joins {
        Joins(self.0.spawn(job))
    }
}

impl subject::Handle for Joins {
    fn aborter(&self) -> Option<Box<dyn Fn() + Send>> {
        let aborter = self.0.abort_handle();
        Some(Box::new(move || aborter.abort()))
    }

    fn abort(self) {
        self.0.abort();
    }

    fn detach(self) {
        drop(self);
    }

    fn join(self) -> Outcome {
        unreachable!("left out")
    }
}

impl Future for Joins {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        Pin::new(&mut self.0).poll(cx).map(|result| match result.map_err(JoinError::try_into_panic) {
            Ok(output) => Outcome::Ready(output),
            Err(Ok(payload)) => Outcome::Panicked(payload),
            Err(Err(error)) if error.is_cancelled() => Outcome::Cancelled,
            Err(Err(_)) => Outcome::Other,
        })
    }
}
