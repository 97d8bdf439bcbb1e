//! The table of an executor's live tasks: what lets a shutdown find the ones that rest, whom no queue knows.

use std::fmt;
use std::panic::resume_unwind;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::{Arc, PoisonError};

use crate::AbortHandle;
use crate::error::Failure;
use crate::executor::{Ran, Rejected, Task};
use crate::sync::{AtomicBool, Mutex, MutexGuard};
use crate::task::cell::{MAX_WORD, Table, TaskRef};
use crate::task::id::thread_number;
use crate::unwind::{Payload, catch, contain, discard};

/// Parts of a table, each with a lock of its own; a thread adds its tasks to the same part each time, so that threads
/// which run tasks rarely meet. A power of two.
const SHARDS: usize = if cfg!(polyexec_loom) { 2 } else { 16 };

/// The most tasks in a part: the places of all parts are told apart by one word of a task.
const MAX_SLOTS: usize = MAX_WORD as usize / SHARDS;

/// Slots that a part grows by: so little that a table is hardly larger than its tasks need, and none of it ever moves.
const CHUNK: usize = 256;

/// The tasks of an executor that rest, with nothing but a waker somewhere to remember them.
///
/// An executor [`admit`](OwnedTasks::admit)s each task that it is given, and [`run`](OwnedTasks::run)s it through the
/// table, which enters a task when it comes to rest for the first time, and forgets it when it is over. So a task that
/// never waits costs the table nothing; and the executor's queues know all others. When the executor shuts down, it
/// [`close`](OwnedTasks::close)s the table, from when on new tasks are refused, and then drops what is in its queues. `X`
/// is what the executor wants to know of each task that rests.
///
/// # What dropping does
///
/// Drops the table's references: tasks that only it remembers are dropped here. See [`close`](OwnedTasks::close).
///
/// # Examples
///
/// A whole executor on one queue is in `examples/custom_executor.rs`.
pub struct OwnedTasks<X = ()> {
    shards: [Shard<X>; SHARDS],
    /// Set once, by `close`. Each part knows by itself, too, under its lock.
    closed: AtomicBool,
}

/// On a cache line of its own (two, since processors fetch them in pairs).
#[repr(align(128))]
struct Shard<X>(Mutex<Slots<X>>);

/// Slots that are used again.
struct Slots<X> {
    chunks: Vec<Vec<Slot<X>>>,
    vacant: Vec<u32>,
    closed: bool,
}

type Slot<X> = Option<(TaskRef, X)>;

impl OwnedTasks {
    /// Runs a task; if it comes to rest, the table knows it from then on, until it is over.
    ///
    /// Once the table is closed, this ends the task instead. All runs of a task must be through the same table.
    #[inline]
    pub fn run(&self, task: Task) -> Ran {
        self.run_with(task, || ())
    }
}

impl<X> OwnedTasks<X> {
    /// An empty table.
    pub fn new() -> Self {
        let slots = || Slots { chunks: Vec::new(), vacant: Vec::new(), closed: false };
        Self { shards: std::array::from_fn(|_| Shard(Mutex::new(slots()))), closed: AtomicBool::new(false) }
    }

    /// As [`run`](OwnedTasks::run); what `about` says is noted when the task first comes to rest.
    ///
    /// Should `about` panic, the task ends, and its handle has the panic.
    #[inline]
    pub fn run_with(&self, task: Task, about: impl Fn() -> X) -> Ran {
        if self.is_closed() {
            drop(task);
            return Ran::Finished;
        }
        task.run_in(&Entering { table: self, about })
    }

    /// Gives a new task back once the table is closed: for the executor's [`submit`](crate::Executor::submit).
    ///
    /// # Errors
    ///
    /// The table is closed: the executor has shut down.
    #[inline]
    pub fn admit(&self, task: Task) -> Result<Task, Rejected> {
        if self.is_closed() { Err(Rejected::shut_down(task)) } else { Ok(task) }
    }

    /// Ends every task that rests, and sees to it that none comes to rest any more: its future is dropped here and now,
    /// or when its poll ends if it is running, and its handle resolves as shut down.
    ///
    /// Futures are dropped on this thread one by one, outside of any lock: they may spawn (in vain), wake, and close. To
    /// wake or to abort others is to schedule them, so the executor should still queue tasks: to drop them on the spot
    /// would nest the drops of a long chain.
    ///
    /// # Panics
    ///
    /// If the drop of what was said about a task does, after all tasks have ended.
    pub fn close(&self) {
        self.close_with(drop);
    }

    /// As [`close`](OwnedTasks::close), and returns those tasks that were not over then: they are polled, or on their way to
    /// a thread. Of those that have never rested, the table knows none.
    pub fn close_and_list(&self) -> Vec<AbortHandle> {
        let mut not_over = Vec::new();
        self.close_each(drop, |task| not_over.push(AbortHandle::new(task)));
        not_over
    }

    /// As [`close`](OwnedTasks::close), and calls `ended` with what was said about each task, when that one has ended or
    /// was told to.
    ///
    /// # Panics
    ///
    /// If `ended` does. First, all tasks end, and `ended` is called with each of them.
    pub fn close_with(&self, ended: impl FnMut(X)) {
        self.close_each(ended, drop);
    }

