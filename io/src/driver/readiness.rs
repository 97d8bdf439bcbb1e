//! What the system has said of a source, and the tasks that wait for it to say more. Leaves operations and system calls to `io`.
//!
//! The system speaks once, when something changes. So a side that was said to be ready stays so until an operation has
//! found that it isn't; and if the system has spoken meanwhile, it stays ready all the same.
//!
//! Who finds a side not ready says that it waits, and is in the list, under the list's lock. Who makes the side ready sees
//! that in the same step, and then takes the list under its lock: so it finds there whoever has said so.
//!
//! Any number of tasks may wait for one side, and an event wakes them all. A future leaves the list when it is dropped. A poll
//! ends without a trace, so its waker stays until the next event, until the handle that was polled is dropped, or until there
//! is a crowd: then all are woken, and those that still wait come back.

use std::mem;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use polyexec_core::executor::driver::wake_all;

use crate::driver::sync::{AtomicU64, Mutex};

#[cfg(all(test, polyexec_loom))]
mod models;

/// Which side of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Read,
    Write,
}

/// Both sides of a source.
///
/// In this order, on a cache line of its own, is what the system's events and those who read need: processors hand it on to each
/// other.
#[derive(Default)]
#[repr(C, align(64))]
pub(crate) struct Readiness {
    word: Word,
    readers: Mutex<Waiting>,
    writers: Mutex<Waiting>,
    /// Numbers given so far.
    so_far: AtomicU64,
}

/// The list of a side.
#[derive(Default)]
struct Waiting {
    /// Mostly the only one. It needs no allocation.
    first: Option<Waiter>,
    others: Option<Box<Others>>,
}

#[derive(Default)]
struct Others {
    waiters: Vec<Waiter>,
    /// When a crowd was last woken.
    cleared: Option<Instant>,
}

struct Waiter {
    /// The number of its handle or future.
    number: u64,
    waker: Waker,
}

/// What waits. Their numbers differ.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Who {
    /// A handle of the source, which any number of tasks may poll. Each of their wakers waits.
    Handle(u64),
    /// A future. Only the waker of its last poll waits.
    Future(u64),
}

/// So many wait, besides the first, before a poll clears the list: fewer are cheap to keep.
const CROWD: usize = 32;

/// A crowd that has been woken is left alone for so long. It bounds what a crowd costs that still waits, and comes back.
const REST: Duration = Duration::from_secs(1);

/// What is known of the reading side, and above it of the other one: in one word, since the system speaks of both at once. Each
/// half is `READY`, `CLOSED`, `AWAITED`, `URGENT`, and how often the system has spoken, in units of `EVENT`.
#[derive(Default)]
struct Word(AtomicU64);

/// Set when the system says so, cleared by an operation that has found otherwise.
const READY: u32 = 1;
/// Closed by the peer, or broken: as good as ready. Set when the system says so, cleared by an operation that would block.
const CLOSED: u32 = 2;
/// There may be somebody in the list. Set by who waits, cleared when the system speaks.
const AWAITED: u32 = 4;
/// Urgent data has come, before which a read ends though there is more: that one is short says nothing. Set when the system
/// says so, never cleared.
const URGENT: u32 = 8;
/// The system has spoken once.
const EVENT: u32 = 16;

/// A half of the word when that side was seen to be ready.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen(u32);

/// What the system says at once: the bits to be set in either half. None: it doesn't speak of that side.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Said {
    read: u32,
    write: u32,
}

impl Side {
    /// Where its half of the word begins.
    fn shift(self) -> u32 {
        match self {
            Side::Read => 0,
            Side::Write => 32,
        }
    }

    fn of(self, word: u64) -> u32 {
        (word >> self.shift()) as u32
    }

    fn put(self, word: u64, half: u32) -> u64 {
        word & !(u64::from(u32::MAX) << self.shift()) | u64::from(half) << self.shift()
    }
}

impl Said {
    /// The side is ready.
    pub(crate) fn ready(&mut self, side: Side) {
        *self.of(side) |= READY;
    }

