//! Wakes, aborts and panics, while the task is polled elsewhere, or rests.

use std::future::{pending, poll_fn};
use std::panic::resume_unwind;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;

use loom::thread;
use polyexec_core::executor::Ran;
use polyexec_core::{
    AbortHandle,
    modelled::{Drops, check, check_fewer},
};

use crate::common::{Queue, Slot, check_both, flag, result, until};

#[test]
fn wake_and_the_end_of_a_poll() {
    check_both("wake and the end of a poll", |queue| {
        let (up, slot, futures, outputs) = (flag(), Slot::default(), Drops::default(), Drops::default());
        let handle = queue.rest(until([&up], &slot, &futures, &outputs));
        let waker = slot.take();
        let task = queue.woken(&waker);
        let runner = queue.run_elsewhere(task);
        up.store(true, Relaxed);
        waker.wake();
        queue.run_woken();
        runner.join().unwrap();
        drop(result(handle).ok().unwrap());
        assert_eq!((futures.count(), outputs.count()), (1, 1));
    });
}

#[test]
fn wake_and_the_end_of_the_first_poll() {
    check_both("wake and the end of the first poll", |queue| {
        let (up, slot, futures, outputs) = (flag(), Slot::default(), Drops::default(), Drops::default());
        let (task, handle) = queue.spawn(until([&up], &slot, &futures, &outputs));
        let runner = queue.run_elsewhere(task);
        let waker = slot.wait();
        up.store(true, Relaxed);
        waker.wake();
        queue.run_woken();
        runner.join().unwrap();
        drop(result(handle).ok().unwrap());
        assert_eq!((futures.count(), outputs.count()), (1, 1));
    });
}

#[test]
fn two_wakes_from_two_threads() {
    check_both("two wakes from two threads", |queue| {
        let (first, second) = (flag(), flag());
        let (slot, futures, outputs) = (Slot::default(), Drops::default(), Drops::default());
        let handle = queue.rest(until([&first, &second], &slot, &futures, &outputs));
        let waker = slot.take();
        let other = thread::spawn({
            let (queue, waker) = (queue.clone(), waker.clone());
            move || {
                first.store(true, Relaxed);
                waker.wake();
                queue.run_woken();
            }
        });
        second.store(true, Relaxed);
        waker.wake();
        queue.run_woken();
        other.join().unwrap();
        drop(result(handle).ok().unwrap());
        assert_eq!((futures.count(), outputs.count()), (1, 1));
    });
}

/// Three threads: one polls, two wake. Each wake must show what came before it, even where the other one was first.
#[test]
fn two_wakes_during_a_poll() {
    check_fewer("two wakes during a poll", 1, || {
        let queue = Queue::new();
        let (first, second) = (flag(), flag());
        let (slot, futures, outputs) = (Slot::default(), Drops::default(), Drops::default());
        let handle = queue.rest(until([&first, &second], &slot, &futures, &outputs));
        let waker = slot.take();
        let task = queue.woken(&waker);
        let runner = queue.run_elsewhere(task);
        let other = thread::spawn({
            let (queue, waker) = (queue.clone(), waker.clone());
            move || {
                first.store(true, Relaxed);
                waker.wake();
                queue.run_woken();
            }
        });
        second.store(true, Relaxed);
        waker.wake();
        queue.run_woken();
        runner.join().unwrap();
        other.join().unwrap();
        drop(result(handle).ok().unwrap());
        assert_eq!((futures.count(), outputs.count()), (1, 1));
    });
}

/// A task that wakes itself, and is woken from elsewhere meanwhile.
#[test]
fn own_wake_and_another() {
    check_both("own wake and another", |queue| {
        let (up, slot, futures, outputs) = (flag(), Slot::default(), Drops::default(), Drops::default());
        let mut inner = Box::pin(until([&up], &slot, &futures, &outputs));
        let mut own_wakes = 1;
        let (task, handle) = queue.spawn(poll_fn(move |cx| {
            let polled = inner.as_mut().poll(cx);
            if polled.is_pending() && own_wakes > 0 {
                own_wakes -= 1;
                cx.waker().wake_by_ref();
            }
            polled
        }));
        let runner = queue.run_elsewhere(task);
        let waker = slot.wait();
        up.store(true, Relaxed);
        waker.wake();
        queue.run_woken();
        runner.join().unwrap();
        drop(result(handle).ok().unwrap());
        assert_eq!((futures.count(), outputs.count()), (1, 1));
    });
}

#[test]
fn wake_and_abort() {
    check_both("wake and abort", |queue| {
        let (up, slot, futures, outputs) = (flag(), Slot::default(), Drops::default(), Drops::default());
        let handle = queue.rest(until([&up], &slot, &futures, &outputs));
        let waker = slot.take();
        let aborter = thread::spawn({
            let (queue, abort) = (queue.clone(), handle.abort_handle());
            move || {
                abort.abort();
                queue.run_woken();
            }
        });
        up.store(true, Relaxed);
        waker.wake();
        queue.run_woken();
        aborter.join().unwrap();
        // Whichever was first; but over it is.
        match result(handle) {
            Ok(output) => drop(output),
            Err(error) => assert!(error.is_cancelled()),
        }
        assert_eq!((futures.count(), outputs.count()), (1, 1));
    });
}

