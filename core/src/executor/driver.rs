//! The I/O driver's interface: how an idle thread waits for sockets and timers. Knows neither; without a driver it does nothing.
//!
//! An idle thread waits in the driver itself, so an event is handled by the thread that runs the woken task. A separate
//! I/O thread would have to wake that one for each event.

use std::cell::Cell;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Waker;

use crate::executor::process::PerProcess;
use crate::unwind::contain;

/// Waits for events from outside the program, on whichever thread is idle.
///
/// One thread at a time polls it, under the driver's lock. The wakers of an event are returned, and called after the lock was
/// released: user code never runs under it.
pub trait Driver: Sync {
    /// Waits for events and returns their wakers. Refuses if there is nothing to wait for, or if another thread polls and
    /// doesn't give way to `priority`.
    ///
    /// Under the lock, this calls `begin` before it waits, and returns at once if that says `false`.
    fn poll(&self, priority: Priority, begin: &mut dyn FnMut() -> bool) -> Polled;

    /// Returns the wakers of events that have happened, without waiting; none if another thread polls.
    ///
    /// If that thread is of lower priority than `priority` and sleeps, it is interrupted: it would take events one by one,
    /// where a busy thread takes many at once.
    fn look(&self, priority: Priority) -> ReadyWakers;

    /// Hint: whether the [fallback thread](serve_as_fallback) waits in the driver.
    fn is_left_to_fallback(&self) -> bool;

    /// Ends the current wait, or else the next one.
    fn interrupt(&self);
}

/// Why a thread polls a [`Driver`]: its priority, lowest first. A thread that waits gives way to those of higher priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// The driver's own thread, which polls when no other does.
    Fallback,
    /// Waits for one thing only, which need not come from the driver.
    Caller,
    /// Runs all tasks of an executor.
    RunLoop,
    /// Runs tasks that other workers could run as well.
    Worker,
}

/// What came of [`Driver::poll`].
#[derive(Debug)]
#[must_use = "dropping it calls the wakers"]
#[non_exhaustive]
pub enum Polled {
    /// The lock was taken, or there was nothing to wait for.
    Refused,
    /// The wait is over.
    Done(ReadyWakers),
    /// The wait is over, and a thread of higher priority wants the lock.
    GaveWay(ReadyWakers),
}

/// The wakers of events that have happened, first come, first called.
///
/// # What dropping does
///
/// Calls those that are left. A waker that panics keeps no other from being called.
#[derive(Debug, Default)]
#[must_use = "dropping it calls the wakers: outside of any lock"]
pub struct ReadyWakers(Vec<Waker>);

/// Wakers for which a thread keeps room: as many as a driver takes from the system at once. More is given back.
const ROOM_KEPT: usize = 1024;

std::thread_local! {
    /// The room of the last `Woken`, so that a thread which handles one event after another doesn't allocate.
    static ROOM: Cell<Vec<Waker>> = const { Cell::new(Vec::new()) };
}

impl ReadyWakers {
    /// Empty, with the room of this thread's last one.
    pub fn new() -> Self {
        Self(ROOM.try_with(Cell::take).unwrap_or_default())
    }

    /// Whether no waker is left.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The list itself, for a driver to add to.
    pub fn wakers(&mut self) -> &mut Vec<Waker> {
        &mut self.0
    }

    /// Calls the first wakers, `most` of them at most.
    pub fn wake_some(&mut self, most: usize) {
        wake_all(self.0.drain(..most.min(self.0.len())));
    }
}

impl Drop for ReadyWakers {
    #[inline]
    fn drop(&mut self) {
        if self.0.capacity() > 0 {
            self.wake_rest();
        }
    }
}

impl ReadyWakers {
    fn wake_rest(&mut self) {
        let mut room = std::mem::take(&mut self.0);
        wake_all(room.drain(..));
        if room.capacity() <= ROOM_KEPT {
            // Fails at the thread's end, when its locals are gone.
            _ = ROOM.try_with(|kept| kept.set(room));
        }
    }
}

/// Calls wakers. If one panics, the others are called all the same.
pub fn wake_all(wakers: impl IntoIterator<Item = Waker>) {
    for waker in wakers {
        contain(|| waker.wake());
    }
}

static DRIVER: PerProcess<&'static dyn Driver> = PerProcess::new();

/// Makes idle threads wait in `driver` from now on. A process has one; `false` if it has another one already.
pub fn install(driver: &'static dyn Driver) -> bool {
    DRIVER.set(driver).is_ok()
}

/// The process's driver, if it has started. A model has none, or brings its own.
#[inline]
pub(crate) fn installed() -> Option<&'static dyn Driver> {
    DRIVER.get().copied()
}

