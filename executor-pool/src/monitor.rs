//! One thread for all pools of the process, which looks at their workers every few milliseconds while one of them is at
//! work, and sleeps otherwise. What it does when it looks, `relief` decides.
//!
//! The thread begins with the first pool, and ends with the last. No code of anybody else's runs on it, and none under
//! its lock.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use parking_lot::Mutex;
use polyexec_core::executor::process::PerProcess;
use polyexec_core::executor::{Alarm, Parker};

use crate::relief::{INTERVAL, Quiet, Rounds};
use crate::shared::Shared;

/// Looks in a row at pools that are quiet, until the monitor sleeps: 100 ms in all, so that a program which has a task now
/// and then doesn't pay for each that it has to be woken.
const QUIET_LOOKS: u32 = 20;

static REGISTRY: PerProcess<Registry> = PerProcess::new();

/// What a process has one of.
struct Registry {
    /// Rings when a worker comes to work, or is to wait for a thread.
    alarm: Alarm,
    office: Mutex<Office>,
}

fn registry() -> &'static Registry {
    let empty = || Mutex::new(Office { pools: Vec::new(), monitor: None });
    REGISTRY.get_or_init(|| Registry { alarm: Alarm::new(), office: empty() })
}

struct Office {
    pools: Vec<Rounds>,
    /// None without pools.
    monitor: Option<Monitor>,
}

struct Monitor {
    post: Arc<Post>,
    thread: JoinHandle<()>,
}

/// What a monitor and those who want something of it share.
struct Post {
    parker: Parker,
    /// Set under the lock of the office, when the last pool is gone.
    is_over: AtomicBool,
}

/// Looks after a pool from now on.
///
/// # Errors
///
/// It is the first, and the system has no thread.
pub(crate) fn watch(shared: Arc<Shared>) -> io::Result<()> {
    let mut office = registry().office.lock();
    if office.monitor.is_none() {
        let post = Arc::new(Post { parker: Parker::new(), is_over: AtomicBool::new(false) });
        let its = post.clone();
        let thread = thread::Builder::new().name("pool-monitor".to_owned()).spawn(move || its.look_after_pools())?;
        office.monitor = Some(Monitor { post, thread });
    }
    office.pools.push(Rounds::new(shared));
    drop(office);
    notice();
    Ok(())
}

/// Looks after the pool no longer, and gives back what the monitor knew of it. Waits for the monitor's end if it was the
/// last one.
pub(crate) fn forget(shared: &Arc<Shared>) -> Option<Rounds> {
    let (rounds, monitor) = {
        let mut office = registry().office.lock();
        let place = office.pools.iter().position(|rounds| Arc::ptr_eq(&rounds.shared, shared));
        let rounds = place.map(|place| office.pools.swap_remove(place));
        let monitor = if office.pools.is_empty() { office.monitor.take() } else { None };
        if let Some(monitor) = &monitor {
            monitor.post.is_over.store(true, Relaxed);
        }
        (rounds, monitor)
    };
    if let Some(Monitor { post, thread }) = monitor {
        post.parker.unpark();
        thread.join().expect("the monitor doesn't panic");
    }
    rounds
}

/// To be called after a worker has come to work, or is to wait for a thread.
#[inline]
pub(crate) fn notice() {
    registry().alarm.ring(wake);
}

#[cold]
fn wake() {
    if let Some(monitor) = &registry().office.lock().monitor {
        monitor.post.parker.unpark();
    }
}

impl Post {
    fn look_after_pools(&self) {
        let mut quiet_looks = 0;
        while let Some(quiet) = self.look() {
            match quiet {
                Quiet::No => quiet_looks = 0,
                Quiet::Yes => quiet_looks += 1,
            }
            if quiet_looks < QUIET_LOOKS {
                self.parker.park_until(Some(Instant::now() + INTERVAL));
            } else {
                self.sleep();
                quiet_looks = 0;
            }
        }
    }

    /// `None`: there are no more pools.
    fn look(&self) -> Option<Quiet> {
        let mut office = registry().office.lock();
        if self.is_over.load(Relaxed) {
            return None;
        }
        let now = Instant::now();
        let looks = office.pools.iter_mut().map(|rounds| rounds.look(now));
        Some(looks.fold(Quiet::Yes, |all, one| if one == Quiet::Yes { all } else { one }))
    }

    /// Sleeps until a worker comes to work, or there are no more pools.
    fn sleep(&self) {
        let office = registry().alarm.set(|| registry().office.lock());
        // If it is over, there may be another monitor, whom the alarm is to wake.
        if self.is_over.load(Relaxed) {
            return;
        }
        if office.pools.iter().any(Rounds::is_due) {
            registry().alarm.unset();
            return;
        }
        drop(office);
        self.parker.park_until(None);
    }
}
