//! What sets this executor apart: futures that aren't `Send`, an order of polls, and an owner thread.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::thread;

use futures_task::{FutureObj, LocalFutureObj, LocalSpawn, Spawn};
use polyexec_conformance::probe::{OnDrop, WakerSlot};
use polyexec_conformance::watched;
use polyexec_core::{Executor, block_on};
use polyexec_futures::yield_now;
use polyexec_local::{Local, LocalHandle};

type Trace = Rc<RefCell<Vec<&'static str>>>;

/// Pending until the waker that it leaves in the slot is called.
async fn wait_once(slot: WakerSlot) {
    let mut waits = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut waits, true) {
            return Poll::Ready(());
        }
        slot.put(cx.waker().clone());
        Poll::Pending
    })
    .await;
}

fn wake_when_there(slot: &WakerSlot) {
    loop {
        match slot.take() {
            Some(waker) => return waker.wake(),
            None => thread::yield_now(),
        }
    }
}

#[test]
fn tasks_run_in_the_order_in_which_they_became_ready() {
    watched!();
    let local = Local::new();
    let trace = Trace::default();
    for (first, second) in [("a1", "a2"), ("b1", "b2")] {
        let trace = trace.clone();
        drop(local.spawn_local(async move {
            trace.borrow_mut().push(first);
            yield_now().await;
            trace.borrow_mut().push(second);
        }));
    }
    local.run_until_stalled();
    assert_eq!(*trace.borrow(), ["a1", "b1", "a2", "b2"]);
}

#[test]
fn it_runs_until_no_task_is_left() {
    watched!();
    let local = Local::new();
    local.run();
    for _ in 0..100 {
        let trace = Trace::default();
        let slot = WakerSlot::new();
        let (outer, inner, handle, waits) = (trace.clone(), trace.clone(), local.handle(), slot.clone());
        drop(local.spawn_local(async move {
            yield_now().await;
            outer.borrow_mut().push("outer");
            drop(handle.spawn_local(async move {
                wait_once(waits).await;
                inner.borrow_mut().push("inner");
            }));
        }));
        // Another thread spawns the last task while this one waits for the others.
        let handle = local.handle();
        let foreign = thread::spawn(move || {
            wake_when_there(&slot);
            handle.spawn(async { 42 })
        });
        local.run();
        assert_eq!(*trace.borrow(), ["outer", "inner"]);
        let last = foreign.join().unwrap();
        local.run();
        assert!(last.is_finished());
    }
}

#[test]
fn another_executor_runs_it_between_its_own_tasks() {
    watched!();
    let (outer, inner) = (Local::new(), Rc::new(Local::new()));
    let trace = Trace::default();
    let (bystander, log) = (trace.clone(), trace.clone());
    // Both tasks are always ready, and neither starves the other.
    let restless = inner.spawn_local(async {
        loop {
            yield_now().await;
        }
    });
    let task = inner.spawn_local(async move {
        yield_now().await;
        log.borrow_mut().push("inner");
        6
    });
    let inside = inner.clone();
    let within = outer.spawn_local(async move { inside.run_until(task).await.unwrap() * 7 });
    drop(outer.spawn_local(async move { bystander.borrow_mut().push("bystander") }));
    assert_eq!(outer.block_on(within).unwrap(), 42);
    trace.borrow_mut().sort_unstable();
    assert_eq!(*trace.borrow(), ["bystander", "inner"]);
    assert!(!restless.is_finished());
}

#[test]
fn within_another_executor_it_is_woken_from_anywhere() {
    watched!();
    let local = Local::new();
    for _ in 0..300 {
        let handle = local.handle();
        let foreign = thread::spawn(move || handle.spawn(async { 41 }).join().unwrap() + 1);
        let slot = WakerSlot::new();
        let waits = slot.clone();
        let task = local.spawn_local(async move { wait_once(waits).await });
        let waker = thread::spawn(move || wake_when_there(&slot));
        // Two of them at once: each may run the other's tasks.
        let nested = local.handle();
        let both = async {
            let first = Box::pin(local.run_until(task));
            let second = Box::pin(local.run_until(async {
                // A task that blocks runs the others inside it.
                let other = nested.spawn_local(async { 7 });
                nested.spawn_local(async move { other.join().unwrap() }).await.unwrap()
            }));
            futures_lite::future::zip(first, second).await
        };
        let (first, second) = block_on(both);
        first.unwrap();
        assert_eq!(second, 7);
        block_on(local.run_until(local.finished()));
        waker.join().unwrap();
        // The foreign thread's task may yet come.
        while !foreign.is_finished() {
            local.run_until_stalled();
            thread::yield_now();
        }
        assert_eq!(foreign.join().unwrap(), 42);
    }
}

