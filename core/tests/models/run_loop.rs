//! A run loop's thread, and threads that notify it: it sleeps through no notification, neither by itself nor in another
//! executor's task.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc as Plain, Mutex as Invisible};
use std::task::Poll;

use loom::thread;
use polyexec_core::executor::{Rejected, RunLoop, Task, context, park_on};
use polyexec_core::{
    Executor, Handle,
    modelled::{AtomicBool, check, check_fewer},
};

use crate::common::flag;

/// Drives until `run_one` has found all flags. Another thread raises each, and notifies. `within`: as a task of another
/// executor.
fn found_by_run_one<const N: usize>(flags: [loom::sync::Arc<AtomicBool>; N], within: bool) {
    let run_loop = RunLoop::new();
    let raises = thread::spawn({
        let (run_loop, flags) = (run_loop.clone(), flags.clone());
        move || {
            for flag in flags {
                flag.store(true, Relaxed);
                run_loop.notify();
            }
        }
    });
    // Each flag is a task; the last one wakes the future.
    let mut to_find: VecDeque<_> = flags.into();
    let waker = Plain::new(Invisible::new(None::<std::task::Waker>));
    let is_over = Plain::new(Invisible::new(false));
    let run_one = {
        let (waker, is_over) = (waker.clone(), is_over.clone());
        move || {
            let is_ready = to_find.front().is_some_and(|flag| flag.load(Relaxed));
            if is_ready && to_find.pop_front().is_some() && to_find.is_empty() {
                *is_over.lock().unwrap() = true;
                let waker = waker.lock().unwrap().take();
                waker.into_iter().for_each(std::task::Waker::wake);
            }
            is_ready
        }
    };
    let future = poll_fn(|cx| {
        *waker.lock().unwrap() = Some(cx.waker().clone());
        if *is_over.lock().unwrap() { Poll::Ready(()) } else { Poll::Pending }
    });
    if within {
        park_on(run_loop.drive_within(future, || context::reside(Handle::new(Around::default())), run_one));
    } else {
        run_loop.drive(pin!(future), run_one);
    }
    raises.join().unwrap();
}

#[test]
fn no_notification_is_slept_through() {
    check("no notification is slept through", || found_by_run_one([flag(), flag()], false));
}

/// The executor of the task that this thread is in.
#[derive(Default)]
struct Around {
    /// When the task first waits, another one on the same thread raises the flag and notifies the run loop.
    makes_ready: Invisible<Option<(RunLoop, loom::sync::Arc<AtomicBool>)>>,
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
        found_by_run_one([flag(), flag()], false);
    });
}

#[test]
fn no_notification_is_slept_through_within_another_executor() {
    check_fewer("no notification is slept through within another executor", 1, || {
        found_by_run_one([flag(), flag()], true);
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
        let notifies = thread::spawn({
            let (run_loop, foreign) = (run_loop.clone(), foreign.clone());
            move || {
                foreign.store(true, Relaxed);
                run_loop.notify();
            }
        });
        let mut to_find = vec![own, foreign];
        let is_over = Plain::new(Invisible::new((false, None::<std::task::Waker>)));
        let run_one = || {
            let is_ready = to_find.last().is_some_and(|flag| flag.load(Relaxed));
            if is_ready && to_find.pop().is_some() && to_find.is_empty() {
                let mut is_over = is_over.lock().unwrap();
                is_over.0 = true;
                is_over.1.take().into_iter().for_each(std::task::Waker::wake);
            }
            is_ready
        };
        let future = poll_fn(|cx| {
            let mut is_over = is_over.lock().unwrap();
            is_over.1 = Some(cx.waker().clone());
            if is_over.0 { Poll::Ready(()) } else { Poll::Pending }
        });
        run_loop.drive(pin!(future), run_one);
        notifies.join().unwrap();
    });
}
