//! The life of a pool's thread: its start, its jobs, and who joins it. Leaves the queue of jobs to `pool`.
//!
//! The system frees a thread's stack only when the thread is joined. So each thread that leaves joins others that have left:
//! the last one before it, for which it waits, and one that has ended already.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::thread::{self, JoinHandle, ThreadId};

use parking_lot::Mutex;

use crate::jobs::Jobs;
use crate::limit::Permit;
use crate::live::Live;
use crate::pool::ThreadPool;
use crate::submit::Refused;

/// The most threads that wait for each other on their way out.
///
/// The chain grows where threads start faster than they end. Without a bound it could use up all threads: Linux allows some
/// 30,000 by default.
const MAX_LEAVING: usize = 4096;

// Without destructors, so that they last to the thread's end.
thread_local! {
    /// The id of this thread's pool.
    static MEMBER_OF: Cell<u64> = const { Cell::new(0) };
    /// This thread has left its pool. Another thread may be joining it.
    static IS_ENDING: Cell<bool> = const { Cell::new(false) };
}

/// The threads of one pool.
pub(crate) struct Members {
    /// The pool's id. Unique in the process.
    pool_id: u64,
    /// Locked while a thread is started, so that a thread that leaves finds its handle.
    handles: Mutex<Handles>,
    /// Threads on their way out that may be waiting for another. Not in `handles`, whose lock is held for long.
    leaving: AtomicUsize,
}

#[derive(Default)]
struct Handles {
    running: HashMap<ThreadId, JoinHandle<()>>,
    /// Threads that have left, and that no other thread joins yet.
    left: Vec<JoinHandle<()>>,
    /// Threads started so far. Numbers their names.
    started: u64,
    /// Set by the first join. No thread is started afterwards.
    joined: bool,
}

/// Whether this thread has left its pool, and runs the destructors of its thread-locals.
///
/// Such a thread must not wait for another one, which may be joining it.
pub(crate) fn is_ending() -> bool {
    IS_ENDING.get()
}

impl Members {
    pub(crate) fn new() -> Self {
        /// Zero is no pool's.
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        // Relaxed: ids only have to differ.
        Self { pool_id: NEXT_ID.fetch_add(1, Relaxed), handles: Mutex::default(), leaving: AtomicUsize::new(0) }
    }

    /// Whether the calling thread is one of these, to its very end.
    pub(crate) fn is_member(&self) -> bool {
        MEMBER_OF.get() == self.pool_id
    }

    pub(crate) fn stop_starting(&self) {
        self.handles.lock().joined = true;
    }

    /// Joins all threads, and starts none afterwards. On one of them, joins none.
    pub(crate) fn join_all(&self) {
        let (running, left) = {
            let mut handles = self.handles.lock();
            handles.joined = true;
            (std::mem::take(&mut handles.running), std::mem::take(&mut handles.left))
        };
        if self.is_member() {
            return;
        }
        for thread in running.into_values().chain(left) {
            // The panic hook has reported a panic of the body.
            let _ = thread.join();
        }
    }

    /// Joins threads that have ended, which frees their stacks. Returns whether there were any.
    pub(crate) fn join_ended(&self) -> bool {
        // A thread whose closure has returned counts as finished while its destructors run, and these may join this thread.
        if is_ending() {
            return false;
        }
        let ended: Vec<_> = self.handles.lock().left.extract_if(.., |thread| thread.is_finished()).collect();
        let were_any = !ended.is_empty();
        for thread in ended {
            let _ = thread.join();
        }
        were_any
    }

    /// Leaves the pool: from now on, another thread may join this one.
    fn leave(&self) {
        IS_ENDING.set(true);
        // Two per leaving thread, so that a backlog of ended threads shrinks. An array, since a thread's first allocation is
        // expensive.
        let to_join = {
            let mut handles = self.handles.lock();
            // Relaxed, here and below: the bound need not be exact.
            let may_wait = self.leaving.fetch_add(1, Relaxed) < MAX_LEAVING;
            let last = if may_wait { handles.left.pop() } else { None };
            let ended = handles.left.iter().position(|thread| thread.is_finished());
            let ended = ended.map(|ended| handles.left.swap_remove(ended));
            // Missing if `join_all` has taken it.
            let this = handles.running.remove(&thread::current().id());
            handles.left.extend(this);
            [last, ended]
        };
        for thread in to_join.into_iter().flatten() {
            let _ = thread.join();
        }
        self.leaving.fetch_sub(1, Relaxed);
    }
}

/// Starts a thread whose first job is `job`.
pub(crate) fn start<J: Send + 'static>(pool: &ThreadPool<J>, job: J) -> Result<(), Refused<J>> {
    let mut handles = pool.0.members.handles.lock();
    if handles.joined {
        return Err(Refused::closed(job));
    }
    let permit = match Permit::take() {
        Ok(permit) => permit,
        Err(cause) => return Err(Refused::because(job, cause)),
    };
    // Keeps the job if there is no thread to take it.
    let slot = Arc::new(Mutex::new(Some(job)));
    let thread = {
        let (pool, slot, live) = (ThreadPool(pool.0.clone()), slot.clone(), pool.0.live.add(permit));
        pool.0.settings.thread(handles.started).spawn(move || run(pool, slot, live))
    };
    match thread {
        Ok(thread) => {
            handles.started += 1;
            handles.running.insert(thread.thread().id(), thread);
            Ok(())
        }
        Err(cause) => {
            let job = slot.lock().take().expect("no thread took it");
            Err(Refused::because(job, cause))
        }
    }
}

/// What each thread does, from its start to its end.
fn run<J: Send + 'static>(pool: ThreadPool<J>, first: Arc<Mutex<Option<J>>>, live: Live) {
    live.keep_for_this_thread();
    MEMBER_OF.set(pool.0.members.pool_id);
    let first = first.lock().take();
    pool.0.settings.call_on_start();
    (pool.0.body)(Jobs { pool: ThreadPool(pool.0.clone()), first });
    pool.0.settings.call_on_stop();
    pool.0.members.leave();
}
