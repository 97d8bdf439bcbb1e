//! The wakers that wait for one side of a source. Calls none, and drops none: its callers do, without the lock.

use std::mem;
use std::task::Waker;
use std::time::{Duration, Instant};

/// The list of one side.
#[derive(Default)]
pub(super) struct Waiters {
    /// Mostly the only one. Needs no allocation.
    pub(super) first: Option<Entry>,
    pub(super) others: Option<Box<Others>>,
}

#[derive(Default)]
pub(super) struct Others {
    pub(super) entries: Vec<Entry>,
    /// When a poll has last cleared the list.
    pub(super) cleared: Option<Instant>,
}

pub(super) struct Entry {
    /// The number of its handle or future.
    number: u64,
    waker: Waker,
}

/// A handle or a future that waits. All numbers of a source differ.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WaiterId {
    /// A handle. Any number of tasks may poll it, and each of their wakers waits.
    Handle(u64),
    /// A future. Only the waker of its last poll waits.
    Future(u64),
}

/// How many wakers besides the first may wait before a poll clears the list. Fewer cost little.
pub(super) const CROWD: usize = 32;

/// The time between two such clearings. Bounds the cost of a crowd that still waits, and comes back each time.
pub(super) const REST: Duration = Duration::from_secs(1);

impl Entry {
    pub(super) fn new(id: WaiterId, waker: Waker) -> Self {
        let (WaiterId::Handle(number) | WaiterId::Future(number)) = id;
        Self { number, waker }
    }
}

impl Waiters {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none() && self.others.as_ref().is_none_or(|others| others.entries.is_empty())
    }

    /// Adds a waker to a list that isn't empty. Returns a waker to drop, and wakers to call.
    #[cold]
    pub(super) fn join(&mut self, id: WaiterId, newest: Waker) -> (Option<Waker>, Vec<Waker>) {
        match self.replace(id, newest) {
            Ok(before) => (Some(before), Vec::new()),
            Err(newest) => (None, self.add(id, newest)),
        }
    }

    /// Puts the waker in the place of an earlier one that it makes redundant, and returns that one.
    fn replace(&mut self, id: WaiterId, newest: Waker) -> Result<Waker, Waker> {
        let others = self.others.iter_mut().flat_map(|others| &mut others.entries);
        let mut all = self.first.iter_mut().chain(others);
        let redundant = match id {
            WaiterId::Handle(number) => all.find(|known| known.number == number && known.waker.will_wake(&newest)),
            WaiterId::Future(number) => all.find(|known| known.number == number),
        };
        match redundant {
            Some(known) => Ok(mem::replace(&mut known.waker, newest)),
            None => Err(newest),
        }
    }

    /// Appends a waker. Returns wakers to call, which have left the list to make room.
    fn add(&mut self, id: WaiterId, waker: Waker) -> Vec<Waker> {
        let entry = Entry::new(id, waker);
        if self.first.is_none() {
            self.first = Some(entry);
            return Vec::new();
        }
        let others = self.others.get_or_insert_default();
        let crowd = match id {
            WaiterId::Handle(_) => others.crowd(),
            // A future leaves the list when it is dropped.
            WaiterId::Future(_) => Vec::new(),
        };
        others.entries.push(entry);
        crowd
    }

    pub(super) fn remove(&mut self, number: u64) -> Vec<Entry> {
        let first = self.first.take_if(|entry| entry.number == number);
        let others =
            self.others.iter_mut().flat_map(|others| others.entries.extract_if(.., |entry| entry.number == number));
        first.into_iter().chain(others).collect()
    }

    pub(super) fn empty_into(&mut self, woken: &mut Vec<Waker>) {
        woken.extend(self.first.take().map(|entry| entry.waker));
        if let Some(others) = &mut self.others {
            woken.extend(others.entries.drain(..).map(|entry| entry.waker));
        }
    }
}

impl Others {
    /// Empties the list if it is a crowd, and was not cleared recently.
    fn crowd(&mut self) -> Vec<Waker> {
        if self.entries.len() < CROWD || self.cleared.is_some_and(|cleared| cleared.elapsed() < REST) {
            return Vec::new();
        }
        self.cleared = Some(Instant::now());
        self.entries.drain(..).map(|entry| entry.waker).collect()
    }
}
