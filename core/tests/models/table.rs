//! The table of the tasks that rest, when it is closed.

use std::future::pending;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Poll, Waker};

use loom::sync::Arc;
use loom::thread;
use polyexec_core::executor::OwnedTasks;
use polyexec_core::modelled::{Drops, check, check_fewer};

use crate::common::{Queue, Slot, flag, poll, result, until};

#[test]
fn close_and_wake() {
    check("close and wake", || {
        let queue = Queue::with_table();
        let (up, slot, futures, outputs) = (flag(), Slot::default(), Drops::default(), Drops::default());
        let handle = queue.rest(until([&up], &slot, &futures, &outputs));
        let waker = slot.take();
        let other = thread::spawn({
            let (queue, up) = (queue.clone(), up.clone());
            move || {
                up.store(true, Relaxed);
                waker.wake();
                queue.run_woken();
            }
        });
        queue.live().close();
        // Whoever shuts down has run, or dropped, what the wakes have queued.
        assert!(other.join().is_ok());
        match result(handle) {
            Ok(output) => drop(output),
            Err(error) => assert!(error.is_shutdown()),
        }
        assert_eq!((futures.count(), outputs.count()), (1, 1));
        assert!(queue.live().is_empty());
    });
}

#[test]
fn close_and_abort() {
    check("close and abort", || {
        let queue = Queue::with_table();
        let futures = Drops::default();
        let future = futures.token();
        let handle = queue.rest(async move {
            let _future = future;
            pending::<()>().await;
        });
        let other = thread::spawn({
            let (queue, abort) = (queue.clone(), handle.abort_handle());
            move || {
                abort.abort();
                queue.run_woken();
            }
        });
        queue.live().close();
        other.join().unwrap();
        let error = result(handle).unwrap_err();
        assert!(error.is_shutdown() || error.is_cancelled());
        assert_eq!(futures.count(), 1);
    });
}

#[test]
fn close_and_a_task_that_comes_to_rest() {
    check("close and a task that comes to rest", || {
        let queue = Queue::with_table();
        let futures = Drops::default();
        let future = futures.token();
        let (task, handle) = queue.spawn(async move {
            let _future = future;
            pending::<()>().await;
        });
        let runner = queue.run_elsewhere(task);
        queue.live().close();
        runner.join().unwrap();
        assert!(result(handle).unwrap_err().is_shutdown());
        assert_eq!(futures.count(), 1);
        assert!(queue.live().is_empty());
    });
}

/// The task has rested before, so the table knows it already while it is polled again.
#[test]
fn close_and_the_end_of_a_poll() {
    check("close and the end of a poll", || {
        let queue = Queue::with_table();
        let (up, slot, futures, outputs) = (flag(), Slot::default(), Drops::default(), Drops::default());
        let handle = queue.rest(until([&up], &slot, &futures, &outputs));
        let task = queue.woken(&slot.take());
        let runner = queue.run_elsewhere(task);
        queue.live().close();
        runner.join().unwrap();
        assert!(result(handle).err().unwrap().is_shutdown());
        assert_eq!((futures.count(), outputs.count()), (1, 1));
    });
}

/// The result belongs to the handle from then on, whoever else ends tasks.
#[test]
fn close_and_completion() {
    check("close and completion", || {
        let queue = Queue::with_table();
        let (up, slot, futures, outputs) = (flag(), Slot::default(), Drops::default(), Drops::default());
        let mut handle = queue.rest(until([&up], &slot, &futures, &outputs));
        let task = queue.woken(&slot.take());
        up.store(true, Relaxed);
        let runner = thread::spawn({
            let queue = queue.clone();
            move || {
                queue.run(task);
                let early = poll(&mut handle, Waker::noop());
                (early, handle)
            }
        });
        queue.live().close();
        let (early, handle) = runner.join().unwrap();
        let result = match early {
            Poll::Ready(result) => result,
            Poll::Pending => result(handle),
        };
        match result {
            Ok(output) => drop(output),
            Err(error) => assert!(error.is_shutdown()),
        }
        assert_eq!((futures.count(), outputs.count()), (1, 1));
    });
}

#[test]
fn close_and_the_drop_of_the_handle() {
    check("close and the drop of the handle", || {
        let queue = Queue::with_table();
        let futures = Drops::default();
        let future = futures.token();
        let handle = queue.rest(async move {
            let _future = future;
            pending::<()>().await;
        });
        let other = thread::spawn(move || drop(handle));
        queue.live().close();
        other.join().unwrap();
        assert_eq!(futures.count(), 1);
    });
}

/// Three threads: the task is on its way through a queue when the shutdown finds it in the table.
#[test]
fn close_and_wake_and_another_runner() {
    check_fewer("close and wake and another runner", 1, || {
        let queue = Queue::with_table();
        let (up, slot, futures, outputs) = (flag(), Slot::default(), Drops::default(), Drops::default());
        let handle = queue.rest(until([&up], &slot, &futures, &outputs));
        let waker = slot.take();
        let task = queue.woken(&waker);
        let runner = queue.run_elsewhere(task);
        let other = thread::spawn({
            let queue = queue.clone();
            move || {
                waker.wake();
                queue.run_woken();
            }
        });
        queue.live().close();
        runner.join().unwrap();
        other.join().unwrap();
        assert!(result(handle).err().unwrap().is_shutdown());
        assert_eq!((futures.count(), outputs.count()), (1, 1));
    });
}

/// Two threads shut down; every task ends once.
#[test]
fn close_twice() {
    check("close twice", || {
        let queue = Queue::with_table();
        let futures = Drops::default();
        let future = futures.token();
        let handle = queue.rest(async move {
            let _future = future;
            pending::<()>().await;
        });
        let other = thread::spawn({
            let queue = queue.clone();
            move || queue.live().close()
        });
        queue.live().close();
        other.join().unwrap();
        assert!(result(handle).unwrap_err().is_shutdown());
        assert_eq!(futures.count(), 1);
    });
}

#[test]
fn who_sees_a_closed_table_sees_what_came_before() {
    check("who sees a closed table sees what came before", || {
        let live = Arc::new(OwnedTasks::<()>::new());
        let closing = flag();
        let other = thread::spawn({
            let (live, closing) = (live.clone(), closing.clone());
            move || {
                closing.store(true, Relaxed);
                live.close();
            }
        });
        assert!(!live.is_closed() || closing.load(Relaxed));
        other.join().unwrap();
    });
}