    /// The side is closed for good.
    pub(crate) fn closed(&mut self, side: Side) {
        *self.of(side) |= READY | CLOSED;
    }

    /// There is urgent data to read.
    pub(crate) fn urgent(&mut self) {
        self.read |= READY | URGENT;
    }

    fn of(&mut self, side: Side) -> &mut u32 {
        match side {
            Side::Read => &mut self.read,
            Side::Write => &mut self.write,
        }
    }
}

impl Word {
    /// What is known of a side.
    fn load(&self, side: Side) -> u32 {
        // Acquire: pairs with the Release of whoever has announced it.
        side.of(self.0.load(Acquire))
    }

    /// Changes what is known of a side, unless `change` says that there is nothing to change. What it was, either way.
    fn update(&self, side: Side, change: impl Fn(u32) -> Option<u32>) -> Result<u32, u32> {
        let changed = |word| change(side.of(word)).map(|half| side.put(word, half));
        // AcqRel: what the system has said, and who waits, is seen with the word, whichever comes second.
        let word = self.0.fetch_update(AcqRel, Acquire, changed);
        word.map(|word| side.of(word)).map_err(|word| side.of(word))
    }

    /// The system has spoken. Whether somebody has waited for that, on either side.
    fn announce(&self, said: Said) -> (bool, bool) {
        let announced = |word| {
            let word = Side::Read.put(word, after(Side::Read.of(word), said.read));
            Some(Side::Write.put(word, after(Side::Write.of(word), said.write)))
        };
        // AcqRel: as above.
        let (Ok(before) | Err(before)) = self.0.fetch_update(AcqRel, Acquire, announced);
        let was_awaited = |side: Side, bits| bits != 0 && side.of(before) & AWAITED != 0;
        (was_awaited(Side::Read, said.read), was_awaited(Side::Write, said.write))
    }
}

/// A half of the word after the system has said that these bits are to be set.
fn after(half: u32, bits: u32) -> u32 {
    if bits == 0 { half } else { (half & !AWAITED).wrapping_add(EVENT) | bits }
}

fn is_ready(half: u32) -> bool {
    half & (READY | CLOSED) != 0
}

/// Whether the system has spoken between the two.
fn has_spoken(before: u32, after: u32) -> bool {
    before / EVENT != after / EVENT
}

impl Readiness {
    fn waiting(&self, side: Side) -> &Mutex<Waiting> {
        match side {
            Side::Read => &self.readers,
            Side::Write => &self.writers,
        }
    }

    /// The system has spoken. Adds to `woken` who has waited for that.
    pub(crate) fn announce(&self, said: Said, woken: &mut Vec<Waker>) {
        let (reads, writes) = self.word.announce(said);
        if reads {
            self.readers.lock().empty_into(woken);
        }
        if writes {
            self.writers.lock().empty_into(woken);
        }
    }

    /// A side is taken to be ready, until an operation finds that it isn't.
    pub(crate) fn assume_ready(&self, side: Side) {
        let _ = self.word.update(side, |half| Some(half | READY));
    }

    /// Ready if the side is. Otherwise `cx` is woken when it is.
    pub(crate) fn poll(&self, side: Side, who: Who, cx: &Context<'_>) -> Poll<Seen> {
        let half = self.word.load(side);
        if is_ready(half) { Poll::Ready(Seen(half)) } else { self.wait(side, who, cx) }
    }

    /// Adds `cx` to the list, unless the side is ready by now.
    fn wait(&self, side: Side, who: Who, cx: &Context<'_>) -> Poll<Seen> {
        // Foreign code: wakers are cloned, dropped and called under no lock.
        let newest = cx.waker().clone();
        let mut waiting = self.waiting(side).lock();
        if let Err(ready) = self.word.update(side, |half| (!is_ready(half)).then_some(half | AWAITED)) {
            drop(waiting);
            return Poll::Ready(Seen(ready));
        }
        if waiting.is_empty() {
            waiting.first = Some(Waiter::new(who, newest));
            return Poll::Pending;
        }
        let (needless, crowd) = waiting.join(who, newest);
        drop(waiting);
        drop(needless);
        wake_all(crowd);
        Poll::Pending
    }

