//! Where a thread that has nothing to do waits for what comes from outside of the program: sockets, and the time. Knows
//! nothing of those, and does nothing until there is a reactor.
//!
//! With it an event is handled by the thread that would run its task anyway. Without it, each would have to wake that thread.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Waker;

use crate::unwind::contain;

/// Waits for events from outside of the program, on whatever thread has nothing else to do.
///
/// One thread at a time is inside. It gathers the wakers of those that have waited for what has happened, and calls them
/// when it has left: so no code of anybody's runs inside.
pub trait Reactor: Sync {
    /// Takes a turn, unless another thread has it that isn't to give way, or there is nothing to wait for.
    ///
    /// When it has the turn, this asks `begin`, and leaves at once if that says no. Else it waits as `wait` says, and adds
    /// what is to be woken to `woken`.
    fn turn(&self, wait: Wait, begin: &mut dyn FnMut() -> bool, woken: &mut Vec<Waker>) -> Turn;

    /// Has the thread leave that is inside, or the next one that enters.
    fn interrupt(&self);
}

/// How a thread takes a turn in a [`Reactor`], the least important first: those who wait give way to those further down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wait {
    /// Until something happens, for want of another thread.
    AsAttendant,
    /// Until something happens: a thread that waits for one thing only, which need not come from here.
    AsCaller,
    /// Until something happens: a thread that runs whichever tasks are woken.
    AsWorker,
    /// Not at all: sees what has happened by now. Doesn't make others give way.
    No,
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

static REACTOR: OnceLock<&'static dyn Reactor> = OnceLock::new();

/// Has threads with nothing to do wait in `reactor` from now on. A process has one; `false` if it has another one already.
pub fn install(reactor: &'static dyn Reactor) -> bool {
    REACTOR.set(reactor).is_ok()
}

/// The process's reactor, if there is one by now. A model has none, or brings its own.
#[inline]
pub(crate) fn installed() -> Option<&'static dyn Reactor> {
    REACTOR.get().copied()
}

/// How many threads see to events. A hint: nothing but speed depends on it.
static WORKERS: AtomicUsize = AtomicUsize::new(0);

/// The thread sees to events from now on, for all: it [waits](Wait::AsWorker) for them when it has nothing to do, and [looks] for
/// them now and then when it has. So threads that wait for one thing only leave the reactor to it.
///
/// For those who write an executor with threads that run any of its tasks.
///
/// [looks]: look
pub fn work() -> Working {
    WORKERS.fetch_add(1, Relaxed);
    Working(())
}

/// Whether there are threads that [see to events](work).
pub fn are_workers() -> bool {
    WORKERS.load(Relaxed) > 0
}

/// The thread sees to events.
///
/// # What dropping does
///
/// It doesn't any more.
#[derive(Debug)]
#[must_use = "dropped, the thread sees to nothing"]
pub struct Working(());

impl Drop for Working {
    fn drop(&mut self) {
        WORKERS.fetch_sub(1, Relaxed);
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

/// Whether this thread leaves the reactor to others when it waits like this.
pub(crate) fn leaves_it_to_others(wait: Wait) -> bool {
    wait < Wait::AsWorker && are_workers() && !ATTENDS.get()
}

/// Adds to `woken` the wakers for what has happened by now, without waiting, if there is a reactor and nobody is inside. They
/// are to be [called](wake_all) soon.
#[inline]
pub fn look(woken: &mut Vec<Waker>) {
    if let Some(reactor) = installed() {
        reactor.turn(Wait::No, &mut || true, woken);
    }
}

/// Calls wakers that a reactor has gathered. One that panics keeps no other from being called.
pub fn wake_all(woken: impl IntoIterator<Item = Waker>) {
    for waker in woken {
        contain(|| waker.wake());
    }
}
