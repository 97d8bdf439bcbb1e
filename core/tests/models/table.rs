//! The table of idle tasks, while it is closed.

use std::sync::atomic::Ordering::Relaxed;
use std::task::{Poll, Waker};

use loom::sync::Arc;
use loom::thread;
use polyexec_core::executor::OwnedTasks;
use polyexec_core::modelled::{Drops, check};

use crate::common::{Queue, Slot, flag, poll, result, until};
use crate::scenario::scenarios;

scenarios! {
    close_and_wake: InTable, Idle(Until(1)), [Wake, Close] => [Output, ShutDown];
    close_and_abort: InTable, Idle(Never), [Abort, Close] => [ShutDown, Cancelled];
    close_and_a_task_that_becomes_idle: InTable, New(Never), [Run, Close] => [ShutDown];
    /// The task was idle before, so the table knows it already while it is polled again.
    close_and_the_end_of_a_poll: InTable, Woken(Until(1)), [Run, Close] => [ShutDown];
    close_and_the_drop_of_the_handle: InTable, Idle(Never), [DropHandle, Close] => [];
    /// The task is on its way through a queue when the shutdown finds it in the table.
    close_and_wake_and_another_runner, 1 fewer: InTable, Woken(Until(1)), [Run, WakeForNothing, Close] => [ShutDown];
    close_twice: InTable, Idle(Never), [Close, Close] => [ShutDown];
}

/// From its completion on the result belongs to the handle, whatever else ends tasks.
#[test]
fn close_and_completion() {
    check("close and completion", || {
        let queue = Queue::with_table();
        let (up, slot, futures, outputs) = (flag(), Slot::default(), Drops::default(), Drops::default());
        let mut handle = queue.idle(until(&[up.clone()], &slot, &futures, &outputs));
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
        queue.table().close();
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
fn a_closed_table_shows_what_came_before() {
    check("a closed table shows what came before", || {
        let table = Arc::new(OwnedTasks::<()>::new());
        let closing = flag();
        let other = thread::spawn({
            let (table, closing) = (table.clone(), closing.clone());
            move || {
                closing.store(true, Relaxed);
                table.close();
            }
        });
        assert!(!table.is_closed() || closing.load(Relaxed));
        other.join().unwrap();
    });
}
