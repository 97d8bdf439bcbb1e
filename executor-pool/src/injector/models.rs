//! The injector, workers that take from it, and the shutdown. Run by `verify/loom`.

use super::*;

use loom::sync::Arc;
use loom::thread;
use polyexec_core::modelled::{Drops, check};

use crate::lifo_slot::models::task;
use crate::policy::BATCH;

#[test]
fn push_and_close() {
    check("injector: push and close", || {
        let (injector, futures) = (Arc::new(Injector::default()), Drops::default());
        let pusher = thread::spawn({
            let (injector, task) = (injector.clone(), task(&futures));
            move || injector.push(task).is_ok()
        });
        drop(injector.close());
        // Pushed before, it was returned by `close`; after, it was refused. Either way it was dropped.
        let _ = pusher.join().unwrap();
        assert!(injector.is_empty() && injector.pop().is_none() && injector.queue.lock().tasks.is_empty());
        assert_eq!(futures.count(), 1);
        assert!(injector.push(task(&futures)).is_err());
        assert_eq!(futures.count(), 2);
    });
}

#[test]
fn two_workers_take() {
    check("injector: two workers take", || {
        let (injector, futures) = (Arc::new(Injector::default()), Drops::default());
        for _ in 0..3 {
            injector.push(task(&futures)).unwrap();
        }
        let taker = thread::spawn({
            let injector = injector.clone();
            move || {
                let local = deque::Worker::new_fifo();
                let first = injector.take(1, BATCH, &local);
                first.map(|(first, _)| first).into_iter().chain(std::iter::from_fn(|| local.pop())).count()
            }
        });
        let popped = injector.pop().into_iter().count();
        let taken = taker.join().unwrap();
        assert_eq!(injector.len(), injector.queue.lock().tasks.len(), "the hint is right once both are done");
        let left = std::iter::from_fn(|| injector.pop()).count();
        assert_eq!((popped + taken + left, futures.count()), (3, 3));
        assert!(injector.is_empty());
    });
}

/// A task that woke itself is queued without a notification, before the worker takes one from the injector. A thread that
/// sees that one gone sees the other.
#[test]
fn pop_shows_what_was_queued_before() {
    check("injector: pop shows what was queued before", || {
        let (injector, futures) = (Arc::new(Injector::default()), Drops::default());
        injector.push(task(&futures)).unwrap();
        let local = deque::Worker::new_fifo();
        let others = local.stealer();
        let worker = thread::spawn({
            let (injector, again) = (injector.clone(), task(&futures));
            move || {
                local.push(again);
                (injector.pop().is_some(), local)
            }
        });
        assert!(!injector.is_empty() || !others.is_empty(), "there is a task at all times");
        let (was_there, local) = worker.join().unwrap();
        assert!(was_there && local.pop().is_some());
    });
}
