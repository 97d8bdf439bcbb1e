//! Time: [`sleep`], [`timeout`] and [`interval`], on every executor and without one.
//!
//! Whoever makes a timer decides its clock: it is the one of the executor whose task, or whose `block_on`, makes it, if that
//! has [one of its own](polyexec_core::Executor::clock). So a simulated executor runs the same futures on a time of its own.
//! Everybody else has the real time, which is [`clock`](crate::clock): idle threads of polyexec's executors wait for it
//! themselves, and for others a thread of its own does.
//!
//! A timer goes off when its time has come, or a bit later, never earlier: the system counts in milliseconds.
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
//! let first = ticks.tick().await; // at once
//! let second = ticks.tick().await;
//! assert_eq!(second - first, Duration::from_millis(2));
//! # });
//! ```
//!
//! # Times that have passed
//!
//! A timer whose time has passed is ready at its first poll. So is a timeout of a future that is ready. Both count to the
//! [budget](polyexec_core::task::poll_proceed) of the task's poll, so that `loop { sleep(Duration::ZERO).await }` lets others run.
//!
//! # Too far away
//!
//! A time that no [`Instant`] can tell never comes: `sleep(Duration::MAX)` is pending for ever, and
//! `timeout(Duration::MAX, future)` is as good as `future`.

use std::sync::Arc;
use std::time::Instant;

use polyexec_core::executor::Clock;

pub use interval::{Interval, MissedTick, interval, interval_at};
pub use sleep::{Sleep, sleep, sleep_until};
pub use timeout::{Elapsed, Timeout, timeout, timeout_at};

mod interval;
mod sleep;
mod timeout;

/// The time on the clock that timers go by here: that of the surrounding executor, or else the real one.
///
/// A deadline that is counted from this means the same on a simulated executor.
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
    Timepiece::here().now()
}

/// The clock that a timer goes by.
#[derive(Clone)]
enum Timepiece {
    Executors(Arc<dyn Clock>),
    Real,
}

impl Timepiece {
    /// That of whoever makes a timer on this thread.
    fn here() -> Self {
        polyexec_core::executor::clock().map_or(Self::Real, Self::Executors)
    }

    fn now(&self) -> Instant {
        match self {
            Self::Executors(clock) => clock.now(),
            // The driver is needed by those who wait.
            Self::Real => Instant::now(),
        }
    }

    #[track_caller]
    fn clock(&self) -> &dyn Clock {
        match self {
            Self::Executors(clock) => &**clock,
            Self::Real => crate::driver::clock(),
        }
    }
}
