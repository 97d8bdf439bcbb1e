//! The executor's thread hooks: they set a thread's role, count, and sometimes panic. They hold nothing of the epoch, since
//! wakers may keep an executor alive.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{AcqRel, Acquire};

use crate::faults::{Counts, Fault};
use crate::outcome::Planned;
use crate::plan::{Planner, mix};
use crate::role::{self, Role};
use crate::subject::Threads;

/// One thread in this number panics.
const PANICS: u64 = 4;

/// How often the hooks were called.
#[derive(Debug, Default)]
pub(crate) struct Hooks {
    started: AtomicU32,
    stopped: AtomicU32,
    panics_at_start: AtomicU32,
    panics_at_stop: AtomicU32,
}

impl Hooks {
    /// The threads of an executor.
    pub(crate) fn threads(self: &Arc<Self>, workers: usize, planner: Planner, seed: u64) -> Threads {
        let (starts, stops) = (self.clone(), self.clone());
        Threads {
            workers,
            on_start: Arc::new(move || {
                role::set(Role::Worker);
                let number = starts.started.fetch_add(1, AcqRel);
                if planner.has(Fault::PanicInStartHook) && mix(seed ^ u64::from(number)).is_multiple_of(PANICS) {
                    starts.panics_at_start.fetch_add(1, AcqRel);
                    Planned::panic(number);
                }
            }),
            on_stop: Arc::new(move || {
                let number = stops.stopped.fetch_add(1, AcqRel);
                if planner.has(Fault::PanicInStopHook) && mix(!seed ^ u64::from(number)).is_multiple_of(PANICS) {
                    stops.panics_at_stop.fetch_add(1, AcqRel);
                    Planned::panic(number);
                }
            }),
        }
    }

    /// Threads that started and didn't end, or the other way round.
    pub(crate) fn imbalance(&self) -> u64 {
        self.started.load(Acquire).abs_diff(self.stopped.load(Acquire)).into()
    }

    /// Adds the panics to `faults`.
    pub(crate) fn count(&self, faults: &Counts) {
        (0..self.panics_at_start.load(Acquire)).for_each(|_| faults.add(Fault::PanicInStartHook));
        (0..self.panics_at_stop.load(Acquire)).for_each(|_| faults.add(Fault::PanicInStopHook));
    }
}
