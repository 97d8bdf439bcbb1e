//! Ticks at regular times, and what becomes of those that nobody was there for.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::{Sleep, Timepiece};

/// Ticks once a `period`, for the first time at once.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use polyexec_io::time::interval;
///
/// # polyexec_core::block_on(async {
/// let mut every_other_millisecond = interval(Duration::from_millis(2));
/// let mut ticks = Vec::new();
/// for _ in 0..3 {
///     ticks.push(every_other_millisecond.tick().await);
/// }
/// assert_eq!(ticks[2] - ticks[0], Duration::from_millis(4));
/// # });
/// ```
///
/// # Panics
///
/// If `period` is zero.
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    let clock = Timepiece::here();
    let start = clock.now();
    Interval::new(clock, start, period)
}

/// Ticks once a `period`, for the first time at `start`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use polyexec_io::time::{interval_at, now};
///
/// # polyexec_core::block_on(async {
/// let period = Duration::from_millis(2);
/// let start = now() + period;
/// let mut ticks = interval_at(start, period);
/// assert_eq!(ticks.tick().await, start);
/// assert_eq!(ticks.tick().await, start + period);
/// # });
/// ```
///
/// # Panics
///
/// If `period` is zero.
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    Interval::new(Timepiece::here(), start, period)
}

/// Ticks, made by [`interval`] and [`interval_at`].
///
/// # What dropping does
///
/// Cancels the timer: nobody is woken any more.
#[derive(Debug)]
pub struct Interval {
    /// Until the next tick.
    sleep: Sleep,
    period: Duration,
    policy: MissedTick,
}

/// What becomes of the ticks that were missed. A tick is missed when it is taken so late that the next one is due already.
///
/// A tick that is late, but not that late, is followed by the next one at its time.
///
/// # Examples
///
/// Ticks are due once a second, and the one of second 1 is taken half way through second 4. After it,
///
/// - with `Burst`, those of seconds 2, 3 and 4 come at once, and the one of second 5 at its time;
/// - with `Delay`, ticks come at 5.5 seconds, at 6.5 and so on;
/// - with `Skip`, ticks come at 5 seconds, at 6 and so on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissedTick {
    /// They come one right after the other, until none is left: for those who count.
    #[default]
    Burst,
    /// They don't come, and the next one comes a period after the late one was taken: for those who want to be left alone for
    /// a while.
    Delay,
    /// They don't come, and the next one comes at its time: for those who keep to a time-table.
    Skip,
}

impl MissedTick {
    /// When the tick is due after the one of `tick`, which was taken `now`. `None`: never.
    fn next(self, tick: Instant, now: Instant, period: Duration) -> Option<Instant> {
        let next = tick.checked_add(period)?;
        if next > now {
            return Some(next);
        }
        match self {
            Self::Burst => Some(next),
            Self::Delay => now.checked_add(period),
            Self::Skip => {
                let over = (now - next).as_nanos() % period.as_nanos();
                now.checked_add(period - Duration::from_nanos_u128(over))
            }
        }
    }
}

impl Interval {
    #[track_caller]
    fn new(clock: Timepiece, start: Instant, period: Duration) -> Self {
        assert!(!period.is_zero(), "an interval's period must not be zero");
        Self { sleep: Sleep::new(clock, Some(start)), period, policy: MissedTick::default() }
    }

    /// Waits for the next tick, and gives the time at which it was due.
    ///
    /// # Panics
    ///
    /// When polled, if the [driver](crate::clock) is needed and can't be started.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a tick that nobody got comes at the next call.
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// The next tick, if it is due. Otherwise the task is woken when it is.
    ///
    /// # Panics
    ///
    /// As [`tick`](Interval::tick).
    #[track_caller]
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        Pin::new(&mut self.sleep).poll(cx).map(|()| {
            let tick = self.sleep.deadline().expect("what never comes isn't ready");
            self.sleep.reset_to(self.policy.next(tick, self.sleep.now(), self.period));
            tick
        })
    }

    /// Has the next tick come a period from now on.
    ///
    /// A task that waits already is woken at the new time, as by [`Sleep::reset`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use polyexec_io::time::{interval, now};
    ///
    /// # polyexec_core::block_on(async {
    /// let mut ticks = interval(Duration::from_millis(2));
    /// let begin = now();
    /// ticks.reset();
    /// assert!(ticks.tick().await >= begin + ticks.period());
    /// # });
    /// ```
    pub fn reset(&mut self) {
        self.sleep.reset_to(self.sleep.now().checked_add(self.period));
    }

    /// Has the next tick come at once.
    ///
    /// Takes effect as [`reset`](Interval::reset) does. Further ticks come a period after it and so on.
    pub fn reset_immediately(&mut self) {
        self.sleep.reset_to(Some(self.sleep.now()));
    }

    /// Has the next tick come after this time, counted from now on.
    ///
    /// Takes effect as [`reset`](Interval::reset) does. Further ticks come a period after it and so on.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use polyexec_io::time::{interval, now};
    ///
    /// # polyexec_core::block_on(async {
    /// let mut ticks = interval(Duration::from_secs(60));
    /// ticks.tick().await;
    /// let (begin, soon) = (now(), Duration::from_millis(2));
    /// ticks.reset_after(soon);
    /// assert!(ticks.tick().await >= begin + soon);
    /// # });
    /// ```
    pub fn reset_after(&mut self, time: Duration) {
        self.sleep.reset_to(self.sleep.now().checked_add(time));
    }

    /// Has the next tick come at `deadline`. If that has passed, the tick comes at once.
    ///
    /// Takes effect as [`reset`](Interval::reset) does. Further ticks come a period after it and so on.
    pub fn reset_at(&mut self, deadline: Instant) {
        self.sleep.reset_to(Some(deadline));
    }

    /// The time between two ticks.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// Says what becomes of missed ticks, from the next one that is taken on. At first it is [`MissedTick::Burst`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::thread;
    /// use std::time::Duration;
    ///
    /// use polyexec_io::time::{MissedTick, interval};
    ///
    /// # polyexec_core::block_on(async {
    /// let period = Duration::from_millis(2);
    /// let mut ticks = interval(period);
    /// ticks.set_missed_tick_policy(MissedTick::Skip);
    /// thread::sleep(5 * period); // slow work
    /// let late = ticks.tick().await;
    /// assert!(ticks.tick().await >= late + 5 * period);
    /// # });
    /// ```
    pub fn set_missed_tick_policy(&mut self, policy: MissedTick) {
        self.policy = policy;
    }

    /// What becomes of missed ticks.
    pub fn missed_tick_policy(&self) -> MissedTick {
        self.policy
    }
}
