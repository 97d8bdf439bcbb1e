//! The end of a task, and its handle: the join waker, the result, and who frees the cell.

use std::sync::Arc as Plain;
use std::task::Poll;

use loom::thread;
use polyexec_core::modelled::{Drops, check};

use crate::common::{Calls, Queue, Slot, flag, poll, result, until};
use crate::scenario::scenarios;

scenarios! {
    completion_and_join: Plain InTable, New(Ready), [Run, Join] => [];
    completion_and_the_drop_of_the_handle: Plain InTable, New(Ready), [Run, DropHandle] => [];
    /// Without a table, the last waker and the handle keep the task between them; the last to go drops the future.
    the_last_waker_and_the_handle: Plain, Idle(Until(1)), [DropWaker, DropHandle] => [];
    the_last_abort_handle_and_the_handle: Plain, New(Ready), [IsFinished, Run, DropHandle] => [];
    /// Nothing can wake it: the last to go, the poll or the handle, frees the cell.
    the_end_of_a_poll_and_the_drop_of_the_handle: Plain, New(Never), [Run, DropHandle] => [];
}

/// A task joins another: its waker takes no box.
#[test]
fn completion_and_a_task_that_joins() {
    check("completion and a task that joins", || {
        let queue = Queue::new();
        let outputs = Drops::default();
        let output = outputs.token();
        let (joined, joins) = queue.spawn(async move { output });
        let (joiner, handle) = queue.spawn(joins);
        let runner = thread::spawn({
            let queue = queue.clone();
            move || {
                queue.run(joined);
                queue.run_woken();
            }
        });
        queue.run(joiner);
        queue.run_woken();
        runner.join().unwrap();
        drop(result(handle).unwrap().ok().unwrap());
        assert_eq!(outputs.count(), 1);
    });
}

/// A handle that is polled with one waker and then another calls the last one, and drops both.
#[test]
fn completion_and_another_waker() {
    check("completion and another waker", || {
        let queue = Queue::new();
        let outputs = Drops::default();
        let output = outputs.token();
        let (task, mut handle) = queue.spawn(async move { output });
        let runner = queue.run_elsewhere(task);
        let ((first, waker_1), (second, waker_2)) = (Calls::new(), Calls::new());
        let mut early = poll(&mut handle, &waker_1);
        let mut waits = early.is_pending();
        if waits {
            early = poll(&mut handle, &waker_2);
            waits = early.is_pending();
        }
        runner.join().unwrap();
        match early {
            Poll::Ready(result) => drop(result.ok().unwrap()),
            Poll::Pending => drop(result(handle).ok().unwrap()),
        }
        assert!(!waits || second.count() == 1, "the newest waker wasn't called");
        assert!(first.count() + second.count() <= 1, "two wakers were called");
        drop((waker_1, waker_2));
        assert_eq!((Plain::strong_count(&first), Plain::strong_count(&second)), (1, 1), "a waker was lost");
        assert_eq!(outputs.count(), 1);
    });
}

#[test]
fn completion_and_the_drop_of_a_handle_that_waits() {
    check("completion and the drop of a handle that waits", || {
        let queue = Queue::new();
        let outputs = Drops::default();
        let output = outputs.token();
        let (task, mut handle) = queue.spawn(async move { output });
        let (calls, waker) = Calls::new();
        assert!(poll(&mut handle, &waker).is_pending());
        let runner = queue.run_elsewhere(task);
        drop(handle);
        runner.join().unwrap();
        drop(waker);
        assert!(calls.count() <= 1);
        assert_eq!(Plain::strong_count(&calls), 1, "a waker was lost");
        assert_eq!(outputs.count(), 1);
    });
}

#[test]
fn is_finished_and_then_the_result() {
    check("is_finished and then the result", || {
        let queue = Queue::new();
        let outputs = Drops::default();
        let output = outputs.token();
        let (task, handle) = queue.spawn(async move { output });
        let runner = queue.run_elsewhere(task);
        let early = handle.is_finished();
        let late = if early { Ok(result(handle)) } else { Err(handle) };
        runner.join().unwrap();
        drop(late.unwrap_or_else(result).ok().unwrap());
        assert_eq!(outputs.count(), 1);
    });
}

#[test]
fn the_last_two_wakers() {
    check("the last two wakers", || {
        let queue = Queue::new();
        let (slot, futures, outputs) = (Slot::default(), Drops::default(), Drops::default());
        drop(queue.idle(until(&[flag()], &slot, &futures, &outputs)));
        let waker = slot.take();
        let other = thread::spawn({
            let waker = waker.clone();
            move || drop(waker.clone())
        });
        drop(waker);
        other.join().unwrap();
        assert_eq!((futures.count(), outputs.count()), (1, 1));
    });
}
