//! The worker of a LIFO slot, and thieves. Run by `verify/loom`.

use super::*;
use std::future::pending;
use std::pin::Pin;

use loom::sync::Arc;
use loom::thread;
use polyexec_core::executor::Rejected;
use polyexec_core::{
    Executor,
    modelled::{Drops, check},
};

use crate::remote::Remote;
use crate::sync::deque;

/// An executor for tasks that are never run. Loom notices one that is left over, and with it a task.
struct NoExecutor {
    _exists: Arc<()>,
}

impl Executor for NoExecutor {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        Err(Rejected::shut_down(task))
    }
    fn schedule(&self, _: Task) {}
    fn drive(&self, _: Pin<&mut dyn Future<Output = ()>>) {}
}

/// A task whose future holds a token.
pub(crate) fn task(futures: &Drops) -> Task {
    let future = futures.token();
    let future = async move {
        let _future = future;
        pending::<()>().await;
    };
    Task::new(future, NoExecutor { _exists: Arc::new(()) }).0
}

/// No thread is about to take the task: what is in the slot must be seen.
fn count_left(slot: &LifoSlot) -> usize {
    let seen = slot.is_filled();
    let left = slot.task.take().is_some();
    assert!(seen || !left, "the slot hides its task");
    usize::from(left)
}

fn thief(slot: &Arc<LifoSlot>) -> thread::JoinHandle<usize> {
    let slot = slot.clone();
    thread::spawn(move || usize::from(slot.steal().is_some()))
}

#[test]
fn put_and_steal() {
    check("LIFO slot: put and steal", || {
        let (slot, futures) = (Arc::new(LifoSlot::default()), Drops::default());
        drop(slot.put(1, task(&futures)));
        let thief = thief(&slot);
        let before = usize::from(slot.put(2, task(&futures)).is_some());
        let stolen = thief.join().unwrap();
        assert_eq!(before + stolen + count_left(&slot), 2);
        assert_eq!(futures.count(), 2);
    });
}

#[test]
fn take_and_steal() {
    check("LIFO slot: take and steal", || {
        let (slot, futures) = (Arc::new(LifoSlot::default()), Drops::default());
        drop(slot.put(1, task(&futures)));
        let thief = thief(&slot);
        let taken = usize::from(slot.take().is_some());
        let stolen = thief.join().unwrap();
        assert_eq!(taken + stolen + count_left(&slot), 1);
        assert_eq!(futures.count(), 1);
    });
}

#[test]
fn take_and_put_and_two_thieves() {
    check("LIFO slot: take and put and two thieves", || {
        let (slot, futures) = (Arc::new(LifoSlot::default()), Drops::default());
        drop(slot.put(1, task(&futures)));
        let thieves = [thief(&slot), thief(&slot)];
        let taken = usize::from(slot.take().is_some());
        let before = usize::from(slot.put(2, task(&futures)).is_some());
        let stolen: usize = thieves.into_iter().map(|thief| thief.join().unwrap()).sum();
        assert_eq!(taken + before + stolen + count_left(&slot), 2);
        assert_eq!(futures.count(), 2);
    });
}

/// A task that woke itself is queued without a notification, before the worker empties the slot.
#[test]
fn take_shows_what_was_queued_before() {
    check("LIFO slot: take shows what was queued before", || {
        let (queue, futures) = (deque::Worker::new_fifo(), Drops::default());
        let remote = Arc::new(Remote::new(queue.stealer(), 0));
        drop(remote.lifo.put(1, task(&futures)));
        let worker = thread::spawn({
            let (remote, again) = (remote.clone(), task(&futures));
            move || {
                queue.push(again);
                (remote.lifo.take().is_some(), queue)
            }
        });
        assert!(remote.has_tasks(), "there is a task at all times");
        let (was_there, queue) = worker.join().unwrap();
        assert!(was_there && queue.pop().is_some());
    });
}

/// A thief sees what was written to the future before the put.
#[test]
fn a_stolen_task_is_whole() {
    check("LIFO slot: a stolen task is whole", || {
        let (slot, futures) = (Arc::new(LifoSlot::default()), Drops::default());
        let thief = thief(&slot);
        drop(slot.put(1, task(&futures)));
        let stolen = thief.join().unwrap();
        assert_eq!(stolen + count_left(&slot), 1);
        assert_eq!(futures.count(), 1);
    });
}
