//! A single timer: set by the first pending poll, and cancelled by the drop.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use polyexec_core::task::poll_proceed;

use super::ClockRef;

/// Waits for `duration`, counted from this call.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use polyexec_io::time::sleep;
///
/// let begin = Instant::now();
/// polyexec_core::block_on(sleep(Duration::from_millis(5)));
/// assert!(begin.elapsed() >= Duration::from_millis(5));
/// ```
///
/// # Panics
///
/// When polled, if it needs the [driver](crate::clock) and that can't be started.
///
/// # Cancel safety
///
/// Cancel safe: the same [`Sleep`] may be awaited again by reference, and waits for the rest of the time.
pub fn sleep(duration: Duration) -> Sleep {
    let clock = ClockRef::here();
    let deadline = clock.now().checked_add(duration);
    Sleep::new(clock, deadline)
}

/// Waits until `deadline`. If that has passed, it is ready at its first poll.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use polyexec_io::time::{now, sleep_until};
///
/// # polyexec_core::block_on(async {
/// let deadline = now() + Duration::from_millis(5);
/// sleep_until(deadline).await;
/// assert!(now() >= deadline);
/// # });
/// ```
///
/// # Panics
///
/// When polled, if it needs the [driver](crate::clock) and that can't be started.
///
/// # Cancel safety
///
/// As for [`sleep`].
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep::new(ClockRef::here(), Some(deadline))
}

/// The future of [`sleep`] and [`sleep_until`]. Once ready, it is ready at every further poll.
///
/// It may be awaited by reference, reset, and awaited again. If several tasks poll it, the last one is woken.
///
/// # What dropping does
///
/// Cancels the timer: the task is not woken any more.
#[must_use = "futures do nothing unless they are awaited"]
pub struct Sleep {
    clock: ClockRef,
    /// `None`: never.
    deadline: Option<Instant>,
    /// The timer's number on the clock. Present from the first pending poll on.
    timer: Option<u64>,
    /// The waker of the timer, kept from the second poll on, so that the third need not ask the clock. Without a deadline there
    /// is no timer, and the waker waits here for a reset.
    wakes: Option<Waker>,
}

// If an executor's clock panics, the timer may or may not be set: the next poll or the drop finds out.
impl UnwindSafe for Sleep {}
impl RefUnwindSafe for Sleep {}

impl Sleep {
    pub(super) fn new(clock: ClockRef, deadline: Option<Instant>) -> Self {
        Self { clock, deadline, timer: None, wakes: None }
    }

    /// When it is ready. `None` if that is beyond what [`Instant`] can hold, and so never comes.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether the deadline has passed.
    pub fn is_elapsed(&self) -> bool {
        self.deadline.is_some_and(|deadline| self.has_passed(deadline))
    }

    /// Changes the deadline, on the same clock. Works before and after it was ready.
    ///
    /// A task that waits already is woken at the new time.
    ///
    /// # Examples
    ///
    /// Closes a connection that was idle for a while:
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use polyexec_io::time::{now, sleep};
    ///
    /// # polyexec_core::block_on(async {
    /// let patience = Duration::from_millis(5);
    /// let mut idle = sleep(patience);
    /// // The connection was used.
    /// idle.reset(now() + patience);
    /// idle.await;
    /// # });
    /// ```
    ///
    /// # Panics
    ///
    /// If a task waits without a deadline so far, and the [driver](crate::clock) can't be started.
    pub fn reset(&mut self, deadline: Instant) {
        self.reset_to(Some(deadline));
    }

    pub(super) fn reset_to(&mut self, deadline: Option<Instant>) {
        let wakes = self.take_waker();
        self.deadline = deadline;
        if let (Some(deadline), Some(waker)) = (deadline, &wakes) {
            self.timer = Some(self.clock.clock().set(deadline, waker));
        }
        self.wakes = wakes;
    }

    /// Cancels the timer. Returns the waker of the task that waits, unless it was woken.
    fn take_waker(&mut self) -> Option<Waker> {
        let wakes = self.wakes.take();
        match (self.deadline, self.timer.take()) {
            // The timer has the newest waker, too.
            (Some(deadline), Some(timer)) => self.clock.clock().cancel(deadline, timer),
            _ => wakes,
        }
    }

    /// The time on its clock.
    pub(super) fn now(&self) -> Instant {
        self.clock.now()
    }

    #[track_caller]
    fn has_passed(&self, deadline: Instant) -> bool {
        match self.timer {
            Some(_) => self.clock.clock().has_passed(deadline),
            // Without starting the driver, which only a wait needs.
            None => self.now() >= deadline,
        }
    }

    /// Cancels the timer. The next poll sets it again.
    pub(super) fn cancel(&mut self) {
        drop(self.take_waker());
    }

    /// Sets the timer, or renews its waker.
    #[track_caller]
    fn wake(&mut self, deadline: Instant, waker: &Waker) {
        let clock = self.clock.clock();
        let Some(timer) = self.timer else {
            self.timer = Some(clock.set(deadline, waker));
            return;
        };
        if self.wakes.as_ref().is_some_and(|wakes| wakes.will_wake(waker)) {
            // If the timer fires just now, it wakes this task.
            return;
        }
        if !clock.renew(deadline, timer, waker) {
            // It has fired since the time was checked.
            self.timer = Some(clock.set(deadline, waker));
        }
        self.wakes = Some(waker.clone());
    }

    /// Ready if the deadline has passed. Otherwise the task is woken then.
    #[track_caller]
    pub(super) fn poll_elapsed(&mut self, cx: &Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline else {
            if !self.wakes.as_ref().is_some_and(|wakes| wakes.will_wake(cx.waker())) {
                self.wakes = Some(cx.waker().clone());
            }
            return Poll::Pending;
        };
        if self.has_passed(deadline) {
            self.cancel();
            return Poll::Ready(());
        }
        self.wake(deadline, cx.waker());
        Poll::Pending
    }
}

impl Future for Sleep {
    type Output = ();

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // If it has waited, then other tasks have had their turn.
        let has_waited = self.timer.is_some();
        ready!(self.poll_elapsed(cx));
        if !has_waited {
            ready!(poll_proceed(cx)).made_progress();
        }
        Poll::Ready(())
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