    /// What is known of a side, for an operation that is tried without waiting.
    pub(crate) fn seen(&self, side: Side) -> Seen {
        Seen(self.word.load(side))
    }

    /// A number for a handle or a future.
    pub(crate) fn number(&self) -> u64 {
        // Relaxed: numbers only have to differ.
        self.so_far.fetch_add(1, Relaxed)
    }

    /// The handle or future of this number waits no longer.
    pub(crate) fn forget(&self, side: Side, number: u64) {
        if self.word.load(side) & AWAITED == 0 {
            // Its waker isn't in the list, or an event is about to take it from there.
            return;
        }
        let wakers = self.waiting(side).lock().remove(number);
        drop(wakers);
    }

    /// An operation has taken or brought all that there was room for. So the side isn't ready, unless the system has spoken
    /// since it was seen, or it is closed, which the next operation will say, or has urgent data.
    pub(crate) fn exhausted(&self, side: Side, seen: Seen) {
        self.clear(side, seen, READY, URGENT);
    }

    /// An operation has said that the side isn't ready. So it isn't, unless the system has spoken since it was seen.
    pub(crate) fn would_block(&self, side: Side, seen: Seen) {
        self.clear(side, seen, READY | CLOSED, 0);
    }

    fn clear(&self, side: Side, Seen(seen): Seen, bits: u32, unless: u32) {
        let says_so = |half| !has_spoken(seen, half) && half & unless == 0;
        let _ = self.word.update(side, |half| says_so(half).then_some(half & !bits));
    }
}

impl Waiter {
    fn new(who: Who, waker: Waker) -> Self {
        let (Who::Handle(number) | Who::Future(number)) = who;
        Self { number, waker }
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.first.is_none() && self.others.as_ref().is_none_or(|others| others.waiters.is_empty())
    }

    /// Adds a waker to those that are there. What comes back is a waker that isn't needed, and those that must be woken.
    #[cold]
    fn join(&mut self, who: Who, newest: Waker) -> (Option<Waker>, Vec<Waker>) {
        match self.replace(who, newest) {
            Ok(before) => (Some(before), Vec::new()),
            Err(newest) => (None, self.add(who, newest)),
        }
    }

    /// The newest waker takes the place of an earlier one, if there is one that it makes needless: that comes back.
    fn replace(&mut self, who: Who, newest: Waker) -> Result<Waker, Waker> {
        let others = self.others.iter_mut().flat_map(|others| &mut others.waiters);
        let mut all = self.first.iter_mut().chain(others);
        let place = match who {
            Who::Handle(number) => all.find(|known| known.number == number && known.waker.will_wake(&newest)),
            Who::Future(number) => all.find(|known| known.number == number),
        };
        match place {
            Some(known) => Ok(mem::replace(&mut known.waker, newest)),
            None => Err(newest),
        }
    }

    /// Adds a waker to the list. Those that come back must be woken: they make room.
    fn add(&mut self, who: Who, waker: Waker) -> Vec<Waker> {
        let waiter = Waiter::new(who, waker);
        if self.first.is_none() {
            self.first = Some(waiter);
            return Vec::new();
        }
        let others = self.others.get_or_insert_default();
        let crowd = match who {
            Who::Handle(_) => others.crowd(),
            // It leaves the list by itself.
            Who::Future(_) => Vec::new(),
        };
        others.waiters.push(waiter);
        crowd
    }

    fn remove(&mut self, number: u64) -> Vec<Waiter> {
        let first = self.first.take_if(|waiter| waiter.number == number);
        let others =
            self.others.iter_mut().flat_map(|others| others.waiters.extract_if(.., |waiter| waiter.number == number));
        first.into_iter().chain(others).collect()
    }

