//! The process's driver: the sources and timers to wait for, and one poll of them. `lock` decides which thread polls.

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
use polyexec_core::executor::driver::{Driver, Polled, Priority, ReadyWakers, install};
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

/// Events that one poll takes from the system at most; the next one takes the rest.
const EVENTS: usize = 1024;

/// The events to report. Urgent data, where reported separately, may hide the end of a stream (`readiness`).
#[cfg(any(target_os = "linux", target_os = "android"))]
const INTEREST: Interest = Interest::READABLE.add(Interest::WRITABLE).add(Interest::PRIORITY);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const INTEREST: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// Reports an interruption.
const INTERRUPTION: Token = Token(usize::MAX);

pub(crate) struct IoDriver {
    lock: DriverLock<Selector>,
    registry: Registry,
    interrupter: mio::Waker,
    /// The registered sources, by token.
    sources: Mutex<Slab<Arc<Readiness>>>,
    /// The number of sources. Changed under their lock.
    source_count: AtomicUsize,
    timers: Timers,
    /// Polls and looks so far. Changed under the driver's lock.
    polls: AtomicUsize,
    fallback: Fallback,
    /// The process that started it: in a forked child, a copy of the driver reaches the parent's events.
    pub(crate) process: Process,
}

/// What only the polling thread uses.
struct Selector {
    poll: Poll,
    events: Events,
}

static DRIVER: LazyStart<IoDriver> = LazyStart::new();

/// Starts the process's driver, unless it runs. Timers and sockets start it by themselves; calling this shows early
/// whether that works.
///
/// # Errors
///
/// The system has no file descriptor or no thread.
pub fn start() -> io::Result<()> {
    Process::current();
    started().map(drop)
}

/// Real time, and its timers: never early, and little more than a millisecond late on an idle machine. Timers that are due
/// together go off in the order of their deadlines, to within 66 µs.
///
/// # Panics
///
/// If the driver can't be [started](start).
#[track_caller]
pub fn clock() -> &'static dyn Clock {
    match started() {
        Ok(driver) => driver,
        Err(cause) => panic!("timers need the driver, which can't be started: {cause}"),
    }
}

/// Polls of the driver by any thread so far. Compare it with the number of events.
///
/// # Examples
///
/// ```
/// let before = polyexec_io::polls();
/// // … a hundred events are handled here …
/// let polls = polyexec_io::polls() - before;
/// # let _ = polls;
/// ```
pub fn polls() -> usize {
    DRIVER.get().map_or(0, IoDriver::polls)
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
            driver.into_iter().for_each(fallback::run);
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
            source_count: AtomicUsize::new(0),
            timers: Timers::new(),
            polls: AtomicUsize::new(0),
            fallback: Fallback::default(),
            process: Process::current(),
        })
    }

    /// Registers `source` with the system. Its events come under the token that is returned.
    pub(crate) fn register(&self, source: &mut impl Source) -> io::Result<(Token, Arc<Readiness>)> {
        let readiness = Arc::new(Readiness::default());
        let token = {
            let mut sources = self.sources.lock();
            let token = Token(sources.insert(readiness.clone()));
            // SeqCst: before the fence of the alarm.
            self.source_count.store(sources.len(), SeqCst);
            token
        };
        if let Err(cause) = self.registry.register(source, token, INTEREST) {
            self.forget(token);
            return Err(cause);
        }
        self.fallback.notify();
        Ok((token, readiness))
    }

    /// Ends the registration. An event on its way may be taken for a later source's, which then finds that it isn't ready.
    pub(crate) fn deregister(&self, source: &mut impl Source, token: Token) {
        // In a forked child, this would end the parent's registration.
        if !self.process.is_current() {
            return;
        }
        // The only error is that it isn't registered.
        let _ = self.registry.deregister(source);
        self.forget(token);
    }

    fn forget(&self, Token(key): Token) {
        let readiness = {
            let mut sources = self.sources.lock();
            let readiness = sources.try_remove(key);
            self.source_count.store(sources.len(), SeqCst);
            readiness
        };
        // Drops its wakers, outside of the lock.
        drop(readiness);
    }

    fn is_needed(&self) -> bool {
        // SeqCst: read after the fence of the alarm, too.
        self.source_count.load(SeqCst) > 0 || self.timers.are_any()
    }

    /// Whether there is something to wait for, and no thread waits.
    pub(crate) fn needs_fallback(&self) -> bool {
        self.is_needed() && !self.lock.is_polled()
    }

    /// Polls and looks so far.
    pub(crate) fn polls(&self) -> usize {
        self.polls.load(Relaxed)
    }

    /// Counts a poll. Call it under the lock.
    fn count_poll(&self) {
        // Relaxed: the lock orders it, and the fallback thread only compares.
        self.polls.store(self.polls() + 1, Relaxed);
    }

    /// Waits for events, for `time` at most. A signal ends the wait early.
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
    fn poll(&self, priority: Priority, begin: &mut dyn FnMut() -> bool) -> Polled {
        if !self.is_needed() {
            return Polled::Refused;
        }
        // Declared first, dropped last: no waker is called under the lock.
        let mut woken = ReadyWakers::new();
        let Some(mut guard) = self.lock.lock(priority, || self.interrupt()) else {
            return Polled::Refused;
        };
        if begin() {
            let time = self.timers.begin_wait(Instant::now);
            self.select(&mut guard.polled, time, woken.wakers());
            self.timers.end_wait();
            self.timers.take_due(Instant::now, woken.wakers());
            self.count_poll();
        }
        let gives_way = guard.is_claimed();
        drop(guard);
        self.fallback.notify();
        if gives_way { Polled::GaveWay(woken) } else { Polled::Done(woken) }
    }

    fn look(&self, priority: Priority) -> ReadyWakers {
        if !self.is_needed() {
            return ReadyWakers::default();
        }
        let mut woken = ReadyWakers::new();
        let Some(mut guard) = self.lock.try_lock(priority, || self.interrupt()) else { return woken };
        // Relaxed: the next look sees a source that is being registered.
        if self.source_count.load(Relaxed) > 0 {
            self.select(&mut guard.polled, Some(Duration::ZERO), woken.wakers());
        }
        self.timers.take_due(Instant::now, woken.wakers());
        self.count_poll();
        drop(guard);
        // The fallback thread isn't notified: whether a thread waits is as before.
        woken
    }

    fn is_left_to_fallback(&self) -> bool {
        self.lock.is_left_to_fallback()
    }

    fn interrupt(&self) {
        // Fails only without memory; then the wait ends with the next event.
        let _ = self.interrupter.wake();
    }
}

impl Clock for IoDriver {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn has_passed(&self, deadline: Instant) -> bool {
        // A task that its timer woke need not read the clock.
        self.timers.is_known_to_be_over(deadline) || Instant::now() >= deadline
    }

    fn set(&self, deadline: Instant, waker: &Waker) -> u64 {
        if !self.process.is_known() {
            // A forked child has a driver of its own, here and below.
            return clock().set(deadline, waker);
        }
        let (number, owed) = self.timers.set(deadline, waker.clone());
        match owed {
            OnSet::Interrupt => self.interrupt(),
            OnSet::Announce => self.fallback.notify(),
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
