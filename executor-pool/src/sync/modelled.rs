//! Modelled stand-ins for parking_lot's lock and crossbeam's deque: what the pool uses of them.
//!
//! Loom doesn't see the values. The words beside them have the orderings of crossbeam's.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::{Mutex as Invisible, PoisonError};

pub(crate) use loom::sync::MutexGuard;
pub(crate) use loom::sync::atomic::fence;
pub(crate) use polyexec_core::modelled::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize};
pub(crate) use polyexec_core::modelled_thread_local as thread_local;

/// As parking_lot's: without poisoning.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    #[track_caller]
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As crossbeam's queue of this name, first in, first out: the same two words with the same orderings.
pub(crate) mod deque {
    use super::*;
    use std::sync::Arc;

    struct Inner<T> {
        /// By index; never reused.
        tasks: Invisible<Vec<Option<T>>>,
        front: AtomicUsize,
        back: AtomicUsize,
    }

    impl<T> Inner<T> {
        fn remove(&self, index: usize) -> T {
            self.tasks.lock().unwrap()[index].take().expect("a task is taken once")
        }
    }

    pub(crate) struct Worker<T>(Arc<Inner<T>>);

    pub(crate) struct Stealer<T>(Arc<Inner<T>>);

    pub(crate) enum Steal<T> {
        Empty,
        Success(T),
        Retry,
    }

    impl<T> Worker<T> {
        pub(crate) fn new_fifo() -> Self {
            let (tasks, front, back) = Default::default();
            Self(Arc::new(Inner { tasks, front, back }))
        }

        pub(crate) fn stealer(&self) -> Stealer<T> {
            Stealer(self.0.clone())
        }

        pub(crate) fn push(&self, task: T) {
            let back = self.0.back.load(Relaxed);
            self.0.tasks.lock().unwrap().push(Some(task));
            self.0.back.store(back + 1, Release);
        }

        pub(crate) fn pop(&self) -> Option<T> {
            let back = self.0.back.load(Relaxed);
            let mut front = self.0.front.load(Relaxed);
            while front < back {
                // Crossbeam's adds one, and takes it back if that was too much.
                match self.0.front.compare_exchange(front, front + 1, SeqCst, SeqCst) {
                    Ok(_) => return Some(self.0.remove(front)),
                    Err(newer) => front = newer,
                }
            }
            None
        }

        pub(crate) fn len(&self) -> usize {
            let back = self.0.back.load(Relaxed);
            back.saturating_sub(self.0.front.load(SeqCst))
        }

        pub(crate) fn is_empty(&self) -> bool {
            self.len() == 0
        }
    }

    impl<T> Stealer<T> {
        /// Crossbeam's has a fence in between, but doesn't promise it: the models do without.
        fn bounds(&self) -> (usize, usize) {
            let front = self.0.front.load(Acquire);
            (front, self.0.back.load(Acquire))
        }

        pub(crate) fn len(&self) -> usize {
            let (front, back) = self.bounds();
            back.saturating_sub(front)
        }

        pub(crate) fn is_empty(&self) -> bool {
            self.len() == 0
        }

        pub(crate) fn steal(&self) -> Steal<T> {
            let (front, back) = self.bounds();
            if back <= front {
                return Steal::Empty;
            }
            match self.0.front.compare_exchange(front, front + 1, SeqCst, Relaxed) {
                Ok(_) => Steal::Success(self.0.remove(front)),
                Err(_) => Steal::Retry,
            }
        }

        pub(crate) fn steal_batch_and_pop(&self, to: &Worker<T>) -> Steal<T> {
            let (front, back) = self.bounds();
            if back <= front {
                return Steal::Empty;
            }
            let batch = (back - front).div_ceil(2);
            if self.0.front.compare_exchange(front, front + batch, SeqCst, Relaxed).is_err() {
                return Steal::Retry;
            }
            let first = self.0.remove(front);
            (front + 1..front + batch).for_each(|index| to.push(self.0.remove(index)));
            Steal::Success(first)
        }
    }
}
