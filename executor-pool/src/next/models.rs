//! A worker that puts and takes, and thieves. Run by `verify/loom`.

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

use crate::desk::Desk;
use crate::sync::deque;

/// An executor that isn't asked for anything. Loom notices if one is left over, and with it a task.
struct Nobody {
    _exists: Arc<()>,
}

impl Executor for Nobody {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        Err(Rejected::shut_down(task))
    }
    fn schedule(&self, _: Task) {}
    fn drive(&self, _: Pin<&mut dyn Future<Output = ()>>) {}
}

/// A task whose future is one of these.
pub(crate) fn task(futures: &Drops) -> Task {
    let future = futures.token();
    let future = async move {
        let _future = future;
        pending::<()>().await;
    };
    Task::new(future, Nobody { _exists: Arc::new(()) }).0
}

/// Nobody is about to take a task any more: then what is in here is to be seen.
fn count_left(next: &Next) -> usize {
    let seen = next.is_filled();
    let left = next.task.take().is_some();
    assert!(seen || !left, "a task is in here that nobody sees");
    usize::from(left)
}

fn thief(next: &Arc<Next>) -> thread::JoinHandle<usize> {
    let next = next.clone();
    thread::spawn(move || usize::from(next.steal().is_some()))
}

#[test]
fn put_and_steal() {
    check("next: put and steal", || {
        let (next, futures) = (Arc::new(Next::default()), Drops::default());
        drop(next.put(1, task(&futures)));
        let thief = thief(&next);
        let before = usize::from(next.put(2, task(&futures)).is_some());
        let stolen = thief.join().unwrap();
        assert_eq!(before + stolen + count_left(&next), 2);
        assert_eq!(futures.count(), 2);
    });
}

#[test]
fn take_and_steal() {
    check("next: take and steal", || {
        let (next, futures) = (Arc::new(Next::default()), Drops::default());
        drop(next.put(1, task(&futures)));
        let thief = thief(&next);
        let taken = usize::from(next.take().is_some());
        let stolen = thief.join().unwrap();
        assert_eq!(taken + stolen + count_left(&next), 1);
        assert_eq!(futures.count(), 1);
    });
}

#[test]
fn take_and_put_and_two_thieves() {
    check("next: take and put and two thieves", || {
        let (next, futures) = (Arc::new(Next::default()), Drops::default());
        drop(next.put(1, task(&futures)));
        let thieves = [thief(&next), thief(&next)];
        let taken = usize::from(next.take().is_some());
        let before = usize::from(next.put(2, task(&futures)).is_some());
        let stolen: usize = thieves.into_iter().map(|thief| thief.join().unwrap()).sum();
        assert_eq!(taken + before + stolen + count_left(&next), 2);
        assert_eq!(futures.count(), 2);
    });
}

/// A task that woke itself is queued without a notification, before the worker takes the one that is next.
#[test]
fn take_shows_what_was_queued_before() {
    check("next: take shows what was queued before", || {
        let (queue, futures) = (deque::Worker::new_fifo(), Drops::default());
        let desk = Arc::new(Desk::new(queue.stealer(), 0));
        drop(desk.next.put(1, task(&futures)));
        let worker = thread::spawn({
            let (desk, again) = (desk.clone(), task(&futures));
            move || {
                queue.push(again);
                (desk.next.take().is_some(), queue)
            }
        });
        assert!(desk.has_tasks(), "there are tasks all the time");
        let (was_there, queue) = worker.join().unwrap();
        assert!(was_there && queue.pop().is_some());
    });
}

/// What is in a task's future was written before the task was put.
#[test]
fn a_stolen_task_is_whole() {
    check("next: a stolen task is whole", || {
        let (next, futures) = (Arc::new(Next::default()), Drops::default());
        let thief = thief(&next);
        drop(next.put(1, task(&futures)));
        let stolen = thief.join().unwrap();
        assert_eq!(stolen + count_left(&next), 1);
        assert_eq!(futures.count(), 1);
    });
}
