//! Timers: [`sleep`], [`timeout`] and [`interval`], for every executor, and for threads without one.
//!
//! A timer goes by the clock of the executor in which it is made, if that has [its own](polyexec_core::Executor::clock). So a
//! simulated executor runs the same futures on simulated time. Otherwise a timer goes by the real time, [`clock`](crate::clock).
//! Idle threads of polyexec's executors wait for such timers themselves; for other executors, the driver's fallback thread does.
//!
//! A timer is never early, and may be a little late: the system counts in milliseconds.
//!
//! # Examples
//!
//! ```
//! use std::time::Duration;
//!
//! use polyexec_io::time::{interval, sleep, timeout};
//!
//! # polyexec_core::block_on(async {
//! sleep(Duration::from_millis(2)).await;
//!
//! let too_long = timeout(Duration::from_millis(2), std::future::pending::<()>());
//! assert!(too_long.await.is_err());
//!
//! let mut ticks = interval(Duration::from_millis(2));
//! let first = ticks.tick().await; // immediate
//! let second = ticks.tick().await;
//! assert_eq!(second - first, Duration::from_millis(2));
//! # });
//! ```
//!
//! # Times that have passed
//!
//! A timer whose time has passed is ready at its first poll, and so is a timeout of a ready future. Both count toward the
//! [budget](polyexec_core::task::poll_proceed) of the task's poll. So `loop { sleep(Duration::ZERO).await }` lets other tasks
//! run. run.
//!
//! # Too far away
//!
//! A time beyond what [`Instant`] can hold never comes: `sleep(Duration::MAX)` is pending for ever, and
//! `timeout(Duration::MAX, future)` never times out.

use std::sync::Arc;
use std::time::Instant;

use polyexec_core::executor::Clock;

pub use interval::{Interval, MissedTick, interval, interval_at};
pub use sleep::{Sleep, sleep, sleep_until};
pub use timeout::{Elapsed, Timeout, timeout, timeout_at};

mod interval;
mod sleep;
mod timeout;

/// The time on the clock that a timer made here would go by.
///
/// A deadline computed from it also works on a simulated executor.
///
/// # Examples
///
/// One deadline for several steps:
///
/// ```
/// use std::time::Duration;
///
/// use polyexec_io::time::{Elapsed, now, timeout_at};
///
/// async fn hello_and_goodbye() -> Result<(), Elapsed> {
///     let deadline = now() + Duration::from_secs(5);
///     timeout_at(deadline, async { /* … */ }).await?;
///     timeout_at(deadline, async { /* … */ }).await
/// }
/// # polyexec_core::block_on(hello_and_goodbye()).unwrap();
/// ```
pub fn now() -> Instant {
    ClockRef::here().now()
}

/// A reference to the clock that a timer goes by.
#[derive(Clone)]
enum ClockRef {
    Executor(Arc<dyn Clock>),
    Real,
}

impl ClockRef {
    /// The clock of a timer that is made here.
    fn here() -> Self {
        polyexec_core::executor::clock().map_or(Self::Real, Self::Executor)
    }

    fn now(&self) -> Instant {
        match self {
            Self::Executor(clock) => clock.now(),
            // Without the driver, which only a wait needs.
            Self::Real => Instant::now(),
        }
    }

    #[track_caller]
    fn clock(&self) -> &dyn Clock {
        match self {
            Self::Executor(clock) => &**clock,
            Self::Real => crate::driver::clock(),
        }
    }
}