#[test]
fn given_up_it_leaves_its_tasks_for_the_next_call() {
    watched!();
    let local = Local::new();
    let task = local.spawn_local(async {
        yield_now().await;
        assert!(polyexec_core::Handle::current().is_some());
        42
    });
    let given_up = futures_lite::future::poll_once(local.run_until(pending::<()>()));
    assert!(block_on(given_up).is_none());
    assert!(polyexec_core::Handle::current().is_none());
    assert_eq!(local.block_on(task).unwrap(), 42);
}

#[test]
fn run_until_stalled_returns_with_tasks_that_wait() {
    watched!();
    let local = Local::new();
    let polls = Rc::new(Cell::new(0));
    let counted = polls.clone();
    let waiting = local.spawn_local(async move {
        counted.set(counted.get() + 1);
        pending::<()>().await;
    });
    local.run_until_stalled();
    local.run_until_stalled();
    assert_eq!(polls.get(), 1);
    assert!(!waiting.is_finished());
    waiting.abort();
    local.run_until_stalled();
    assert!(block_on(waiting).unwrap_err().is_cancelled());
}

#[test]
fn an_output_need_not_be_send() {
    watched!();
    let local = Local::new();
    let shared = local.block_on(local.spawn_local(async { Rc::new(7) })).unwrap();
    assert_eq!(*shared, 7);
}

#[test]
fn a_task_spawns_local_tasks_through_the_handle() {
    watched!();
    let local = Local::new();
    let handle = local.handle();
    let sum = local.spawn_local(async move {
        let part = Rc::new(20);
        let other = part.clone();
        *part + handle.spawn_local(async move { *other + 2 }).await.unwrap()
    });
    assert_eq!(local.block_on(sum).unwrap(), 42);
}

#[test]
fn p52_local_futures_are_dropped_on_their_home_thread() {
    watched!();
    let home = thread::current().id();
    let dropped_on = || {
        let place = Rc::new(Cell::new(None));
        let noted = place.clone();
        // Not `Send`, like the future that owns it.
        struct Note(Rc<Cell<Option<thread::ThreadId>>>);
        impl Drop for Note {
            fn drop(&mut self) {
                self.0.set(Some(thread::current().id()));
            }
        }
        (place, Note(noted))
    };

    // An idle task that owns the note, and the slot of its waker.
    let resting = |local: &Local, note| {
        let slot = WakerSlot::new();
        let put = slot.clone();
        let task = local.spawn_local(std::future::poll_fn(move |cx| {
            let _owned = &note;
            put.put(cx.waker().clone());
            Poll::<()>::Pending
        }));
        (task, slot)
    };

    // The last waker, and the last handle of any kind, die on another thread: the executor still has the task.
    let local = Local::new();
    let (place, note) = dropped_on();
    let (task, slot) = resting(&local, note);
    local.run_until_stalled();
    let aborter = task.abort_handle();
    drop(task);
    let waker = slot.take().expect("it was polled");
    thread::spawn(move || {
        waker.wake_by_ref();
        aborter.abort();
        drop(waker);
    })
    .join()
    .unwrap();
    assert_eq!(place.get(), None, "dropped by the aborter");
    local.run_until_stalled();
    assert_eq!(place.get(), Some(home));

    // The executor is dropped first. A waker on another thread is the last reference to the task.
    let (place, note) = dropped_on();
    let (task, slot) = resting(&local, note);
    drop(task);
    local.run_until_stalled();
    let waker = slot.take().expect("it was polled");
    drop(local);
    assert_eq!(place.get(), Some(home));
    thread::spawn(move || waker.wake()).join().unwrap();
}

#[test]
fn p55_the_owner_may_be_dropped_in_its_own_task() {
    watched!();
    let local = Rc::new(RefCell::new(Some(Local::new())));
    let handle = local.borrow().as_ref().unwrap().handle();
    let other = handle.spawn(pending::<()>());
    let owner = local.clone();
    let own = handle.spawn_local(async move {
        drop(owner.take());
        pending::<()>().await;
    });
    assert!(handle.block_on(own).unwrap_err().is_shutdown());
    assert!(block_on(other).unwrap_err().is_shutdown());
    assert!(handle.try_spawn(async {}).unwrap_err().is_shutdown());
}

#[test]
fn spawn_local_on_another_thread_panics_and_says_why() {
    watched!();
    let local = Local::new();
    let handle = local.handle();
    assert!(handle.is_owner_thread());
    let message = thread::spawn(move || {
        assert!(!handle.is_owner_thread());
        let asked = catch_unwind(AssertUnwindSafe(|| drop(handle.spawn_local(async {}))));
        *asked.unwrap_err().downcast::<&str>().unwrap()
    })
    .join()
    .unwrap();
    assert!(message.contains("doesn't own the `Local`"), "{message}");
}

