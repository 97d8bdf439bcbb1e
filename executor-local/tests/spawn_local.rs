//! The free `spawn_local`, and children of a scope that aren't `Send`.

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::thread;

use polyexec_conformance::watched;
use polyexec_core::{Executor, JoinHandle, block_on};
use polyexec_futures::yield_now;
use polyexec_local::{Local, spawn_local};

#[test]
fn the_free_spawn_local_finds_the_executor_of_its_caller() {
    watched!();
    let local = Local::new();
    let trace = Rc::new(RefCell::new(Vec::new()));
    let log = |event| {
        let trace = trace.clone();
        async move { trace.borrow_mut().push(event) }
    };
    // In a `block_on`, in a task, and in a task that blocks in another executor.
    let (first, second, third) = (log("block_on"), log("task"), log("nested"));
    local.block_on(async {
        spawn_local(first).await.unwrap();
        let outer = spawn_local(async move {
            spawn_local(second).await.unwrap();
            block_on(async { spawn_local(third).await.unwrap() });
        });
        outer.await.unwrap();
    });
    assert_eq!(*trace.borrow(), ["block_on", "task", "nested"]);

    // In a destructor of the shutdown, where it is refused.
    let refused = Rc::new(Cell::new(None));
    let sees = refused.clone();
    struct Spawns(Rc<Cell<Option<JoinHandle<()>>>>);
    impl Drop for Spawns {
        fn drop(&mut self) {
            self.0.set(Some(spawn_local(async {})));
        }
    }
    let spawns = Spawns(sees);
    local
        .spawn_local(async move {
            pending::<()>().await;
            drop(spawns);
        })
        .detach();
    local.run_until_stalled();
    drop(local);
    assert!(refused.take().unwrap().join().unwrap_err().is_shutdown());
}

#[test]
fn off_a_local_the_free_spawn_local_says_so() {
    watched!();
    let message = |run: &dyn Fn()| {
        let panic = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
        panic.downcast_ref::<&str>().map(ToString::to_string).or(panic.downcast_ref::<String>().cloned()).unwrap()
    };
    let outside = message(&|| drop(spawn_local(async {})));
    assert!(outside.contains("outside of any executor"), "{outside}");
    let local = Local::new();
    let handle = local.handle();
    let elsewhere = thread::scope(|threads| {
        let foreign = threads.spawn(|| message(&|| handle.block_on(async { drop(spawn_local(async {})) })));
        foreign.join().unwrap()
    });
    assert!(elsewhere.contains("tasks on other threads"), "{elsewhere}");
}

#[test]
fn children_of_a_scope_need_not_be_send() {
    watched!();
    let local = Local::new();
    let (count, text) = (Cell::new(0), Rc::new("text".to_owned()));
    let length = local.scope(|s| {
        for _ in 0..3 {
            s.spawn_local(async {
                yield_now().await;
                count.set(count.get() + 1);
            });
        }
        let child = s.spawn_local(async { Rc::new(text.len()) });
        // A task that isn't a child runs meanwhile, too.
        local.spawn(async {}).join().unwrap();
        child.join().unwrap()
    });
    assert_eq!((count.get(), *length), (3, 4));

    // Not from another thread.
    let handle = local.handle();
    thread::scope(|threads| {
        let refused =
            threads.spawn(|| catch_unwind(AssertUnwindSafe(|| handle.scope(|s| drop(s.spawn_local(async {}))))));
        assert!(refused.join().unwrap().is_err());
    });
}
