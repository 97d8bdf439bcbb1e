//! The driver's own thread, which waits inside where nobody else does: all threads are busy, or their executor knows
//! nothing of polyexec. It looks every millisecond while something happens, and sleeps otherwise.

use std::time::{Duration, Instant};

use polyexec_core::executor::driver::{Driver, Turn, Wait, are_workers, wake_all};
use polyexec_core::executor::{Alarm, Parker};

use crate::driver::IoDriver;

/// For so long there must have been nobody inside, or up to twice as long, until the attendant steps in.
const TICK: Duration = Duration::from_millis(1);

/// Looks in a row at which somebody was inside, and nothing has happened, until the attendant sleeps.
const QUIET_LOOKS: u32 = 10;

/// Looks in a row that nobody else took, until the attendant takes it that the workers are busy for long, and waits inside
/// until one of them wants to.
const NEGLECTED_LOOKS: u32 = 8;

/// Where the attendant sleeps.
#[derive(Debug, Default)]
pub(crate) struct Fallback {
    alarm: Alarm,
    parker: Parker,
}

impl Fallback {
    /// To be called when nobody is inside any more, or there is more to wait for.
    pub(crate) fn notice(&self) {
        self.alarm.ring(|| self.parker.unpark());
    }

    fn doze(&self) {
        self.parker.park_until(Some(Instant::now() + TICK));
    }

    fn sleep(&self, must_look: impl FnOnce() -> bool) {
        if self.alarm.set(must_look) {
            self.alarm.unset();
        } else {
            self.parker.park_until(None);
        }
    }
}

/// What the thread does, for ever.
pub(crate) fn attend(driver: &IoDriver) {
    polyexec_core::executor::driver::attend();
    let (mut seen, mut quiet_looks, mut neglected, mut woken) = (0, 0, 0, Vec::new());
    loop {
        driver.fallback.doze();
        let has_turned = driver.turns() != seen;
        let is_neglected = !has_turned && driver.is_unattended();
        quiet_looks = if has_turned || is_neglected { 0 } else { quiet_looks + 1 };
        neglected = if is_neglected { neglected + 1 } else { 0 };
        if is_neglected && neglected <= NEGLECTED_LOOKS && are_workers() {
            // They are busy, and will come back: no event should wake one of them alone.
            driver.look(Wait::AsAttendant, &mut woken);
        } else if is_neglected {
            while driver.turn(Wait::AsAttendant, &mut || true, &mut woken) == Turn::Had {
                wake_all(woken.drain(..));
            }
        }
        wake_all(woken.drain(..));
        seen = driver.turns();
        if quiet_looks == QUIET_LOOKS {
            driver.fallback.sleep(|| driver.is_unattended());
            quiet_looks = 0;
        }
    }
}