/// How many threads handle events for others, or between polls of their own. Hints: only speed depends on them.
static COUNTS: PerProcess<Counts> = PerProcess::new();

#[derive(Default)]
struct Counts {
    workers: AtomicUsize,
    run_loops: AtomicUsize,
}

fn counts() -> &'static Counts {
    COUNTS.get_or_init(Counts::default)
}

/// Registers the calling thread as a worker that handles all events: it [waits](Priority::Worker) for them when idle,
/// and [looks] for them between polls. Threads that wait for one thing only then leave the driver to it.
///
/// For authors of an executor whose threads run any of its tasks.
///
/// [looks]: look
pub fn work() -> Working {
    Working::counted_by(&counts().workers)
}

/// As [`work`], for a thread that runs all tasks of an executor.
pub(crate) fn run_loop() -> Working {
    Working::counted_by(&counts().run_loops)
}

/// Whether there are [workers](work) or run loops, which handle events when their polls allow it.
pub fn are_workers() -> bool {
    COUNTS.get().is_some_and(|counts| counts.workers.load(Relaxed) + counts.run_loops.load(Relaxed) > 0)
}

/// Registers a thread that handles events.
///
/// # What dropping does
///
/// Ends the registration.
#[derive(Debug)]
#[must_use = "dropping it ends the registration"]
pub struct Working(&'static AtomicUsize);

impl Working {
    fn counted_by(count: &'static AtomicUsize) -> Self {
        count.fetch_add(1, Relaxed);
        Self(count)
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

thread_local! {
    /// Whether this is the driver's own thread.
    static IS_FALLBACK: Cell<bool> = const { Cell::new(false) };
}

/// Marks the calling thread, to its end, as the driver's own. Should a waker block there, the thread goes on polling the
/// driver meanwhile, though there are [workers](work).
pub fn serve_as_fallback() {
    IS_FALLBACK.set(true);
}

/// Whether a thread that waits like this leaves the driver to workers.
pub(crate) fn leaves_it_to_others(priority: Priority) -> bool {
    let are_workers = || COUNTS.get().is_some_and(|counts| counts.workers.load(Relaxed) > 0);
    priority < Priority::RunLoop && are_workers() && !IS_FALLBACK.get()
}

/// The wakers of events that have happened, without waiting; none if there is no driver or another thread polls it.
#[inline]
pub fn look(priority: Priority) -> ReadyWakers {
    installed().map_or_else(ReadyWakers::default, |driver| driver.look(priority))
}

/// Polls between looks for events, on a thread that is never idle. The same prime as the pool's, for the same reason.
pub(crate) const POLLS: u32 = 61;

/// Whether a thread should look for events now, `polls` polls after its last look.
#[inline]
pub(crate) fn is_due(polls: u32) -> bool {
    // The fallback thread would take each event by itself until a busy thread looks.
    polls >= POLLS || installed().is_some_and(Driver::is_left_to_fallback)
}

/// Looks for events every 61 polls, on a thread that polls one future which is woken again and again. Sooner if the driver
/// is left to its fallback thread.
///
/// For authors of an executor with a thread a task. [`block_on`](crate::block_on) and
/// [`RunLoop`](crate::executor::RunLoop) look by themselves.
///
/// # Examples
///
/// ```
/// use polyexec_core::executor::driver::Looks;
/// use std::pin::pin;
/// use std::task::{Context, Poll, Waker};
///
/// fn poll_until_ready<F: Future>(future: F) -> F::Output {
///     let (mut future, mut looks) = (pin!(future), Looks::new());
///     loop {
///         match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
///             Poll::Ready(output) => return output,
///             Poll::Pending => looks.polled(),
///         }
///     }
/// }
/// # let mut left = 100;
/// # poll_until_ready(std::future::poll_fn(|_| { left -= 1; if left == 0 { Poll::Ready(()) } else { Poll::Pending } }));
/// ```
#[derive(Debug, Default)]
pub struct Looks {
    /// Since the last look.
    polls: u32,
}

impl Looks {
    /// Starts at zero polls.
    pub const fn new() -> Self {
        Self { polls: 0 }
    }

    /// Counts a poll of the future. If it is time to look, and no [worker](work) does, calls the wakers of what has happened.
    #[inline]
    pub fn polled(&mut self) {
        self.polls += 1;
        if is_due(self.polls) {
            self.look();
        }
    }

    #[cold]
    fn look(&mut self) {
        self.polls = 0;
        if !leaves_it_to_others(Priority::Caller) {
            drop(look(Priority::Caller));
        }
    }
}
