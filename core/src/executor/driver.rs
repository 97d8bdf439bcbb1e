//! Where a thread that has nothing to do waits for what comes from outside of the program: sockets, and the time. Knows
//! nothing of those, and does nothing until there is a driver.
//!
//! With it an event is handled by the thread that would run its task anyway. Without it, each would have to wake that thread.

use std::cell::Cell;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Waker;

use crate::executor::process::PerProcess;
use crate::unwind::contain;

/// Waits for events from outside of the program, on whatever thread has nothing else to do.
///
/// One thread at a time is inside. It gathers the wakers of those that have waited for what has happened, and calls them
/// when it has left: so no code of anybody's runs inside.
pub trait Driver: Sync {
    /// Takes a turn, unless another thread has it that isn't to give way, or there is nothing to wait for.
    ///
    /// When it has the turn, this asks `begin`, and leaves at once if that says no. Else it waits as `wait` says, and adds
    /// what is to be woken to `woken`.
    fn turn(&self, wait: Wait, begin: &mut dyn FnMut() -> bool, woken: &mut Vec<Waker>) -> Turn;

    /// Adds to `woken` what is to be woken by now, without waiting, unless another thread is inside.
    ///
    /// That one leaves if it waits, and is less important than a busy thread of this kind: it would take each event by itself,
    /// and the busy thread takes many at once.
    fn look(&self, wait: Wait, woken: &mut Vec<Waker>);

    /// Whether the thread that [attends](attend) waits inside. A hint.
    fn is_left_to_attendant(&self) -> bool;

    /// Has the thread leave that is inside, or the next one that enters.
    fn interrupt(&self);
}

/// What kind of thread takes a turn in a [`Driver`], the least important first: those who wait give way to those further down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wait {
    /// For want of another thread.
    AsAttendant,
    /// Waits for one thing only, which need not come from here.
    AsCaller,
    /// Runs all tasks of an executor, which no other thread runs.
    AsRunLoop,
    /// Runs whichever tasks are woken, beside others that may.
    AsWorker,
}

/// What came of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It wasn't to be had, or there was nothing to wait for.
    Refused,
    /// It was had: something may have happened.
    Had,
    /// It was had, and another thread has it now.
    GaveWay,
}

static DRIVER: PerProcess<&'static dyn Driver> = PerProcess::new();

/// Has threads with nothing to do wait in `driver` from now on. A process has one; `false` if it has another one already.
pub fn install(driver: &'static dyn Driver) -> bool {
    DRIVER.set(driver).is_ok()
}

/// The process's driver, if there is one by now. A model has none, or brings its own.
#[inline]
pub(crate) fn installed() -> Option<&'static dyn Driver> {
    DRIVER.get().copied()
}

/// How many threads see to events, for all or between polls of their own. Hints: nothing but speed depends on them.
static COUNTS: PerProcess<Counts> = PerProcess::new();

#[derive(Default)]
struct Counts {
    workers: AtomicUsize,
    run_loops: AtomicUsize,
}

fn counts() -> &'static Counts {
    COUNTS.get_or_init(Counts::default)
}

/// The thread sees to events from now on, for all: it [waits](Wait::AsWorker) for them when it has nothing to do, and [looks] for
/// them now and then when it has. So threads that wait for one thing only leave the driver to it.
///
/// For those who write an executor with threads that run any of its tasks.
///
/// [looks]: look
pub fn work() -> Working {
    Working::counted_by(&counts().workers)
}

/// The thread looks for events from now on, now and then while it has tasks, and waits for them when it has none.
pub(crate) fn run_loop() -> Working {
    Working::counted_by(&counts().run_loops)
}

/// Whether there are threads that see to events when their polls allow it: [workers](work), or run loops.
pub fn are_workers() -> bool {
    COUNTS.get().is_some_and(|counts| counts.workers.load(Relaxed) + counts.run_loops.load(Relaxed) > 0)
}

/// The thread sees to events.
///
/// # What dropping does
///
/// It doesn't any more.
#[derive(Debug)]
#[must_use = "dropped, the thread sees to nothing"]
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
    /// Whether this thread sees to events where nobody else does.
    static ATTENDS: Cell<bool> = const { Cell::new(false) };
}

/// This thread sees to events where nobody else does, to its end. Should a waker that it calls wait for something, it goes on
/// doing so meanwhile.
pub fn attend() {
    ATTENDS.set(true);
}

/// Whether this thread leaves the driver to others when it waits like this.
pub(crate) fn leaves_it_to_others(wait: Wait) -> bool {
    let are_workers = || COUNTS.get().is_some_and(|counts| counts.workers.load(Relaxed) > 0);
    wait < Wait::AsRunLoop && are_workers() && !ATTENDS.get()
}

/// Adds to `woken` the wakers for what has happened by now, without waiting, if there is a driver and nobody is inside. They
/// are to be [called](wake_all) soon.
#[inline]
pub fn look(wait: Wait, woken: &mut Vec<Waker>) {
    if let Some(driver) = installed() {
        driver.look(wait, woken);
    }
}

/// Polls between looks for events, on a thread that is never out of work. As the pool's, and a prime for the same reason.
pub(crate) const POLLS: u32 = 61;

/// Whether a thread that has polled so often since it looked for events is to look now.
#[inline]
pub(crate) fn is_due(polls: u32) -> bool {
    // Where the attendant has stepped in, each event would be taken by itself until somebody looks.
    polls >= POLLS || installed().is_some_and(Driver::is_left_to_attendant)
}

/// Has a thread that polls one future look for events, which may be what that waits for, though something else wakes it
/// again and again: every 61 polls, or sooner where the driver's own thread has stepped in.
///
/// For those who write an executor with a thread a task. [`block_on`](crate::block_on) looks by itself, and so does a
/// [`Driver`](crate::executor::RunLoop).
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
    /// For a thread that has just begun.
    pub const fn new() -> Self {
        Self { polls: 0 }
    }

    /// The thread has polled its future, which wasn't ready. Calls the wakers for what has happened, if it is time to look; unless
    /// [workers](work) do.
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
        if !leaves_it_to_others(Wait::AsCaller) {
            let mut woken = Vec::new();
            look(Wait::AsCaller, &mut woken);
            wake_all(woken);
        }
    }
}

/// Calls wakers that a driver has gathered. One that panics keeps no other from being called.
pub fn wake_all(woken: impl IntoIterator<Item = Waker>) {
    for waker in woken {
        contain(|| waker.wake());
    }
}
