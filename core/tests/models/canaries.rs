//! Faults that loom must find. `verify/loom` runs each, and expects it to fail.

use std::future::poll_fn;
use std::sync::atomic::Ordering::SeqCst;
use std::task::Poll;

use loom::sync::Arc;
use loom::thread;
use polyexec_core::executor::{Parker, Ran};
use polyexec_core::{Executor, modelled::check};

use crate::common::{Queue, flag};

/// The queue of these models orders nothing, so a task that woke itself may not go through it to another thread.
#[test]
#[ignore = "fails, as it must"]
fn a_queue_that_publishes_nothing() {
    check("canary: a queue that publishes nothing", || {
        let queue = Queue::new();
        let (task, handle) = queue.spawn(poll_fn(|cx| {
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        }));
        let Ran::Again(task) = queue.step(task) else { unreachable!("it has woken itself") };
        let runner = thread::spawn({
            let queue = queue.clone();
            move || match queue.step(task) {
                Ran::Again(task) => queue.schedule(task),
                Ran::Waiting | Ran::Finished => unreachable!("it has woken itself"),
            }
        });
        let task = loop {
            match queue.take() {
                Some(task) => break task,
                None => thread::yield_now(),
            }
        };
        drop(queue.step(task));
        runner.join().unwrap();
        drop(handle);
    });
}

/// Looks first, and sets its flag only then: a caller in between sees no sleeper.
#[test]
#[ignore = "fails, as it must"]
fn a_sleeper_that_does_not_look_again() {
    check("canary: a sleeper that does not look again", || {
        let (parker, ready, sleeps) = (Arc::new(Parker::new()), flag(), flag());
        let sleeper = thread::spawn({
            let (parker, ready, sleeps) = (parker.clone(), ready.clone(), sleeps.clone());
            move || {
                if !ready.load(SeqCst) {
                    sleeps.store(true, SeqCst);
                    parker.park();
                }
            }
        });
        ready.store(true, SeqCst);
        if sleeps.load(SeqCst) {
            parker.unpark();
        }
        sleeper.join().unwrap();
    });
}
