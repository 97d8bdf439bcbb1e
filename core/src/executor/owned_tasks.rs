//! The table of an executor's idle tasks, through which a shutdown finds them: no queue holds them. Runs no task by itself.

use std::fmt;
use std::panic::resume_unwind;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::{Arc, PoisonError};

use crate::AbortHandle;
use crate::error::Failure;
use crate::executor::{Ran, Rejected, Task};
use crate::sync::{AtomicBool, Mutex, MutexGuard};
use crate::task::cell::{MAX_KEY, Table, TaskRef};
use crate::task::id::thread_number;
use crate::unwind::{Payload, catch, contain, discard};

/// Shards of a table, each with its own lock. A thread inserts into the same shard each time, so that threads which run tasks
/// rarely contend. A power of two.
const SHARDS: usize = if cfg!(polyexec_loom) { 2 } else { 16 };

/// The most tasks in a shard, so that a task's key identifies its slot in the whole table.
const MAX_SLOTS: usize = MAX_KEY as usize / SHARDS;

/// Slots by which a shard grows: few, so that a table is hardly larger than its tasks need, and in one piece, so that none moves.
const CHUNK: usize = 256;

/// Keeps an executor's tasks while they wait, so that a shutdown finds them.
///
/// An executor [`admit`](OwnedTasks::admit)s each new task, and [`run`](OwnedTasks::run)s all tasks through the table. The table
/// inserts a task when it first becomes idle, and removes it when it ends. A task that never waits costs the table nothing: a
/// queue or a thread holds it all the time.
///
/// At shutdown, the executor first [`close`](OwnedTasks::close)s the table, which refuses new tasks from then on. Then it drops
/// its queues.
///
/// `X` is the executor's own data for each task in the table.
///
/// # What dropping does
///
/// Drops the table's references, and with them the tasks that nothing else refers to. See [`close`](OwnedTasks::close).
///
/// # Examples
///
/// A whole executor on one queue is in `examples/custom_executor.rs`.
pub struct OwnedTasks<X = ()> {
    shards: [Shard<X>; SHARDS],
    /// Set once, by `close`. Each shard has a flag of its own, under its lock.
    closed: AtomicBool,
}

/// On its own cache line; two, since processors fetch them in pairs.
#[repr(align(128))]
struct Shard<X>(Mutex<Slots<X>>);

/// Reuses vacant slots.
struct Slots<X> {
    chunks: Vec<Vec<Slot<X>>>,
    vacant: Vec<u32>,
    closed: bool,
}

type Slot<X> = Option<(TaskRef, X)>;

impl OwnedTasks {
    /// Runs a task once. If it then waits, the table keeps it until it ends.
    ///
    /// Once the table is closed, this ends the task instead. Run a task through the same table each time.
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

    /// As [`run`](OwnedTasks::run). When the task first becomes idle, the table keeps `data`'s result with it.
    ///
    /// If `data` panics, the task ends, and its handle has the panic.
    #[inline]
    pub fn run_with(&self, task: Task, data: impl Fn() -> X) -> Ran {
        if self.is_closed() {
            drop(task);
            return Ran::Finished;
        }
        task.run_in(&Running { table: self, data })
    }

    /// Returns a new task if the table is open. For the executor's [`submit`](crate::Executor::submit).
    ///
    /// # Errors
    ///
    /// The table is closed, since the executor has shut down.
    #[inline]
    pub fn admit(&self, task: Task) -> Result<Task, Rejected> {
        if self.is_closed() { Err(Rejected::shut_down(task)) } else { Ok(task) }
    }

    /// Ends every task in the table, and refuses new ones. The handles resolve as shut down.
    ///
    /// An idle task's future is dropped here and now; a running one's when its poll ends. Futures are dropped one by one, outside
    /// of any lock. Their destructors may spawn, which is refused, and may wake, abort and close.
    ///
    /// The executor should still queue what these wake, and drop it later: to drop it in `schedule` would nest the drops of
    /// a long chain.
    ///
    /// # Panics
    ///
    /// If the drop of a task's data does, after all tasks have ended.
    pub fn close(&self) {
        self.close_with(drop);
    }

    /// As [`close`](OwnedTasks::close), and returns the tasks that hadn't ended by then: a thread polls them, or will.
    ///
    /// The table knows no task that has never been idle.
    pub fn close_and_list(&self) -> Vec<AbortHandle> {
        let mut not_over = Vec::new();
        self.close_each(drop, |task| not_over.push(AbortHandle::new(task)));
        not_over
    }

    /// As [`close`](OwnedTasks::close), and calls `ended` with each task's data, once the task has ended or was told to.
    ///
    /// # Panics
    ///
    /// If `ended` does. All tasks end first, and `ended` is called for each.
    pub fn close_with(&self, ended: impl FnMut(X)) {
        self.close_each(ended, drop);
    }