#[test]
fn wake_and_abort_during_a_poll() {
    check_fewer("wake and abort during a poll", 1, || {
        let queue = Queue::new();
        let (up, slot, futures, outputs) = (flag(), Slot::default(), Drops::default(), Drops::default());
        let handle = queue.rest(until([&up], &slot, &futures, &outputs));
        let waker = slot.take();
        let task = queue.woken(&waker);
        let runner = queue.run_elsewhere(task);
        let aborter = thread::spawn({
            let (queue, abort) = (queue.clone(), handle.abort_handle());
            move || {
                abort.abort();
                queue.run_woken();
            }
        });
        up.store(true, Relaxed);
        waker.wake();
        queue.run_woken();
        runner.join().unwrap();
        aborter.join().unwrap();
        match result(handle) {
            Ok(output) => drop(output),
            Err(error) => assert!(error.is_cancelled()),
        }
        assert_eq!((futures.count(), outputs.count()), (1, 1));
    });
}

/// An abort of a task that stays pending ends it, wherever its poll is.
#[test]
fn abort_and_the_end_of_a_poll() {
    check_both("abort and the end of a poll", |queue| {
        let futures = Drops::default();
        let future = futures.token();
        let (task, handle) = queue.spawn(async move {
            let _future = future;
            pending::<()>().await;
        });
        let runner = queue.run_elsewhere(task);
        handle.abort();
        queue.run_woken();
        runner.join().unwrap();
        assert!(result(handle).unwrap_err().is_cancelled());
        assert_eq!(futures.count(), 1);
    });
}

#[test]
fn abort_and_completion() {
    check_both("abort and completion", |queue| {
        let (futures, outputs) = (Drops::default(), Drops::default());
        let (future, output) = (futures.token(), outputs.token());
        let (task, handle) = queue.spawn(async move {
            let _future = future;
            output
        });
        let runner = queue.run_elsewhere(task);
        handle.abort();
        queue.run_woken();
        runner.join().unwrap();
        match result(handle) {
            Ok(output) => drop(output),
            Err(error) => assert!(error.is_cancelled()),
        }
        assert_eq!((futures.count(), outputs.count()), (1, 1));
    });
}

#[test]
fn two_aborts() {
    check_both("two aborts", |queue| {
        let futures = Drops::default();
        let future = futures.token();
        let handle = queue.rest(async move {
            let _future = future;
            pending::<()>().await;
        });
        let abort = |queue: Queue, handle: AbortHandle| {
            move || {
                handle.abort();
                queue.run_woken();
            }
        };
        let other = thread::spawn(abort(queue.clone(), handle.abort_handle()));
        abort(queue.clone(), handle.abort_handle())();
        other.join().unwrap();
        assert!(result(handle).unwrap_err().is_cancelled());
        assert_eq!(futures.count(), 1);
    });
}

#[test]
fn panic_and_wake() {
    check_both("panic and wake", |queue| {
        let (slot, futures) = (Slot::default(), Drops::default());
        let (sender, future) = (slot.clone(), futures.token());
        let (task, handle) = queue.spawn(poll_fn(move |cx| -> Poll<()> {
            let _future = &future;
            sender.fill(cx);
            resume_unwind(Box::new("meant"))
        }));
        let runner = queue.run_elsewhere(task);
        slot.wait().wake();
        queue.run_woken();
        runner.join().unwrap();
        assert!(result(handle).unwrap_err().is_panic());
        assert_eq!(futures.count(), 1);
    });
}

#[test]
fn panic_and_the_drop_of_the_handle() {
    check("panic and the drop of the handle", || {
        let queue = Queue::new();
        let payloads = Drops::default();
        let payload = payloads.token();
        let (task, handle) = queue.spawn(async move {
            resume_unwind(Box::new(payload));
        });
        let runner = queue.run_elsewhere(task);
        drop(handle);
        runner.join().unwrap();
        assert_eq!(payloads.count(), 1);
    });
}

/// A task's `Task` is dropped by one thread while another wakes, or aborts, it.
#[test]
fn a_task_that_is_dropped_and_a_wake() {
    check("a task that is dropped and a wake", || {
        let queue = Queue::new();
        let (up, slot, futures, outputs) = (flag(), Slot::default(), Drops::default(), Drops::default());
        let handle = queue.rest(until([&up], &slot, &futures, &outputs));
        let waker = slot.take();
        let task = queue.woken(&waker);
        let other = thread::spawn(move || drop(task));
        waker.wake();
        assert!(queue.take().is_none(), "there were two");
        other.join().unwrap();
        assert!(result(handle).err().unwrap().is_shutdown());
        assert_eq!((futures.count(), outputs.count()), (1, 1));
    });
}

/// A future that was polled elsewhere before is dropped with its `Task`.
#[test]
fn a_poll_elsewhere_and_the_drop_of_the_task() {
    check("a poll elsewhere and the drop of the task", || {
        let queue = Queue::new();
        let (up, slot, futures, outputs) = (flag(), Slot::default(), Drops::default(), Drops::default());
        let (task, handle) = queue.spawn(until([&up], &slot, &futures, &outputs));
        let runner = thread::spawn({
            let queue = queue.clone();
            move || match queue.step(task) {
                Ran::Again(task) => drop(task),
                Ran::Waiting | Ran::Finished => {}
            }
        });
        slot.wait().wake();
        drop(queue.take());
        runner.join().unwrap();
        assert!(result(handle).err().unwrap().is_shutdown());
        assert_eq!((futures.count(), outputs.count()), (1, 1));
    });
}
