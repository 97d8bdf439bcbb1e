//! futures' `ThreadPool`, with handles made by `spawn_with_handle`.

use std::io;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, RwLock};
use std::task::{Context, Poll};

use futures::channel::oneshot::Canceled;
use futures::executor::{ThreadPool, block_on};
use futures::future::RemoteHandle;
use futures::task::SpawnExt;
use polyexec_soak::faults::Fault;
use polyexec_soak::job::Job;
use polyexec_soak::outcome::{Outcome, Output};
use polyexec_soak::subject::{Handle, Manners, Spawner, Subject, Threads};

use crate::caught;

pub struct FuturesPool {
    /// The spawners have it, too; taken by the drop.
    pool: Arc<RwLock<Option<ThreadPool>>>,
    workers: usize,
    /// Each worker's last word: the pool itself doesn't wait for its threads.
    ended: Receiver<()>,
}

#[derive(Clone)]
pub struct Spawns(Arc<RwLock<Option<ThreadPool>>>);

/// `None`: there was no pool any more.
pub struct Joins(Option<RemoteHandle<Output>>);

impl Subject for FuturesPool {
    const NAME: &'static str = "futures";
    const WINDOW: usize = 512;
    const EPOCH: u32 = 20_000;
    const MANNERS: Manners =
        Manners { home: false, ready_beats_abort: false, tells_drop_panics: false, tells_shutdown: false };
    const LEFT_OUT: &'static [(Fault, &'static str)] = &[
        (Fault::PanicInFutureDrop, "it ends a worker"),
        (Fault::PanicInOutputDrop, "it ends a worker"),
        (Fault::PanicInWake, "it ends a worker"),
        (Fault::PanicInWakerDrop, "it ends a worker"),
        (Fault::PanicInStartHook, "it ends a worker"),
        (Fault::NestedJoin, "its `block_on` panics inside a task"),
        (Fault::LocalFuture, "its tasks go from thread to thread"),
        (Fault::StoredWaker, "a waker keeps the pool's threads"),
        (Fault::LateWakes, "a waker keeps the pool's threads"),
    ];
    const NOTES: &'static [&'static str] =
        &["its drop drops no task: its threads stay until all are over, and it is the soak that waits for them"];
    type Spawner = Spawns;

    fn start(threads: Threads) -> io::Result<Self> {
        let Threads { workers, on_start, on_stop } = threads;
        let (end, ended) = channel();
        let end = Mutex::new(end);
        let pool = ThreadPool::builder()
            .pool_size(workers)
            .after_start(move |_| on_start())
            .before_stop(move |_| {
                on_stop();
                let _ = end.lock().expect("nobody panics with it").send(());
            })
            .create()?;
        Ok(Self { pool: Arc::new(RwLock::new(Some(pool))), workers, ended })
    }

    fn spawner(&self) -> Spawns {
        Spawns(self.pool.clone())
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        block_on(future)
    }
}

impl Drop for FuturesPool {
    fn drop(&mut self) {
        self.pool.write().expect("nobody panics with it").take();
        for _ in 0..self.workers {
            let _ = self.ended.recv();
        }
    }
}

impl Spawner for Spawns {
    type Handle = Joins;

    fn spawn(&self, job: Job<Self>) -> Joins {
        let pool = self.0.read().expect("nobody panics with it");
        Joins(pool.as_ref().map(|pool| pool.spawn_with_handle(job).expect("a pool takes every task")))
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
        if let Some(handle) = self.0 {
            handle.forget();
        }
    }

    fn join(self) -> Outcome {
        unreachable!("left out")
    }
}

impl Future for Joins {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let Some(handle) = &mut self.0 else { return Poll::Ready(Outcome::Cancelled) };
        caught::poll(
            || Pin::new(handle).poll(cx).map(Outcome::Ready),
            |payload| if payload.is::<Canceled>() { Outcome::Cancelled } else { Outcome::Panicked(payload) },
        )
    }
}
