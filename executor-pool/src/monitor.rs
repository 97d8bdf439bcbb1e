//! The process's housekeeping thread: ticks every few milliseconds while a worker of any pool runs tasks, and sleeps
//! otherwise. `handoff` says what a tick does.
//!
//! The thread starts with the first pool and ends with the last. It runs no user code, least of all under its lock.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use parking_lot::Mutex;
use polyexec_core::executor::process::PerProcess;
use polyexec_core::executor::{Alarm, Parker};

use crate::policy::{MAX_IDLE_SCANS, MONITOR_INTERVAL};
use crate::watched::{Tick, Watched};

static REGISTRY: PerProcess<Registry> = PerProcess::new();

/// A process has one.
struct Registry {
    /// Rings when a worker starts, or is left without a thread.
    alarm: Alarm,
    pools: Mutex<Pools>,
}

fn registry() -> &'static Registry {
    let empty = || Mutex::new(Pools { watched: Vec::new(), monitor: None });
    REGISTRY.get_or_init(|| Registry { alarm: Alarm::new(), pools: empty() })
}

struct Pools {
    watched: Vec<Box<dyn Watched>>,
    /// None without pools.
    monitor: Option<Monitor>,
}

struct Monitor {
    control: Arc<Control>,
    thread: JoinHandle<()>,
}

/// What a monitor shares with its callers.
struct Control {
    parker: Parker,
    /// Set under the lock of the pools, when the last one is gone.
    is_over: AtomicBool,
}

/// Watches a pool from now on.
///
/// # Errors
///
/// It is the first, and the system has no thread.
pub(crate) fn add(pool: Box<dyn Watched>) -> io::Result<()> {
    let mut pools = registry().pools.lock();
    if pools.monitor.is_none() {
        let control = Arc::new(Control { parker: Parker::new(), is_over: AtomicBool::new(false) });
        let shared = control.clone();
        let thread = thread::Builder::new().name("pool-monitor".to_owned()).spawn(move || shared.run())?;
        pools.monitor = Some(Monitor { control, thread });
    }
    pools.watched.push(pool);
    drop(pools);
    notify();
    Ok(())
}

/// Stops watching a pool, and returns what the monitor knew of it. After the last one, waits for the monitor's end.
pub(crate) fn remove(pool: usize) -> Option<Box<dyn Watched>> {
    let (removed, monitor) = {
        let mut pools = registry().pools.lock();
        let index = pools.watched.iter().position(|watched| watched.pool() == pool);
        let removed = index.map(|index| pools.watched.swap_remove(index));
        let monitor = if pools.watched.is_empty() { pools.monitor.take() } else { None };
        if let Some(monitor) = &monitor {
            monitor.control.is_over.store(true, Relaxed);
        }
        (removed, monitor)
    };
    if let Some(Monitor { control, thread }) = monitor {
        control.parker.unpark();
        thread.join().expect("the monitor doesn't panic");
    }
    removed
}

/// Wakes the monitor. Call it after a worker has started, or was left without a thread.
#[inline]
pub(crate) fn notify() {
    registry().alarm.ring(wake);
}

#[cold]
fn wake() {
    if let Some(monitor) = &registry().pools.lock().monitor {
        monitor.control.parker.unpark();
    }
}

impl Control {
    fn run(&self) {
        let mut idle_ticks = 0;
        while let Some(tick) = self.tick() {
            match tick {
                Tick::Busy => idle_ticks = 0,
                Tick::Idle => idle_ticks += 1,
            }
            if idle_ticks < MAX_IDLE_SCANS {
                self.parker.park_until(Some(Instant::now() + MONITOR_INTERVAL));
            } else {
                self.sleep();
                idle_ticks = 0;
            }
        }
    }

    /// `None` if there are no more pools.
    fn tick(&self) -> Option<Tick> {
        let mut pools = registry().pools.lock();
        if self.is_over.load(Relaxed) {
            return None;
        }
        let now = Instant::now();
        let ticks = pools.watched.iter_mut().map(|pool| pool.tick(now));
        Some(ticks.fold(Tick::Idle, |all, one| if one == Tick::Idle { all } else { one }))
    }

    /// Sleeps until a worker starts, or there are no more pools.
    fn sleep(&self) {
        let pools = registry().alarm.set(|| registry().pools.lock());
        // If it is over, the alarm may be another monitor's by now.
        if self.is_over.load(Relaxed) {
            return;
        }
        if pools.watched.iter().any(|pool| pool.is_due()) {
            registry().alarm.unset();
            return;
        }
        drop(pools);
        self.parker.park_until(None);
    }
}
