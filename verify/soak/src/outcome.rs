//! What a task comes to: its output, which tells of its own drop, and the panics that are planned.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, set_hook, take_hook};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;

use crate::faults::Fault;
use crate::log::Log;

/// What a handle resolves with.
pub enum Outcome {
    /// The output.
    Ready(Output),
    /// The task was aborted. An executor that doesn't tell the one from the other says this when it was shut down, too.
    Cancelled,
    /// The executor was shut down.
    ShutDown,
    /// The task panicked.
    Panicked(Box<dyn Any + Send>),
    /// Anything else.
    Other,
}

/// The output of every task.
pub struct Output {
    log: Arc<Log>,
    index: u32,
    drop_panics: bool,
}

impl Output {
    pub(crate) fn new(log: Arc<Log>, index: u32, drop_panics: bool) -> Self {
        log.record(index).outputs.fetch_add(1, Relaxed);
        Self { log, index, drop_panics }
    }

    /// Records that the join of the task `index` received it. Returns whether it is that task's.
    pub(crate) fn deliver(&self, index: u32) -> bool {
        self.log.record(self.index).deliveries.fetch_add(1, Relaxed);
        self.index == index
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.log.record(self.index).output_drops.fetch_add(1, Relaxed);
        if self.drop_panics && !thread::panicking() {
            self.log.faults.add(Fault::PanicInOutputDrop);
            Planned::panic(self.index);
        }
    }
}

/// The payload of a planned panic.
pub struct Planned(u32);

/// Panics that weren't planned.
static UNPLANNED: AtomicU64 = AtomicU64::new(0);

impl Planned {
    /// Panics on behalf of a task.
    pub fn panic(index: u32) -> ! {
        panic_any(Self(index))
    }

    /// Whether `payload` is from a panic on behalf of that task.
    pub fn is(payload: &(dyn Any + Send), index: u32) -> bool {
        payload.downcast_ref::<Self>().is_some_and(|planned| planned.0 == index)
    }

    /// Keeps the panic hook from reporting planned panics, and counts the others. Once is enough.
    pub fn keep_quiet() {
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| {
            let report = take_hook();
            set_hook(Box::new(move |info| {
                if !info.payload().is::<Self>() {
                    UNPLANNED.fetch_add(1, Relaxed);
                    report(info);
                }
            }));
        });
    }

    /// How many panics so far weren't planned.
    pub fn unplanned() -> u64 {
        UNPLANNED.load(Relaxed)
    }
}

/// Runs what may panic as planned: `None` if it did.
pub fn contain<T>(run: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(run)).ok()
}
