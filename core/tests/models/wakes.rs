//! Wakes, aborts and panics, while another thread polls the task, or while it is idle.

use loom::thread;
use polyexec_core::executor::Ran;
use polyexec_core::modelled::{Drops, check};
use std::panic::resume_unwind;

use crate::common::{Queue, Slot, flag, result, until};
use crate::scenario::scenarios;

scenarios! {
    wake_and_the_end_of_a_poll: Plain InTable, Woken(Until(1)), [Run, Wake] => [Output];
    wake_and_the_end_of_the_first_poll: Plain InTable, New(Until(1)), [Run, Wake] => [Output];
    two_wakes_from_two_threads: Plain InTable, Idle(Until(2)), [Wake, Wake] => [Output];
    /// Each wake must show what came before it, even where the other one was first.
    two_wakes_during_a_poll, 1 fewer: Plain, Woken(Until(2)), [Run, Wake, Wake] => [Output];
    own_wake_and_another: Plain InTable, New(UntilWakingItself), [Run, Wake] => [Output];
    wake_and_abort: Plain InTable, Idle(Until(1)), [Abort, Wake] => [Output, Cancelled];
    wake_and_abort_during_a_poll, 1 fewer: Plain, Woken(Until(1)), [Run, Abort, Wake] => [Output, Cancelled];
    /// An abort of a task that stays pending ends it, wherever its poll is.
    abort_and_the_end_of_a_poll: Plain InTable, New(Never), [Run, Abort] => [Cancelled];
    abort_and_completion: Plain InTable, New(Ready), [Run, Abort] => [Output, Cancelled];
    two_aborts: Plain InTable, Idle(Never), [Abort, Abort] => [Cancelled];
    panic_and_wake: Plain InTable, New(Panics), [Run, WakeForNothing] => [Panicked];
    a_task_that_is_dropped_and_a_wake: Plain, Woken(Until(1)), [DropTask, WakeInVain] => [ShutDown];
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

/// A future that was polled on another thread is dropped with its `Task`.
#[test]
fn a_poll_elsewhere_and_the_drop_of_the_task() {
    check("a poll elsewhere and the drop of the task", || {
        let queue = Queue::new();
        let (slot, futures, outputs) = (Slot::default(), Drops::default(), Drops::default());
        let (task, handle) = queue.spawn(until(&[flag()], &slot, &futures, &outputs));
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
