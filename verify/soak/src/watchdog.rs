//! Detects a hang. Ends the epoch, which is judged then; if that doesn't help, says where it hangs and ends the process.

use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::judge;
use crate::log::{Log, Phase};

/// This long without any progress is a hang.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Watches one epoch at a time.
///
/// # What dropping does
///
/// Ends its thread.
pub struct Watchdog {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    seed: u64,
    patience: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    log: Option<Arc<Log>>,
    ended: bool,
}

impl Watchdog {
    /// Calls it a hang after `patience`; after half of that, has the epoch end if it can.
    ///
    /// # Errors
    ///
    /// The system refuses a thread.
    pub fn start(seed: u64, patience: Duration) -> std::io::Result<Self> {
        let shared = Arc::new(Shared { seed, patience, state: Mutex::default(), changed: Condvar::new() });
        let watched = shared.clone();
        let thread = thread::Builder::new().name("watchdog".into()).spawn(move || watched.run())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Watches this epoch from now on.
    pub fn watch(&self, log: &Arc<Log>) {
        self.shared.lock().log = Some(log.clone());
    }

    /// Stops watching. The watchdog keeps nothing of the epoch.
    pub fn leave(&self) {
        self.shared.lock().log = None;
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        const LOOKS: u32 = 20;
        let (mut seen, mut since) = (None, Instant::now());
        let mut state = self.lock();
        while !state.ended {
            state = match self.changed.wait_timeout(state, self.patience / LOOKS) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
            let now = state.log.as_ref().map(|log| (log.epoch, log.progress()));
            if now != seen || now.is_none() {
                (seen, since) = (now, Instant::now());
                continue;
            }
            let Some(log) = &state.log else { continue };
            if since.elapsed() >= self.patience {
                give_up(log, self.seed);
            }
            if since.elapsed() >= self.patience / 2 && matches!(log.phase(), Phase::Working | Phase::Draining) {
                log.stall();
            }
        }
    }
}

/// Says where it hangs, and ends the process.
fn give_up(log: &Log, seed: u64) -> ! {
    let told = std::panic::catch_unwind(|| describe(log, seed)).unwrap_or_default();
    let _ = write!(std::io::stderr(), "{told}");
    std::process::exit(1);
}

fn describe(log: &Log, seed: u64) -> String {
    use std::fmt::Write;
    const SHOWN: usize = 10;
    let Log { subject, epoch, .. } = log;
    let phase = log.phase();
    let mut told = format!(
        "\npolyexec-soak: hang: {subject}, seed {seed}, epoch {epoch}: nothing goes on any more, in phase {phase:?}\n"
    );
    let spawned = || log.records.iter().enumerate().filter(|(_, record)| record.is_spawned());
    let living = || spawned().filter(|(_, record)| !record.is_over());
    let _ = writeln!(
        told,
        "  tasks: {} spawned, {} not over, {} wakes lost; the first that aren't over:",
        spawned().count(),
        living().count(),
        judge::lost_wakes(log)
    );
    for (index, record) in living().take(SHOWN) {
        let _ = writeln!(told, "  task {index}: {record:?}");
    }
    told
}