#[test]
fn other_threads_spawn_and_wait_while_the_owner_thread_drives() {
    watched!();
    let local = Local::new();
    let handle = local.handle();
    let home = thread::current().id();
    let afar = thread::spawn(move || handle.block_on(handle.spawn(async { thread::current().id() })).unwrap());
    let handle = local.handle();
    let done = local.block_on(async move {
        // Ends when the other thread has its answer, and drops its handle.
        while !afar.is_finished() {
            yield_now().await;
        }
        drop(handle);
        afar.join().unwrap()
    });
    assert_eq!(done, home);
}

#[test]
fn another_thread_that_waits_runs_no_tasks() {
    watched!();
    let local = Local::new();
    let handle = local.handle();
    let polls = Rc::new(Cell::new(0));
    let counted = polls.clone();
    drop(local.spawn_local(async move { counted.set(counted.get() + 1) }));
    thread::spawn(move || handle.wait(std::pin::pin!(yield_now()))).join().unwrap();
    assert_eq!(polls.get(), 0);
    local.run_until_stalled();
    assert_eq!(polls.get(), 1);
}

#[test]
fn a_task_that_waits_for_another_lets_it_run() {
    watched!();
    let local = Local::new();
    let handle = local.handle();
    let outer = local.spawn(async move { handle.spawn(async { 20 }).join().unwrap() + 22 });
    assert_eq!(local.block_on(outer).unwrap(), 42);
}

#[test]
fn it_and_its_handle_are_executors_for_the_futures_crates() {
    watched!();
    let local = Local::new();
    let count = Rc::new(Cell::new(0));
    let add = count.clone();
    local.spawn_local_obj(LocalFutureObj::new(Box::new(async move { add.set(add.get() + 1) }))).unwrap();
    local.spawn_obj(FutureObj::new(Box::new(async {}))).unwrap();
    local.handle().spawn_obj(FutureObj::new(Box::new(async {}))).unwrap();
    let add = count.clone();
    let handle = local.handle();
    handle.spawn_local_obj(LocalFutureObj::new(Box::new(async move { add.set(add.get() + 1) }))).unwrap();
    assert!(handle.status_local().is_ok() && local.status_local().is_ok());
    local.run_until_stalled();
    assert_eq!(count.get(), 2);

    // On another thread the future can't be handed over, so it is dropped.
    let elsewhere = handle.clone();
    let refused = thread::spawn(move || {
        let refused = elsewhere.spawn_local_obj(LocalFutureObj::new(Box::new(async {})));
        (refused, elsewhere.status_local())
    });
    let (refused, status) = refused.join().unwrap();
    assert!(refused.unwrap_err().is_shutdown() && status.is_err());
    drop(local);
    assert!(handle.spawn_local_obj(LocalFutureObj::new(Box::new(async {}))).unwrap_err().is_shutdown());
    assert!(handle.spawn_obj(FutureObj::new(Box::new(async {}))).unwrap_err().is_shutdown());
}

#[test]
fn a_dropped_future_may_spawn_in_vain() {
    watched!();
    let local = Local::new();
    let handle = local.handle();
    let (sender, refusals) = std::sync::mpsc::channel();
    let spawns = OnDrop::new(move || {
        let refused = handle.try_spawn(async {}).is_err_and(|error| error.is_shutdown());
        sender.send(refused).unwrap();
    });
    drop(local.spawn_local(async move {
        let _spawns = spawns;
        pending::<()>().await;
    }));
    local.run_until_stalled();
    drop(local);
    assert_eq!(refusals.try_recv(), Ok(true));
}

/// Each task waits for one behind all others, which runs even if not all blocked tasks fit on the stack.
#[test]
fn thousands_of_tasks_may_block_for_what_they_spawn() {
    const TASKS: u64 = 2_000;
    watched!();
    let local = Local::new();
    let joins = |n| {
        let handle = local.handle();
        local.spawn(async move { handle.spawn(async move { n }).join().unwrap() })
    };
    let tasks: Vec<_> = (0..TASKS).map(joins).collect();
    let mut sum = 0;
    for task in tasks {
        sum += local.block_on(task).unwrap();
    }
    assert_eq!(sum, TASKS * (TASKS - 1) / 2);
}

/// Where tasks block deep inside each other, the newest run first. A task that wakes itself for ever doesn't starve the others.
#[test]
fn deep_inside_of_tasks_that_block_nobody_starves() {
    fn deep(handle: LocalHandle, left: u32) -> Pin<Box<dyn Future<Output = u32> + Send>> {
        Box::pin(async move {
            if left > 0 {
                return handle.spawn(deep(handle.clone(), left - 1)).join().unwrap() + 1;
            }
            let older = handle.spawn(async { 1 });
            let busy = handle.spawn(async {
                loop {
                    yield_now().await;
                }
            });
            let one = older.join().unwrap();
            busy.abort();
            one
        })
    }
    watched!();
    let local = Local::new();
    assert_eq!(local.block_on(local.spawn(deep(local.handle(), 40))).unwrap(), 41);
}
