//! Shutdowns while tasks block on others that no worker will run, and shutdowns with a time limit.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use polyexec_conformance::probe::{Gate, OnDrop, Tally, carrying};
use polyexec_conformance::watched;
use polyexec_core::{Executor, TaskInfo, block_in_place, task};
use polyexec_pool::Pool;

fn pool(workers: usize, spare_threads: usize) -> Pool {
    Pool::builder().worker_threads(workers).spare_threads(spare_threads).build().unwrap()
}

/// The task that waits still has its worker, with the other task in its queue, and no thread takes that worker over.
#[test]
fn a_task_that_joins_while_the_pool_shuts_down_goes_on() {
    watched!();
    for workers in [1, 2].repeat(50) {
        let pool = pool(workers, 512);
        let (handle, spawned, is_over) = (pool.handle(), Gate::new(), Gate::new());
        let (open, opened) = (spawned.clone(), is_over.clone());
        let task = pool.spawn(async move {
            // In the queue and in the LIFO slot.
            let children: Vec<_> = (0..3).map(|_| handle.spawn(async {})).collect();
            open.open();
            opened.wait();
            children.into_iter().map(|child| child.join()).collect::<Vec<_>>()
        });
        spawned.wait();
        // On a single worker this waits in the injector, which the shutdown empties.
        let last = OnDrop::new(move || is_over.open());
        drop(pool.spawn(async move { drop(last) }));
        drop(pool);
        task.join().expect("it is being polled when the pool shuts down, and ends as it would");
    }
}

/// Without spare threads, the worker of the task that waits has no thread.
#[test]
fn a_task_that_joins_one_without_a_thread_goes_on_when_the_pool_shuts_down() {
    watched!();
    let pool = pool(1, 0);
    let (handle, joins) = (pool.handle(), Gate::new());
    let open = joins.clone();
    let task = pool.spawn(async move {
        let children: Vec<_> = (0..3).map(|_| handle.spawn(async {})).collect();
        block_in_place(|| {
            open.open();
            children.into_iter().map(|child| child.join()).collect::<Vec<_>>()
        })
    });
    joins.wait();
    drop(pool);
    let ends = task.join().expect("it is being polled when the pool shuts down, and ends as it would");
    assert!(ends.into_iter().all(|end| end.unwrap_err().is_shutdown()));
}

/// Always too short.
const BRIEF: Duration = Duration::from_millis(10);

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(3600);

#[test]
fn a_shutdown_with_a_limit_names_tasks_that_have_waited_and_counts_the_others() {
    watched!();
    for workers in [1, 2, 4].repeat(10) {
        let (pool, dropped) = (pool(workers, 512), Tally::new());
        let (go, gate) = (Gate::new(), Gate::new());
        let begun = [Gate::new(), Gate::new()];
        let known = {
            let (go, gate, begun) = (go.clone(), gate.clone(), begun[0].clone());
            task::Builder::new().name("known").spawn_on(&pool.handle(), async move {
                go.opened().await;
                begun.open();
                gate.wait();
                1
            })
        };
        let resting = pool.spawn(carrying(dropped.on_drop(), pending::<()>()));
        // Both wait: the pool knows them.
        while !format!("{pool:?}").contains("OwnedTasks { len: 2 }") {
            thread::yield_now();
        }
        go.open();
        begun[0].wait();
        let unknown = {
            let (gate, begun) = (gate.clone(), begun[1].clone());
            pool.spawn(async move {
                begun.open();
                block_in_place(|| gate.wait());
                2
            })
        };
        begun[1].wait();
        let handle = pool.handle();

        let left = pool.shutdown_timeout(BRIEF).unwrap_err();
        let names: Vec<_> = left.tasks().iter().map(TaskInfo::name).collect();
        assert_eq!(names, [Some("known")], "{left}");
        assert!(left.threads() >= 2, "{left}");
        assert!(resting.join().unwrap_err().is_shutdown());
        assert_eq!(dropped.get(), 1);
        assert!(handle.spawn(async {}).join().unwrap_err().is_shutdown());

        gate.open();
        assert_eq!((known.join().unwrap(), unknown.join().unwrap()), (1, 2));
    }
}

#[test]
fn a_shutdown_with_a_limit_waits_no_longer_than_it_must() {
    watched!();
    for workers in [1, 2].repeat(20) {
        let (pool, gate, begun) = (pool(workers, 512), Gate::new(), Gate::new());
        let (opened, begin) = (gate.clone(), begun.clone());
        let polled = pool.spawn(async move {
            begin.open();
            opened.wait();
            7
        });
        let resting = pool.spawn(pending::<()>());
        begun.wait();
        let opener = thread::spawn(move || gate.open());
        assert_eq!(pool.shutdown_timeout(LONG), Ok(()));
        assert_eq!(polled.join().unwrap(), 7);
        assert!(resting.join().unwrap_err().is_shutdown());
        opener.join().unwrap();
    }
    assert_eq!(pool(3, 0).shutdown_timeout(Duration::MAX), Ok(()));
}

#[test]
fn a_task_that_shuts_its_own_pool_down_does_not_wait() {
    watched!();
    for workers in [1, 2] {
        let (pool, go) = (pool(workers, 512), Gate::new());
        let (handle, opened, owner) = (pool.handle(), go.clone(), Arc::new(Mutex::new(Some(pool))));
        let shuts = handle.spawn(async move {
            opened.opened().await;
            let pool = owner.lock().unwrap().take().expect("once");
            pool.shutdown_timeout(LONG).unwrap_err().threads()
        });
        go.open();
        assert!(shuts.join().unwrap() >= 1);
    }
}
