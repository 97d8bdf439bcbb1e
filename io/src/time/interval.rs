//! Ticks at regular times, and the policies for missed ones.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::{ClockRef, Sleep};

/// Ticks every `period`; the first tick is immediate.
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
    let clock = ClockRef::here();
    let start = clock.now();
    Interval::new(clock, start, period)
}

/// Ticks every `period`; the first tick is at `start`.
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
    Interval::new(ClockRef::here(), start, period)
}

/// Ticks at regular times. Made by [`interval`] and [`interval_at`].
///
/// # What dropping does
///
/// Cancels the timer: the task is not woken any more.
#[derive(Debug)]
pub struct Interval {
    /// Until the next tick.
    sleep: Sleep,
    period: Duration,
    policy: MissedTick,
}

/// What happens to missed ticks. A tick is missed if it is taken so late that the next one is already due.
///
/// A tick that is less late doesn't move the next one.
///
/// # Examples
///
/// Ticks are due every second. The tick of second 1 is taken at second 4.5. After it,
///
/// - with `Burst`, the ticks of seconds 2, 3 and 4 are immediate, and the next one comes at second 5;
/// - with `Delay`, ticks come at seconds 5.5, 6.5 and so on;
/// - with `Skip`, ticks come at seconds 5, 6 and so on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MissedTick {
    /// Missed ticks come one right after another. For counting.
    #[default]
    Burst,
    /// Missed ticks are dropped. The next one comes a period after the late one was taken. For a minimum distance.
    Delay,
    /// Missed ticks are dropped. The next one comes at its regular time. For a timetable.
    Skip,
}

impl MissedTick {
    /// When the tick after `tick` is due, if that was taken `now`. `None` is never.
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
    fn new(clock: ClockRef, start: Instant, period: Duration) -> Self {
        assert!(!period.is_zero(), "an interval's period must not be zero");
        Self { sleep: Sleep::new(clock, Some(start)), period, policy: MissedTick::default() }
    }

    /// Waits for the next tick. Returns the time at which it was due.
    ///
    /// # Panics
    ///
    /// When polled, if it needs the [driver](crate::clock) and that can't be started.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the next call returns the same tick.
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// [`tick`](Interval::tick) as a poll. The task is woken when the tick is due.
    ///
    /// # Panics
    ///
    /// As for [`tick`](Interval::tick).
    #[track_caller]
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        Pin::new(&mut self.sleep).poll(cx).map(|()| {
            let tick = self.sleep.deadline().expect("without a deadline, it is never ready");
            self.sleep.reset_to(self.policy.next(tick, self.sleep.now(), self.period));
            tick
        })
    }

    /// Moves the next tick to one period from now.
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

    /// Makes the next tick immediate.
    ///
    /// Takes effect as for [`reset`](Interval::reset). Further ticks come a period after it and so on.
    pub fn reset_immediately(&mut self) {
        self.sleep.reset_to(Some(self.sleep.now()));
    }

    /// Moves the next tick to `time` from now.
    ///
    /// Takes effect as for [`reset`](Interval::reset). Further ticks come a period after it and so on.
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

    /// Moves the next tick to `deadline`. If that has passed, the tick is immediate.
    ///
    /// Takes effect as for [`reset`](Interval::reset). Further ticks come a period after it and so on.
    pub fn reset_at(&mut self, deadline: Instant) {
        self.sleep.reset_to(Some(deadline));
    }

    /// The time between two ticks.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// Sets the policy for missed ticks, from the next tick on. The default is [`MissedTick::Burst`].
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

    /// The policy for missed ticks.
    pub fn missed_tick_policy(&self) -> MissedTick {
        self.policy
    }
}
