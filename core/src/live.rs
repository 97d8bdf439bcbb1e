//! The table of an executor's live tasks: what lets a shutdown find the ones that rest, whom no queue knows.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::Failure;
use crate::task::cell::Runnable;
use crate::task::id::thread_number;
use crate::{Ran, Rejected, Task};

/// Parts of a table, each with a lock of its own; a thread adds its tasks to the same part each time, so that threads
/// which spawn rarely meet. A power of two.
const SHARDS: usize = 16;

/// Every task that an executor has taken and that isn't over, wherever it is: queued, running, or resting with nothing
/// but a waker somewhere to remember it.
///
/// An executor [`admit`](LiveTasks::admit)s each task that it is given, [`run`](LiveTasks::run)s it through the table,
/// and [`close`](LiveTasks::close)s the table when it shuts down. `X` is what the executor wants to know of each task.
/// A table uses its tasks' [word](Task::word).
///
/// # What dropping does
///
/// Nothing to the tasks. Dropped without `close`, tasks that rest stay as they are.
///
/// # Examples
///
/// A whole executor on one queue is in `examples/custom_executor.rs`.
pub struct LiveTasks<X = ()> {
    shards: [Shard<X>; SHARDS],
}

/// On a cache line of its own (two, since processors fetch them in pairs).
#[repr(align(128))]
struct Shard<X>(Mutex<Slots<X>>);

/// Slots that are used again: the vacant ones are a list through the slots themselves.
struct Slots<X> {
    slots: Vec<Slot<X>>,
    first_vacant: Option<usize>,
    closed: bool,
}

enum Slot<X> {
    Taken(Arc<dyn Runnable>, X),
    Vacant { next: Option<usize> },
}

impl<X> LiveTasks<X> {
    /// An empty table.
    pub fn new() -> Self {
        let slots = || Slots { slots: Vec::new(), first_vacant: None, closed: false };
        Self { shards: std::array::from_fn(|_| Shard(Mutex::new(slots()))) }
    }

    /// Adds a task, before anybody runs it.
    ///
    /// # Errors
    ///
    /// The table was closed: the executor has shut down.
    pub fn admit(&self, task: Task, about: X) -> Result<Task, Rejected> {
        let shard = thread_number().get() as usize % SHARDS;
        let mut slots = self.shards[shard].lock();
        if slots.closed {
            drop(slots);
            return Err(Rejected::shut_down(task));
        }
        let slot = slots.insert(task.share(), about);
        drop(slots);
        task.set_word(slot * SHARDS + shard);
        Ok(task)
    }

    /// Runs an admitted task, and forgets it if that was the end of it.
    pub fn run(&self, task: Task) -> Ran {
        let word = task.word();
        let ran = task.run();
        if matches!(ran, Ran::Finished) {
            self.remove(word);
        }
        ran
    }

    /// Forgets an admitted task that the executor then rejects.
    pub fn retract(&self, task: &Task) {
        self.remove(task.word());
    }

    /// What was said about an admitted task. `None` once a shutdown has ended the task.
    pub fn about(&self, task: &Task) -> Option<X>
    where
        X: Clone,
    {
        let (shard, slot) = self.place(task.word());
        match shard.lock().slots.get(slot) {
            Some(Slot::Taken(_, about)) => Some(about.clone()),
            Some(Slot::Vacant { .. }) | None => None,
        }
    }

    /// Says something else about an admitted task; nothing once a shutdown has ended the task.
    pub fn set_about(&self, task: &Task, about: X) {
        let (shard, slot) = self.place(task.word());
        let mut slots = shard.lock();
        let old = match slots.slots.get_mut(slot) {
            Some(Slot::Taken(_, old)) => std::mem::replace(old, about),
            Some(Slot::Vacant { .. }) | None => about,
        };
        drop(slots);
        drop(old);
    }

    /// Admits no more, and ends every task that there is: its future is dropped here and now, or when its poll ends if
    /// it is running, and its handle resolves as shut down.
    ///
    /// Futures are dropped on this thread one by one, outside of any lock: they may spawn (in vain), wake, and close.
    pub fn close(&self) {
        self.close_with(drop);
    }

    /// As [`close`](LiveTasks::close), and calls `ended` with what was said about each task, when that one has ended or
    /// was told to.
    pub fn close_with(&self, mut ended: impl FnMut(X)) {
        // All of them first, so that what the futures spawn when they are dropped is refused.
        for shard in &self.shards {
            shard.lock().closed = true;
        }
        for shard in &self.shards {
            for slot in 0.. {
                let task = match shard.lock().slots.get(slot) {
                    Some(Slot::Taken(task, _)) => task.clone(),
                    Some(Slot::Vacant { .. }) => continue,
                    None => break,
                };
                task.shut_down(Failure::ShutDown);
                // Only now: whatever is said about a task before it ended, `ended` hears.
                let removed = shard.lock().remove(slot);
                if let Some(Slot::Taken(_, about)) = removed {
                    ended(about);
                }
            }
            // All are vacant, and no more come.
            shard.lock().slots = Vec::new();
        }
    }

    /// Tasks that are admitted and not over. Others come and go meanwhile, so it is a hint.
    pub fn len(&self) -> usize {
        let taken = |slot: &&Slot<X>| matches!(slot, Slot::Taken(..));
        self.shards.iter().map(|shard| shard.lock().slots.iter().filter(taken).count()).sum()
    }

    /// Whether there is none; a hint, as [`len`](LiveTasks::len).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn remove(&self, word: usize) {
        let (shard, slot) = self.place(word);
        // The last reference to a task may go with it, so it is dropped after the lock.
        let removed = shard.lock().remove(slot);
        drop(removed);
    }

    fn place(&self, word: usize) -> (&Shard<X>, usize) {
        (&self.shards[word % SHARDS], word / SHARDS)
    }
}

impl<X> Shard<X> {
    fn lock(&self) -> MutexGuard<'_, Slots<X>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<X> Slots<X> {
    fn insert(&mut self, task: Arc<dyn Runnable>, about: X) -> usize {
        let taken = Slot::Taken(task, about);
        match self.first_vacant {
            Some(vacant) => {
                match std::mem::replace(&mut self.slots[vacant], taken) {
                    Slot::Vacant { next } => self.first_vacant = next,
                    Slot::Taken(..) => unreachable!("the list of vacant slots leads to vacant slots only"),
                }
                vacant
            }
            None => {
                self.slots.push(taken);
                self.slots.len() - 1
            }
        }
    }

    /// `None` if a shutdown, or the poll that ended during one, was here first.
    fn remove(&mut self, slot: usize) -> Option<Slot<X>> {
        let place = self.slots.get_mut(slot)?;
        if let Slot::Vacant { .. } = place {
            debug_assert!(self.closed, "a task ends once");
            return None;
        }
        let removed = std::mem::replace(place, Slot::Vacant { next: self.first_vacant });
        self.first_vacant = Some(slot);
        Some(removed)
    }
}

impl<X> Default for LiveTasks<X> {
    fn default() -> Self {
        Self::new()
    }
}

impl<X> fmt::Debug for LiveTasks<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveTasks").field("len", &self.len()).finish()
    }
}