    /// As [`close_with`](OwnedTasks::close_with), and calls `not_over` with each task that another thread will end.
    fn close_each(&self, mut ended: impl FnMut(X), mut not_over: impl FnMut(TaskRef)) {
        // Release: pairs with the Acquire in `is_closed`, which then sees what the executor did before.
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
                // Only now: until it has ended, a wake finds its data.
                let entry = shard.lock().get(slot).and_then(Option::take);
                if let Some((task, data)) = entry {
                    keep_first(&mut first_panic, catch(|| ended(data)));
                    if !task.header().is_finished() {
                        not_over(task);
                    }
                }
            }
            // All are vacant, and stay so.
            let mut slots = shard.lock();
            slots.chunks = Vec::new();
            slots.vacant = Vec::new();
        }
        if let Some(payload) = first_panic {
            resume_unwind(payload);
        }
    }

    /// Whether the table was closed: it polls no task any more, and the executor should refuse new ones.
    #[inline]
    pub fn is_closed(&self) -> bool {
        // Acquire: pairs with the Release in `close_with`.
        self.closed.load(Acquire)
    }

    /// How many tasks have been idle and haven't ended. A hint, since others come and go meanwhile.
    pub fn len(&self) -> usize {
        let taken = |shard: &Shard<X>| shard.lock().chunks.iter().flatten().flatten().count();
        self.shards.iter().map(taken).sum()
    }

    /// Whether [`len`](OwnedTasks::len) is zero; a hint, too.
    pub fn is_empty(&self) -> bool {
        self.shards.iter().all(|shard| shard.lock().chunks.iter().flatten().flatten().next().is_none())
    }

    /// Inserts a task whose stage is the caller's. If it can't, it says why, and gives `data` back.
    fn insert(&self, task: &TaskRef, data: X) -> Result<(), (Failure, X)> {
        let first = thread_number().get() as usize % SHARDS;
        for shard in (first..SHARDS).chain(0..first) {
            let mut slots = self.shards[shard].lock();
            if slots.closed {
                return Err((Failure::ShutDown, data));
            }
            if let Some(slot) = slots.vacant_slot() {
                let entry = slots.get(slot).expect("a vacant slot is there");
                // Under the lock, so that a shutdown which finds the entry finds the key set.
                *entry = Some((task.insert_as((slot * SHARDS + shard + 1) as u32), data));
                return Ok(());
            }
        }
        Err((Failure::Unable(format!("more than {} tasks wait already", MAX_SLOTS * SHARDS).into()), data))
    }

    /// The shard and the slot of a task's key. Zero means none.
    fn place(&self, key: u32) -> Option<(&Shard<X>, usize)> {
        let place = key.checked_sub(1)? as usize;
        Some((&self.shards[place % SHARDS], place / SHARDS))
    }
}

impl<T: ?Sized> OwnedTasks<Arc<T>> {
    /// The data kept with a task. `None` if this table doesn't have it: it was never idle, or a shutdown has ended it.
    ///
    /// The data must be an [`Arc`], since it is cloned under the table's lock, where no other code may run.
    pub fn data(&self, task: &Task) -> Option<Arc<T>> {
        let (shard, slot) = self.place(task.key())?;
        let mut slots = shard.lock();
        let (entered, data) = slots.get(slot)?.as_ref()?;
        (entered.address() == task.address()).then(|| data.clone())
    }
}

/// Keeps the first panic. The panic hook alone reports the later ones.
fn keep_first(first: &mut Option<Payload>, result: Result<(), Payload>) {
    match result {
        Err(payload) if first.is_some() => discard(payload),
        Err(payload) => *first = Some(payload),
        Ok(()) => {}
    }
}

/// A table that runs a task, and the source of that task's data.
struct Running<'a, X, D> {
    table: &'a OwnedTasks<X>,
    data: D,
}

impl<X, D: Fn() -> X> Table for Running<'_, X, D> {
    fn insert(&self, task: &TaskRef) -> Result<(), Failure> {
        let data = catch(&self.data).map_err(Failure::Panicked)?;
        self.table.insert(task, data).map_err(|(failure, data)| {
            contain(|| drop(data));
            failure
        })
    }

    fn remove(&self, task: &TaskRef) {
        let Some((shard, slot)) = self.table.place(task.key()) else { return };
        let mut slots = shard.lock();
        // A shutdown may have removed it. And if the task was idle in another table, the slot here is another task's.
        let is_own = |entry: &mut (TaskRef, X)| entry.0.address() == task.address();
        let removed = slots.get(slot).and_then(|slot| slot.take_if(is_own));
        if removed.is_some() {
            slots.vacant.push(slot as u32);
        }
        drop(slots);
        // The data's destructor is the executor's code.
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

    /// A vacant slot; `None` at the limit.
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