    /// As [`close_with`](OwnedTasks::close_with), and calls `not_over` with each task that somebody else is to end.
    fn close_each(&self, mut ended: impl FnMut(X), mut not_over: impl FnMut(TaskRef)) {
        // Release: pairs with the Acquire in `is_closed`; whoever sees it sees what the executor did before.
        self.closed.store(true, Release);
        for shard in &self.shards {
            shard.lock().closed = true;
        }
        let mut first_panic = None;
        for shard in &self.shards {
            for slot in 0.. {
                let condemned = match shard.lock().get(slot) {
                    Some(Some((task, _))) => task.shut_down(),
                    Some(None) => continue,
                    None => break,
                };
                drop(condemned);
                // Only now: until it has ended, a wake finds what was said about it.
                let entry = shard.lock().get(slot).and_then(Option::take);
                if let Some((task, about)) = entry {
                    keep_first(&mut first_panic, catch(|| ended(about)));
                    if !task.header().is_finished() {
                        not_over(task);
                    }
                }
            }
            // All are vacant, and no more come.
            let mut slots = shard.lock();
            slots.chunks = Vec::new();
            slots.vacant = Vec::new();
        }
        if let Some(payload) = first_panic {
            resume_unwind(payload);
        }
    }

    /// Whether the table was closed: tasks are no longer polled, and new ones should be refused.
    #[inline]
    pub fn is_closed(&self) -> bool {
        // Acquire: pairs with the Release in `close_with`.
        self.closed.load(Acquire)
    }

    /// Tasks that have rested and aren't over. Others come and go meanwhile, so it is a hint.
    pub fn len(&self) -> usize {
        let taken = |shard: &Shard<X>| shard.lock().chunks.iter().flatten().flatten().count();
        self.shards.iter().map(taken).sum()
    }

    /// Whether there is none; a hint, as [`len`](OwnedTasks::len).
    pub fn is_empty(&self) -> bool {
        self.shards.iter().all(|shard| shard.lock().chunks.iter().flatten().flatten().next().is_none())
    }

    /// Enters a task that the caller has claimed. Where it can't, says why, and gives `about` back.
    fn enter(&self, task: &TaskRef, about: X) -> Result<(), (Failure, X)> {
        let first = thread_number().get() as usize % SHARDS;
        for shard in (first..SHARDS).chain(0..first) {
            let mut slots = self.shards[shard].lock();
            if slots.closed {
                return Err((Failure::ShutDown, about));
            }
            if let Some(slot) = slots.vacant_slot() {
                let entry = slots.get(slot).expect("a vacant slot is there");
                // The place first, then the entry: both are under the lock, and a shutdown finds a task by its entry.
                *entry = Some((task.admit((slot * SHARDS + shard + 1) as u32), about));
                return Ok(());
            }
        }
        Err((Failure::Unable(format!("more than {} tasks wait already", MAX_SLOTS * SHARDS).into()), about))
    }

    /// The part and the slot that a task's word means. Zero means none.
    fn place(&self, word: u32) -> Option<(&Shard<X>, usize)> {
        let place = word.checked_sub(1)? as usize;
        Some((&self.shards[place % SHARDS], place / SHARDS))
    }
}

impl<T: ?Sized> OwnedTasks<Arc<T>> {
    /// What was said about a task that has rested. `None` once a shutdown has ended the task, and for a task that has rested
    /// in another table.
    ///
    /// For an [`Arc`], whose clone is no code of the executor's: it is cloned under the table's lock.
    pub fn about(&self, task: &Task) -> Option<Arc<T>> {
        let (shard, slot) = self.place(task.word())?;
        let mut slots = shard.lock();
        let (entered, about) = slots.get(slot)?.as_ref()?;
        (entered.address() == task.address()).then(|| about.clone())
    }
}

/// Keeps the first panic. The later ones are told by the panic hook only.
fn keep_first(first: &mut Option<Payload>, result: Result<(), Payload>) {
    match result {
        Err(payload) if first.is_some() => discard(payload),
        Err(payload) => *first = Some(payload),
        Ok(()) => {}
    }
}

/// A table, and what it is to note of the task that is run.
struct Entering<'a, X, A> {
    table: &'a OwnedTasks<X>,
    about: A,
}

impl<X, A: Fn() -> X> Table for Entering<'_, X, A> {
    fn admit(&self, task: &TaskRef) -> Result<(), Failure> {
        let about = catch(&self.about).map_err(Failure::Panicked)?;
        self.table.enter(task, about).map_err(|(failure, about)| {
            contain(|| drop(about));
            failure
        })
    }

    fn remove(&self, task: &TaskRef) {
        let Some((shard, slot)) = self.table.place(task.word()) else { return };
        let mut slots = shard.lock();
        // A shutdown may have been here first. And if the task has rested in another table, the slot is a stranger's.
        let is_own = |entry: &mut (TaskRef, X)| entry.0.address() == task.address();
        let removed = slots.get(slot).and_then(|slot| slot.take_if(is_own));
        if removed.is_some() {
            slots.vacant.push(slot as u32);
        }
        drop(slots);
        // What was said is the executor's.
        contain(|| drop(removed));
    }
}

impl<X> Shard<X> {
    fn lock(&self) -> MutexGuard<'_, Slots<X>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<X> Slots<X> {
    fn get(&mut self, slot: usize) -> Option<&mut Slot<X>> {
        self.chunks.get_mut(slot / CHUNK)?.get_mut(slot % CHUNK)
    }

    /// A slot that nobody uses; `None` if there are as many as may be.
    fn vacant_slot(&mut self) -> Option<usize> {
        if let Some(vacant) = self.vacant.pop() {
            return Some(vacant as usize);
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            if (self.chunks.len() + 1) * CHUNK > MAX_SLOTS {
                return None;
            }
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let chunk = self.chunks.last_mut().expect("just seen or pushed");
        chunk.push(None);
        let in_chunk = chunk.len() - 1;
        Some((self.chunks.len() - 1) * CHUNK + in_chunk)
    }
}

impl<X> Default for OwnedTasks<X> {
    fn default() -> Self {
        Self::new()
    }
}

impl<X> fmt::Debug for OwnedTasks<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedTasks").field("len", &self.len()).finish()
    }
}
