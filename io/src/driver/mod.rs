//! The process's driver: what there is to wait for, and one turn of waiting for it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};

use mio::event::{Event, Source};
use mio::{Events, Interest, Poll, Registry, Token};
use parking_lot::Mutex;
use polyexec_core::executor::driver::{Driver, Turn, Wait, install};
use polyexec_core::executor::process::Process;
use polyexec_core::executor::{Clock, LazyStart};
use slab::Slab;

use fallback::Fallback;
use lock::DriverLock;
use readiness::{Readiness, Report, Side};
use timers::{OnSet, Timers};

pub use source::Io;

mod fallback;
mod lock;
mod readiness;
mod source;
mod sync;
mod timers;

/// Events that one turn takes from the system at most; the next one takes the rest.
const EVENTS: usize = 1024;

/// What the system is to speak of. Urgent data, where that is told apart, is in the way of a read's end (`readiness`).
#[cfg(any(target_os = "linux", target_os = "android"))]
const INTEREST: Interest = Interest::READABLE.add(Interest::WRITABLE).add(Interest::PRIORITY);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const INTEREST: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// The event of an interruption.
const INTERRUPTION: Token = Token(usize::MAX);

pub(crate) struct IoDriver {
    lock: DriverLock<Selector>,
    registry: Registry,
    interrupter: mio::Waker,
    /// What is registered, by token.
    sources: Mutex<Slab<Arc<Readiness>>>,
    /// How many sources there are. Changed under the lock.
    how_many: AtomicUsize,
    timers: Timers,
    /// Turns so far. Changed inside only.
    turns: AtomicUsize,
    fallback: Fallback,
    /// A child has a copy of it, but the system knows the parent's alone.
    pub(crate) process: Process,
}

/// What only the thread uses that is inside.
struct Selector {
    poll: Poll,
    events: Events,
}

static DRIVER: LazyStart<IoDriver> = LazyStart::new();

/// Starts the process's driver, unless it runs already: for a program that wants to know early whether it can.
///
/// # Errors
///
/// The system's reason for not giving a file descriptor or a thread.
pub fn start() -> io::Result<()> {
    Process::current();
    started().map(drop)
}

/// The real time, and timers that go off little more than a millisecond late where the machine is idle, never early.
/// Those that are due at the same time are called in the order of their deadlines, as exactly as to 66 µs.
///
/// # Panics
///
/// The driver can't be [started](start).
#[track_caller]
pub fn clock() -> &'static dyn Clock {
    match started() {
        Ok(driver) => driver,
        Err(cause) => panic!("timers need the driver, which can't be started: {cause}"),
    }
}

/// How often a thread of the process has asked the system for events so far, or the timers alone where there are no sources:
/// to be compared with the number of events.
///
/// # Examples
///
/// ```
/// let before = polyexec_io::turns();
/// // … a hundred events are handled here …
/// let turns = polyexec_io::turns() - before;
/// # let _ = turns;
/// ```
pub fn turns() -> usize {
    DRIVER.get().map_or(0, IoDriver::turns)
}

/// The process's driver, which this starts unless it runs already.
pub(crate) fn started() -> io::Result<&'static IoDriver> {
    if let Some(driver) = DRIVER.get() {
        return Ok(driver);
    }
    let driver = DRIVER.get_or_start(|_| {
        let driver = IoDriver::new()?;
        thread::Builder::new().name("driver".to_owned()).spawn(|| {
            // Waits for the start to end.
            let driver = DRIVER.get_or_start(|_| Err(io::ErrorKind::NotFound.into()));
            driver.into_iter().for_each(fallback::attend);
        })?;
        Ok(driver)
    })?;
    // If another one was installed before, only the fallback thread will wait in this one.
    install(driver);
    Ok(driver)
}

