//! What a task costs that waits: bytes allocated, and memory resident.

use std::future::pending;
use std::hint::black_box;
use std::pin::Pin;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Waker};
use std::time::Duration;
use std::{env, fs, thread};

use polyexec_bench_allocator::live_bytes_of;

use super::{PoolWorkload, warm_up};
use crate::contestants::async_executor::AsyncExecutor;
use crate::contestants::futures::FuturesPool;
use crate::contestants::polyexec::OurPool;
use crate::contestants::tokio::Tokio;
use crate::contestants::{Named, Pool};
use crate::row::WORKERS;

/// Tasks that wait for ever with a payload of 64 bytes, their handles kept.
#[derive(Clone, Copy)]
pub struct Waiting {
    pub tasks: u64,
}

/// How many have been polled. A static, so that no task carries a reference to it.
static POLLED: AtomicU64 = AtomicU64::new(0);

// Not an `async fn`, whose future would have room for the payload twice: as an argument and as a variable.
fn waiting(byte: u8) -> impl Future<Output = usize> + Send + 'static {
    let payload = [byte; 64];
    async move {
        POLLED.fetch_add(1, Relaxed);
        pending::<()>().await;
        black_box(&payload).len()
    }
}

impl Waiting {
    /// Spawns them, and returns when all have been polled and wait.
    fn spawn_all<P: Pool>(self, pool: &P) -> Vec<impl Sized> {
        POLLED.store(0, Relaxed);
        let mut handles = Vec::with_capacity(self.tasks as usize);
        handles.extend((0..self.tasks).map(|i| pool.spawn(waiting(i as u8))));
        while POLLED.load(Relaxed) < self.tasks {
            thread::sleep(Duration::from_millis(1));
        }
        handles
    }

    /// The limit: as many boxed futures, kept and polled once.
    pub fn boxes(self) -> f64 {
        type Boxed = Pin<Box<dyn Future<Output = usize> + Send>>;
        let (futures, bytes) = live_bytes_of(|| {
            let mut cx = Context::from_waker(Waker::noop());
            let mut futures: Vec<Boxed> = Vec::with_capacity(self.tasks as usize);
            futures.extend((0..self.tasks).map(|i| Box::pin(waiting(i as u8)) as Boxed));
            for future in &mut futures {
                assert!(future.as_mut().poll(&mut cx).is_pending());
            }
            futures
        });
        drop(futures);
        bytes as f64 / self.tasks as f64
    }
}

impl PoolWorkload for Waiting {
    /// In bytes allocated for each task.
    fn measure<P: Pool>(&self, pool: &P) -> f64 {
        let (handles, bytes) = live_bytes_of(|| self.spawn_all(pool));
        drop(handles);
        bytes as f64 / self.tasks as f64
    }
}

/// What becomes resident in this process for each of `tasks` on the pool of this name, in bytes.
///
/// The process should be a fresh one: memory that was freed before is used again, and would hide some.
pub fn resident(pool: &str, tasks: u64) -> Option<f64> {
    fn on<P: Pool>(tasks: u64) -> Option<f64> {
        let pool = P::start(WORKERS);
        warm_up(&pool);
        let before = resident_bytes()?;
        let handles = Waiting { tasks }.spawn_all(&pool);
        let after = resident_bytes()?;
        drop(handles);
        Some((after - before) / tasks as f64)
    }
    match pool {
        OurPool::NAME => on::<OurPool>(tasks),
        Tokio::NAME => on::<Tokio>(tasks),
        AsyncExecutor::NAME => on::<AsyncExecutor>(tasks),
        FuturesPool::NAME => on::<FuturesPool>(tasks),
        _ => None,
    }
}

/// [`resident`] in a new process of this program; not a number where the system doesn't tell.
pub fn resident_elsewhere(pool: &str, tasks: u64) -> f64 {
    let measure = || {
        let program = env::current_exe().ok()?;
        let out = Command::new(program).args(["--resident", pool, &tasks.to_string()]).output().ok()?;
        String::from_utf8(out.stdout).ok()?.trim().parse().ok()
    };
    measure().unwrap_or(f64::NAN)
}

/// This process's resident memory, as Linux tells it.
fn resident_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1_024.0)
}