    fn empty_into(&mut self, woken: &mut Vec<Waker>) {
        woken.extend(self.first.take().map(|waiter| waiter.waker));
        if let Some(others) = &mut self.others {
            woken.extend(others.waiters.drain(..).map(|waiter| waiter.waker));
        }
    }
}

impl Others {
    /// The crowd, if there is one, and if the last one has had its rest.
    fn crowd(&mut self) -> Vec<Waker> {
        if self.waiters.len() < CROWD || self.cleared.is_some_and(|cleared| cleared.elapsed() < REST) {
            return Vec::new();
        }
        self.cleared = Some(Instant::now());
        self.waiters.drain(..).map(|waiter| waiter.waker).collect()
    }
}

#[cfg(all(test, not(polyexec_loom)))]
mod tests {
    use super::*;

    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize};
    use std::task::Wake;
    use std::thread;

    const HANDLE: Who = Who::Handle(0);

    fn poll(readiness: &Readiness) -> Option<Seen> {
        match readiness.poll(Side::Read, HANDLE, &Context::from_waker(Waker::noop())) {
            Poll::Ready(seen) => Some(seen),
            Poll::Pending => None,
        }
    }

    fn announce(readiness: &Readiness, closed: bool) -> usize {
        let (mut said, mut woken) = (Said::default(), Vec::new());
        if closed {
            said.closed(Side::Read)
        } else {
            said.ready(Side::Read)
        }
        readiness.announce(said, &mut woken);
        woken.len()
    }

    #[test]
    fn what_the_system_says_meanwhile_counts() {
        let readiness = Readiness::default();
        assert!(poll(&readiness).is_none());
        assert_eq!(announce(&readiness, false), 1);
        let seen = poll(&readiness).unwrap();
        assert_eq!(announce(&readiness, false), 0);
        readiness.would_block(Side::Read, seen);
        let seen = poll(&readiness).expect("the system has spoken since");
        readiness.would_block(Side::Read, seen);
        assert!(poll(&readiness).is_none());
        assert!(readiness.poll(Side::Write, HANDLE, &Context::from_waker(Waker::noop())).is_pending());
    }

    #[test]
    fn what_is_closed_stays_ready_until_an_operation_says_otherwise() {
        let readiness = Readiness::default();
        announce(&readiness, true);
        let seen = poll(&readiness).unwrap();
        readiness.exhausted(Side::Read, seen);
        let seen = poll(&readiness).unwrap();
        readiness.would_block(Side::Read, seen);
        assert!(poll(&readiness).is_none());
    }

    #[test]
    fn the_system_speaks_more_often_than_can_be_counted() {
        let readiness = Readiness::default();
        readiness.word.0.store(u64::from(u32::MAX - (EVENT - 1)), Relaxed);
        announce(&readiness, false);
        let seen = poll(&readiness).unwrap();
        assert_eq!(seen.0, READY);
        readiness.would_block(Side::Read, seen);
        assert!(poll(&readiness).is_none());
        assert_eq!(readiness.word.load(Side::Write), 0);
    }

    #[test]
    fn the_system_speaks_of_both_sides_at_once() {
        let readiness = Readiness::default();
        let poll = |side| readiness.poll(side, HANDLE, &Context::from_waker(Waker::noop()));
        assert!(poll(Side::Read).is_pending() && poll(Side::Write).is_pending());
        let (mut said, mut woken) = (Said::default(), Vec::new());
        said.ready(Side::Read);
        said.closed(Side::Write);
        readiness.announce(said, &mut woken);
        assert_eq!(woken.len(), 2);
        let (Poll::Ready(read), Poll::Ready(write)) = (poll(Side::Read), poll(Side::Write)) else {
            panic!("both were said to be ready")
        };
        readiness.exhausted(Side::Read, read);
        readiness.exhausted(Side::Write, write);
        assert!(poll(Side::Read).is_pending() && poll(Side::Write).is_ready());
    }

    fn waiting(readiness: &Readiness) -> usize {
        let waiting = readiness.readers.lock();
        let others = waiting.others.as_ref().map_or(0, |others| others.waiters.len());
        waiting.first.iter().count() + others
    }

    #[derive(Default)]
    struct Calls(AtomicUsize);

    impl Wake for Calls {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn each_waker_of_a_handle_waits_once_and_the_newest_of_a_future() {
        let readiness = Readiness::default();
        let [one, other] = [(); 2].map(|()| Arc::new(Calls::default()));
        let wait = |who, calls: &Arc<Calls>| {
            let waker = Waker::from(calls.clone());
            assert!(readiness.poll(Side::Read, who, &Context::from_waker(&waker)).is_pending());
            waiting(&readiness)
        };
        let handles = [0, 1].map(Who::Handle);
        assert_eq!([(); 1000].map(|()| wait(handles[0], &one)), [1; 1000]);
        assert_eq!([(); 1000].map(|()| wait(handles[0], &other)), [2; 1000]);
        assert_eq!([(); 1000].map(|()| wait(handles[1], &one)), [3; 1000]);
        assert_eq!([&one, &other, &one].map(|calls| wait(Who::Future(2), calls)), [4; 3]);
        assert_eq!(
            [1, 2, 0].map(|number| {
                readiness.forget(Side::Read, number);
                waiting(&readiness)
            }),
            [3, 2, 0]
        );
        assert_eq!([&one, &other].map(Arc::strong_count), [1; 2]);
    }

    #[test]
    fn a_crowd_makes_room_for_what_still_waits() {
        let readiness = Readiness::default();
        let polls: Vec<_> = (0..4 * CROWD).map(|_| Arc::new(Calls::default())).collect();
        let poll = |who, calls: &Arc<Calls>| {
            let waker = Waker::from(calls.clone());
            assert!(readiness.poll(Side::Read, who, &Context::from_waker(&waker)).is_pending());
        };
        let woken = || polls.iter().filter(|calls| calls.0.load(Relaxed) == 1).count();
        // Futures leave by themselves, and are no crowd.
        (0..2 * CROWD).for_each(|number| poll(Who::Future(number as u64 + 1), &polls[0]));
        assert_eq!(woken(), 0);
        (0..2 * CROWD).for_each(|number| readiness.forget(Side::Read, number as u64 + 1));
        polls.iter().for_each(|calls| poll(HANDLE, calls));
        assert_eq!((woken(), waiting(&readiness)), (CROWD, 3 * CROWD));
        // It has its rest.
        let others = |act: &dyn Fn(&mut Others)| act(readiness.readers.lock().others.as_mut().unwrap());
        others(&|others| others.cleared = others.cleared.unwrap().checked_sub(REST));
        poll(HANDLE, &polls[0]);
        assert_eq!((woken(), waiting(&readiness)), (CROWD, 3 * CROWD), "it waits already");
        poll(HANDLE, &Arc::new(Calls::default()));
        assert_eq!((woken(), waiting(&readiness)), (4 * CROWD - 1, 2), "all but the first");
        readiness.forget(Side::Read, 0);
        assert!(polls.iter().all(|calls| Arc::strong_count(calls) == 1));
    }

    #[test]
    fn nobody_waits_in_vain() {
        polyexec_conformance::watched!();
        let (readiness, is_over) = (Arc::new(Readiness::default()), Arc::new(AtomicBool::new(false)));
        let system = thread::spawn({
            let (readiness, is_over) = (readiness.clone(), is_over.clone());
            move || {
                while !is_over.load(Relaxed) {
                    let (mut said, mut woken) = (Said::default(), Vec::new());
                    said.ready(Side::Read);
                    readiness.announce(said, &mut woken);
                    woken.into_iter().for_each(Waker::wake);
                }
            }
        });
        for _ in 0..20_000 {
            let seen =
                polyexec_core::executor::park_on(std::future::poll_fn(|cx| readiness.poll(Side::Read, HANDLE, cx)));
            readiness.would_block(Side::Read, seen);
        }
        is_over.store(true, Relaxed);
        system.join().unwrap();
    }
}
