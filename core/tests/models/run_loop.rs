//! A run loop's thread, and threads that notify it: it sleeps through no notification, neither by itself nor in another
//! executor's task.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::slice::from_ref;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc as Plain, Mutex as Invisible};
use std::task::{Poll, Waker};

use loom::sync::Arc;
use loom::thread;
use polyexec_core::executor::{Rejected, RunLoop, Task, context, park_on};
use polyexec_core::{
    Executor, Handle,
    modelled::{AtomicBool, check, check_fewer},
};

use crate::common::{flag, raise};

/// Drives until `run_one` has found all flags, in this order. `within`: as a task of another executor.
fn find(flags: Vec<Arc<AtomicBool>>, run_loop: &RunLoop, within: bool) {
    // Each flag is a task; the last one wakes the future.
    let mut to_find = VecDeque::from(flags);
    let over = Plain::new(Invisible::new((false, None::<Waker>)));
    let run_one = {
        let over = over.clone();
        move || {
            let is_ready = to_find.front().is_some_and(|flag| flag.load(Relaxed));
            if is_ready && to_find.pop_front().is_some() && to_find.is_empty() {
                let mut over = over.lock().unwrap();
                over.0 = true;
                let waker = over.1.take();
                drop(over);
                waker.into_iter().for_each(Waker::wake);
            }
            is_ready
        }
    };
    let future = poll_fn(|cx| {
        let mut over = over.lock().unwrap();
        over.1 = Some(cx.waker().clone());
        if over.0 { Poll::Ready(()) } else { Poll::Pending }
    });
    if within {
        park_on(run_loop.drive_within(future, || context::reside(Handle::new(Around::default())), run_one));
    } else {
        run_loop.drive(pin!(future), run_one);
    }
}

/// Another thread raises the flags, and notifies after each.
fn raise_and_notify(flags: &[Arc<AtomicBool>], run_loop: &RunLoop) -> thread::JoinHandle<()> {
    let run_loop = run_loop.clone();
    raise(flags, move || run_loop.notify())
}

fn found_by_run_one(within: bool) {
    let (run_loop, flags) = (RunLoop::new(), vec![flag(), flag()]);
    let raises = raise_and_notify(&flags, &run_loop);
    find(flags, &run_loop, within);
    raises.join().unwrap();
}

#[test]
fn no_notification_is_slept_through() {
    check("no notification is slept through", || found_by_run_one(false));
}

/// The executor of the task that this thread is in.
#[derive(Default)]
struct Around {
    /// When the task first waits, another one on the same thread raises the flag and notifies the run loop.
    makes_ready: Invisible<Option<(RunLoop, Arc<AtomicBool>)>>,
}

impl Executor for Around {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        Err(Rejected::shut_down(task))
    }

    fn schedule(&self, task: Task) {
        drop(task);
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        park_on(future);
    }

    fn wait(&self, mut future: Pin<&mut dyn Future<Output = ()>>) {
        park_on(poll_fn(|cx| {
            let polled = future.as_mut().poll(cx);
            if polled.is_pending()
                && let Some((run_loop, flag)) = self.makes_ready.lock().unwrap().take()
            {
                flag.store(true, Relaxed);
                run_loop.notify_here();
            }
            polled
        }));
    }
}

#[test]
fn no_notification_is_slept_through_in_a_task() {
    check_fewer("no notification is slept through in a task", 1, || {
        let _around = context::reside(Handle::new(Around::default()));
        let _here = context::reside(Handle::new(Around::default()));
        found_by_run_one(false);
    });
}

#[test]
fn no_notification_is_slept_through_within_another_executor() {
    check_fewer("no notification is slept through within another executor", 1, || {
        found_by_run_one(true);
    });
}

#[test]
fn what_the_task_around_makes_ready_is_not_slept_through() {
    check("what the task around makes ready is not slept through", || {
        let run_loop = RunLoop::new();
        let [foreign, own] = [flag(), flag()];
        let makes_ready = Invisible::new(Some((run_loop.clone(), own.clone())));
        let _around = context::reside(Handle::new(Around { makes_ready }));
        let _here = context::reside(Handle::new(Around::default()));
        let notifies = raise_and_notify(from_ref(&foreign), &run_loop);
        find(vec![foreign, own], &run_loop, false);
        notifies.join().unwrap();
    });
}
