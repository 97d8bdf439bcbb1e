//! async-executor, driven as smol drives its global one: each thread blocks on `Executor::run`, again if a panic ends
//! that.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, RwLock};
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};

use async_channel::{Receiver, Sender};
use async_executor::{Executor, FallibleTask};
use futures_lite::future::block_on;
use polyexec_soak::faults::Fault;
use polyexec_soak::job::Job;
use polyexec_soak::outcome::{Outcome, Output};
use polyexec_soak::subject::{Handle, Manners, Spawner, Subject, Threads};

use crate::caught;

type Shared = Arc<Executor<'static>>;

pub struct AsyncExecutor {
    /// The spawners have it, too; taken by the drop.
    executor: Arc<RwLock<Option<Shared>>>,
    /// Dropped to end the threads.
    run: Option<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Clone)]
pub struct Spawns(Arc<RwLock<Option<Shared>>>);

/// `None`: there was no executor any more.
pub struct Joins(Option<FallibleTask<Output>>);

impl Subject for AsyncExecutor {
    const NAME: &'static str = "async-executor";
    const WINDOW: usize = 512;
    const EPOCH: u32 = 20_000;
    const MANNERS: Manners =
        Manners { home: false, ready_beats_abort: false, tells_drop_panics: false, tells_shutdown: false };
    const LEFT_OUT: &'static [(Fault, &'static str)] = &[
        (Fault::PanicInFutureDrop, "it ends the process"),
        (Fault::PanicInOutputDrop, "it ends the process"),
        (Fault::PanicInWake, "it ends the process"),
        (Fault::PanicInWakerDrop, "it ends the process"),
        (Fault::PanicInStartHook, "it has no threads of its own"),
        (Fault::PanicInStopHook, "it has no threads of its own"),
        (Fault::NestedJoin, "a thread that blocks isn't replaced, so that all may block"),
        (Fault::LocalFuture, "its tasks go from thread to thread"),
    ];
    type Spawner = Spawns;

    fn start(threads: Threads) -> io::Result<Self> {
        let executor = Shared::default();
        let (run, end) = async_channel::bounded(1);
        let shared = Arc::new(RwLock::new(Some(executor.clone())));
        let mut subject = Self { executor: shared, run: Some(run), threads: Vec::new() };
        for _ in 0..threads.workers {
            let (executor, end, threads) = (executor.clone(), end.clone(), threads.clone());
            subject.threads.push(thread::Builder::new().spawn(move || work(&executor, &end, &threads))?);
        }
        Ok(subject)
    }

    fn spawner(&self) -> Spawns {
        Spawns(self.executor.clone())
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        block_on(future)
    }
}

fn work(executor: &Executor<'static>, end: &Receiver<()>, threads: &Threads) {
    (threads.on_start)();
    while catch_unwind(AssertUnwindSafe(|| block_on(executor.run(end.recv())))).is_err() {}
    (threads.on_stop)();
}

impl Drop for AsyncExecutor {
    fn drop(&mut self) {
        let executor = self.executor.write().expect("nobody panics with it").take();
        self.run.take();
        for thread in self.threads.drain(..) {
            thread.join().expect("its panics are caught");
        }
        drop(executor);
    }
}

impl Spawner for Spawns {
    type Handle = Joins;

    fn spawn(&self, job: Job<Self>) -> Joins {
        let executor = self.0.read().expect("nobody panics with it");
        Joins(executor.as_ref().map(|executor| executor.spawn(job).fallible()))
    }
}

impl Handle for Joins {
    fn aborter(&self) -> Option<Box<dyn Fn() + Send>> {
        None
    }

    fn abort(self) {
        drop(self);
    }

    fn detach(self) {
        if let Some(task) = self.0 {
            task.detach();
        }
    }

    fn join(self) -> Outcome {
        unreachable!("left out")
    }
}

impl Future for Joins {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let Some(task) = &mut self.0 else { return Poll::Ready(Outcome::Cancelled) };
        let polled = || Pin::new(task).poll(cx).map(|output| output.map_or(Outcome::Cancelled, Outcome::Ready));
        caught::poll(polled, Outcome::Panicked)
    }
}
