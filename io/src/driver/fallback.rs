//! The driver's own thread, which polls when no other does: all are busy, or their executor knows nothing of polyexec. It looks
//! every millisecond while something happens, and sleeps otherwise.

use std::time::{Duration, Instant};

use polyexec_core::executor::driver::{Driver, Polled, Priority, are_workers, serve_as_fallback};
use polyexec_core::executor::{Alarm, Parker};

use crate::driver::IoDriver;

/// The thread steps in after one to two ticks in which no other has polled.
const TICK: Duration = Duration::from_millis(1);

/// Ticks in a row without a need for this thread, until it sleeps.
const QUIET_TICKS: u32 = 10;

/// Ticks in a row without a look by a worker, until this thread waits in the driver: the workers are busy for long.
const MAX_IDLE_TICKS: u32 = 8;

/// Where the fallback thread sleeps.
#[derive(Debug, Default)]
pub(crate) struct Fallback {
    alarm: Alarm,
    parker: Parker,
}

impl Fallback {
    /// Wakes the thread if it sleeps. Call it after the driver's lock was released, or after there is more to wait for.
    pub(crate) fn notify(&self) {
        self.alarm.ring(|| self.parker.unpark());
    }

    fn wait_for_tick(&self) {
        self.parker.park_until(Some(Instant::now() + TICK));
    }

    fn sleep(&self, is_needed: impl FnOnce() -> bool) {
        if self.alarm.set(is_needed) {
            self.alarm.unset();
        } else {
            self.parker.park_until(None);
        }
    }
}

/// The thread's loop, which never ends.
pub(crate) fn run(driver: &IoDriver) {
    serve_as_fallback();
    let (mut polls_before, mut quiet_ticks, mut idle_ticks) = (0, 0, 0);
    loop {
        driver.fallback.wait_for_tick();
        let was_polled = driver.polls() != polls_before;
        let is_idle = !was_polled && driver.needs_fallback();
        quiet_ticks = if was_polled || is_idle { 0 } else { quiet_ticks + 1 };
        idle_ticks = if is_idle { idle_ticks + 1 } else { 0 };
        if is_idle && idle_ticks <= MAX_IDLE_TICKS && are_workers() {
            // They are busy, and will look: no event should wake one of them alone.
            drop(driver.look(Priority::Fallback));
        } else if is_idle {
            while let Polled::Done(woken) = driver.poll(Priority::Fallback, &mut || true) {
                drop(woken);
            }
        }
        polls_before = driver.polls();
        if quiet_ticks == QUIET_TICKS {
            driver.fallback.sleep(|| driver.needs_fallback());
            quiet_ticks = 0;
        }
    }
}
