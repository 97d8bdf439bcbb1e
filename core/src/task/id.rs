//! Numbers that are unique in the process, for all time: one per task, one per thread.

use core::fmt;
use core::num::NonZeroU64;
#[cfg(target_has_atomic = "64")]
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

#[cfg(not(target_has_atomic = "64"))]
use portable_atomic::AtomicU64;

#[cfg(feature = "std")]
use crate::sync::thread_local;

/// Identifies a task. No other task of this process ever has the same id.
///
/// Ids don't tell the order of spawns.
///
/// # Examples
///
/// ```
/// use polyexec_core::TaskId;
///
/// fn log(id: TaskId) -> String {
///     format!("task {id}")
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(NonZeroU64);

impl TaskId {
    pub(crate) fn next() -> Self {
        Self(NonZeroU64::new(next()).expect("2^64 tasks were spawned"))
    }

    /// The id of the task that this thread is polling; of nested ones, the innermost. `None` outside of tasks, and in a
    /// `block_on` outside of tasks. Costs a look at a thread-local.
    ///
    /// # Examples
    ///
    /// ```
    /// use polyexec_core::TaskId;
    /// # use polyexec_core::{Executor, JoinError};
    ///
    /// async fn is_itself(executor: &(impl Executor + Clone)) -> Result<bool, JoinError> {
    ///     let task = executor.spawn(async { TaskId::current() });
    ///     let id = task.id();
    ///     Ok(task.await? == Some(id))
    /// }
    /// assert_eq!(TaskId::current(), None);
    /// ```
    #[cfg(feature = "std")]
    pub fn current() -> Option<Self> {
        super::cell::with_current(|task| task.header().id)
    }

    /// The number itself.
    pub fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskId({})", self.0)
    }
}

/// Ids that a thread takes at a time, so that spawns on many threads rarely touch the shared counter.
#[cfg(feature = "std")]
const BLOCK: u64 = 1024;

#[cfg(feature = "std")]
fn next() -> u64 {
    use std::cell::Cell;

    /// The first id of the next block. The first block is left out, and with it zero.
    static BLOCKS: AtomicU64 = AtomicU64::new(BLOCK);
    // Without a destructor, so that it works while the thread's other locals are destroyed.
    std::thread_local!(static NEXT: Cell<u64> = const { Cell::new(0) });

    NEXT.with(|next| {
        let mut id = next.get();
        if id.is_multiple_of(BLOCK) {
            // Relaxed: it only matters that each block is handed out once.
            id = BLOCKS.fetch_add(BLOCK, Relaxed);
        }
        next.set(id + 1);
        id
    })
}

#[cfg(not(feature = "std"))]
fn next() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    // Relaxed: it only matters that each number is handed out once.
    NEXT.fetch_add(1, Relaxed)
}

/// Remembers a thread, and says later whether the calling thread is that one.
///
/// A check costs one access to a thread-local. It works while the thread's locals are destroyed.
///
/// # Examples
///
/// ```
/// use polyexec_core::executor::OwnerThread;
///
/// let owner = OwnerThread::current();
/// assert!(owner.is_current());
/// std::thread::spawn(move || assert!(!owner.is_current())).join().unwrap();
/// ```
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnerThread(NonZeroU64);

#[cfg(feature = "std")]
impl OwnerThread {
    /// The calling thread.
    pub fn current() -> Self {
        Self(thread_number())
    }

    /// Whether this is the calling thread.
    #[inline]
    pub fn is_current(self) -> bool {
        self.0 == thread_number()
    }
}

/// This thread's number.
///
/// Unlike the address of a thread-local, it is never reused. Unlike `std::thread::current().id()`, it works while the
/// thread's locals are destroyed.
#[cfg(feature = "std")]
#[inline]
pub(crate) fn thread_number() -> NonZeroU64 {
    NUMBER.get().unwrap_or_else(first_number)
}

#[cfg(feature = "std")]
thread_local! {
    static NUMBER: std::cell::Cell<Option<NonZeroU64>> = const { std::cell::Cell::new(None) };
}

#[cfg(feature = "std")]
#[cold]
fn first_number() -> NonZeroU64 {
    #[cfg(not(polyexec_loom))]
    let new = {
        static THREADS: AtomicU64 = AtomicU64::new(1);
        // Relaxed: it only matters that each number is handed out once.
        THREADS.fetch_add(1, Relaxed)
    };
    // Each run of a model must be like the one before, so a process-wide counter won't do.
    #[cfg(polyexec_loom)]
    let new = crate::sync::thread_number();
    let new = NonZeroU64::new(new).expect("2^64 threads ran");
    NUMBER.set(Some(new));
    new
}

#[cfg(all(test, feature = "std", not(polyexec_loom)))]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_are_unique_across_threads_and_blocks() {
        let threads: Vec<_> =
            (0..4).map(|_| std::thread::spawn(|| (0..3 * BLOCK).map(|_| TaskId::next()).collect::<Vec<_>>())).collect();
        let ids: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
    }

    #[test]
    fn a_thread_keeps_its_number() {
        let here = thread_number();
        assert_eq!(here, thread_number());
        assert_ne!(here, std::thread::spawn(thread_number).join().unwrap());
    }
}