impl IoDriver {
    fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        Ok(Self {
            interrupter: mio::Waker::new(&registry, INTERRUPTION)?,
            registry,
            lock: DriverLock::new(Selector { poll, events: Events::with_capacity(EVENTS) }),
            sources: Mutex::default(),
            how_many: AtomicUsize::new(0),
            timers: Timers::new(),
            turns: AtomicUsize::new(0),
            fallback: Fallback::default(),
            process: Process::current(),
        })
    }

    /// Has the system speak of `source` from now on, under the token that comes with its readiness.
    pub(crate) fn register(&self, source: &mut impl Source) -> io::Result<(Token, Arc<Readiness>)> {
        let readiness = Arc::new(Readiness::default());
        let token = {
            let mut sources = self.sources.lock();
            let token = Token(sources.insert(readiness.clone()));
            // SeqCst: before the fence of the alarm.
            self.how_many.store(sources.len(), SeqCst);
            token
        };
        if let Err(cause) = self.registry.register(source, token, INTEREST) {
            self.forget(token);
            return Err(cause);
        }
        self.fallback.notice();
        Ok((token, readiness))
    }

    /// Has the system speak of `source` no more. What it has said already may yet be taken for another source's, which then
    /// finds that it isn't ready.
    pub(crate) fn deregister(&self, source: &mut impl Source, token: Token) {
        // From a child, that would take it from its parent.
        if !self.process.is_current() {
            return;
        }
        // That it isn't registered is the only error there is.
        let _ = self.registry.deregister(source);
        self.forget(token);
    }

    fn forget(&self, Token(key): Token) {
        let readiness = {
            let mut sources = self.sources.lock();
            let readiness = sources.try_remove(key);
            self.how_many.store(sources.len(), SeqCst);
            readiness
        };
        // With the wakers in it.
        drop(readiness);
    }

    fn is_needed(&self) -> bool {
        // SeqCst: read after the fence of the alarm, too.
        self.how_many.load(SeqCst) > 0 || self.timers.are_any()
    }

    /// Whether there is something to wait for, and nobody waits.
    pub(crate) fn is_unattended(&self) -> bool {
        self.is_needed() && !self.lock.is_attended()
    }

    /// Turns and looks so far.
    pub(crate) fn turns(&self) -> usize {
        self.turns.load(Relaxed)
    }

    /// For the thread that is inside.
    fn has_turned(&self) {
        // Relaxed: under the lock; the attendant only compares.
        self.turns.store(self.turns() + 1, Relaxed);
    }

    /// Waits for events for so long at most. An interruption by a signal counts as nothing.
    fn select(&self, selector: &mut Selector, time: Option<Duration>, woken: &mut Vec<Waker>) {
        let Selector { poll, events } = selector;
        if poll.poll(events, time).is_err() || events.is_empty() {
            return;
        }
        let sources = self.sources.lock();
        for event in &*events {
            if let Some(readiness) = sources.get(event.token().0) {
                readiness.announce(said(event), woken);
            }
        }
    }
}

fn said(event: &Event) -> Report {
    let mut said = Report::default();
    if event.is_readable() || event.is_error() {
        said.ready(Side::Read);
    }
    if event.is_read_closed() {
        said.closed(Side::Read);
    }
    if event.is_priority() {
        said.urgent();
    }
    if event.is_writable() || event.is_error() {
        said.ready(Side::Write);
    }
    if event.is_write_closed() {
        said.closed(Side::Write);
    }
    said
}

impl Driver for IoDriver {
    fn turn(&self, wait: Wait, begin: &mut dyn FnMut() -> bool, woken: &mut Vec<Waker>) -> Turn {
        if !self.is_needed() {
            return Turn::Refused;
        }
        let Some(mut inside) = self.lock.enter(wait, || self.interrupt()) else {
            return Turn::Refused;
        };
        if begin() {
            let time = self.timers.begin_wait(Instant::now);
            self.select(&mut inside.guard, time, woken);
            self.timers.end_wait();
            self.timers.take_due(Instant::now, woken);
            self.has_turned();
        }
        let turn = if inside.is_claimed() { Turn::GaveWay } else { Turn::Had };
        drop(inside);
        self.fallback.notice();
        turn
    }

    fn look(&self, wait: Wait, woken: &mut Vec<Waker>) {
        if !self.is_needed() {
            return;
        }
        let Some(mut inside) = self.lock.look(wait, || self.interrupt()) else { return };
        // Relaxed: a source that is registered just now will be seen by the next look.
        if self.how_many.load(Relaxed) > 0 {
            self.select(&mut inside.guard, Some(Duration::ZERO), woken);
        }
        self.timers.take_due(Instant::now, woken);
        self.has_turned();
        // The attendant need not know: whether a thread waits inside is as before.
    }

    fn is_left_to_attendant(&self) -> bool {
        self.lock.is_left_to_attendant()
    }

    fn interrupt(&self) {
        // It fails only where the system has no memory; then the wait ends with the next event.
        let _ = self.interrupter.wake();
    }
}

impl Clock for IoDriver {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn has_passed(&self, deadline: Instant) -> bool {
        // What was woken by its timer need not look at the clock.
        self.timers.is_known_to_be_over(deadline) || Instant::now() >= deadline
    }

    fn set(&self, deadline: Instant, waker: &Waker) -> u64 {
        if !self.process.is_known() {
            // Where this process's timers are; so with those below.
            return clock().set(deadline, waker);
        }
        let (number, owed) = self.timers.set(deadline, waker.clone());
        match owed {
            OnSet::Interrupt => self.interrupt(),
            OnSet::Announce => self.fallback.notice(),
            OnSet::Nothing => (),
        }
        number
    }

    fn renew(&self, deadline: Instant, timer: u64, waker: &Waker) -> bool {
        if !self.process.is_known() {
            return clock().renew(deadline, timer, waker);
        }
        self.timers.renew(deadline, timer, waker)
    }

    fn cancel(&self, deadline: Instant, timer: u64) -> Option<Waker> {
        if !self.process.is_known() {
            return clock().cancel(deadline, timer);
        }
        self.timers.cancel(deadline, timer)
    }
}
