//! The end of a task, and whoever waits for it or doesn't: the handle, its waker, and who frees the cell.

use std::future::pending;
use std::sync::Arc as Plain;
use std::task::Poll;

use loom::thread;
use polyexec_core::modelled::{Drops, check};

use crate::common::{Calls, Queue, Slot, check_both, flag, poll, result, until};

#[test]
fn completion_and_join() {
    check_both("completion and join", |queue| {
        let (futures, outputs) = (Drops::default(), Drops::default());
        let (future, output) = (futures.token(), outputs.token());
        let (task, handle) = queue.spawn(async move {
            let _future = future;
            output
        });
        let runner = queue.run_elsewhere(task);
        // Blocks in the parker of `block_on`. A wake that is lost is a deadlock.
        drop(handle.join().ok().unwrap());
        assert_eq!((futures.count(), outputs.count()), (1, 1));
        runner.join().unwrap();
    });
}

/// The joiner is a task, whose waker has no box; it waits among others that do.
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

/// As a select does that drops its waiter: the last waker is the one to be called, and each is dropped.
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
fn completion_and_the_drop_of_the_handle() {
    check_both("completion and the drop of the handle", |queue| {
        let (futures, outputs) = (Drops::default(), Drops::default());
        let (future, output) = (futures.token(), outputs.token());
        let (task, handle) = queue.spawn(async move {
            let _future = future;
            output
        });
        let runner = queue.run_elsewhere(task);
        drop(handle);
        runner.join().unwrap();
        assert_eq!((futures.count(), outputs.count()), (1, 1));
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

/// Without a table, the last waker and the handle keep the task between them; the last to go drops the future.
#[test]
fn the_last_waker_and_the_handle() {
    check("the last waker and the handle", || {
        let queue = Queue::new();
        let (up, slot, futures, outputs) = (flag(), Slot::default(), Drops::default(), Drops::default());
        let handle = queue.rest(until([&up], &slot, &futures, &outputs));
        let waker = slot.take();
        let other = thread::spawn(move || drop(waker));
        drop(handle);
        other.join().unwrap();
        assert_eq!((futures.count(), outputs.count()), (1, 1));
    });
}

#[test]
fn the_last_two_wakers() {
    check("the last two wakers", || {
        let queue = Queue::new();
        let (up, slot, futures, outputs) = (flag(), Slot::default(), Drops::default(), Drops::default());
        drop(queue.rest(until([&up], &slot, &futures, &outputs)));
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

#[test]
fn the_last_abort_handle_and_the_handle() {
    check("the last abort handle and the handle", || {
        let queue = Queue::new();
        let outputs = Drops::default();
        let output = outputs.token();
        let (task, handle) = queue.spawn(async move { output });
        let abort = handle.abort_handle();
        let runner = queue.run_elsewhere(task);
        let other = thread::spawn(move || {
            let _ = abort.is_finished();
        });
        drop(handle);
        runner.join().unwrap();
        other.join().unwrap();
        assert_eq!(outputs.count(), 1);
    });
}

/// Nobody has a waker: who goes last, the poll or the handle, frees the cell.
#[test]
fn the_end_of_a_poll_and_the_drop_of_the_handle() {
    check("the end of a poll and the drop of the handle", || {
        let queue = Queue::new();
        let futures = Drops::default();
        let future = futures.token();
        let (task, handle) = queue.spawn(async move {
            let _future = future;
            pending::<()>().await;
        });
        let runner = queue.run_elsewhere(task);
        drop(handle);
        runner.join().unwrap();
        assert_eq!(futures.count(), 1);
    });
}
