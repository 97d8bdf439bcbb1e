//! The hooks of a worker: where a thread begins to run it, and before and after its sleep.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use polyexec_conformance::probe::Gate;
use polyexec_conformance::watched;
use polyexec_core::{Executor, block_in_place};
use polyexec_pool::{Pool, PoolHandle};

#[test]
fn what_a_worker_spawns_before_it_sleeps_runs_first() {
    watched!();
    const TASKS: usize = 100;
    for workers in [1, 2] {
        let (spawned, handle) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(None::<PoolHandle>)));
        let (told, results) = mpsc::channel();
        let on_park = {
            let (spawned, handle) = (spawned.clone(), handle.clone());
            move || {
                let Some(handle) = handle.lock().unwrap().clone() else { return };
                let number = spawned.fetch_add(1, SeqCst);
                if number < TASKS {
                    let told = told.clone();
                    drop(handle.spawn(async move { told.send(number).unwrap() }));
                }
            }
        };
        let pool = Pool::builder().worker_threads(workers).on_thread_park(on_park).build().unwrap();
        *handle.lock().unwrap() = Some(pool.handle());
        // A worker that sleeps by now has called the hook too early. The next time it spawns.
        drop(pool.spawn(async {}));
        let mut numbers: Vec<_> = results.iter().take(TASKS).collect();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..TASKS), "{workers} workers");
        // The pool has the hook, and the hook the pool.
        *handle.lock().unwrap() = None;
    }
}

#[test]
fn each_sleep_has_its_two_calls_though_they_panic() {
    watched!();
    let [parks, unparks] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
    let panics_after = |calls: &Arc<AtomicUsize>| {
        let calls = calls.clone();
        move || {
            calls.fetch_add(1, SeqCst);
            resume_unwind(Box::new("a hook panics"))
        }
    };
    let pool = Pool::builder()
        .worker_threads(2)
        .on_thread_park(panics_after(&parks))
        .on_thread_unpark(panics_after(&unparks))
        .build()
        .unwrap();
    for n in 0..100 {
        assert_eq!(pool.spawn(async move { n }).join().unwrap(), n);
    }
    drop(pool);
    assert!(parks.load(SeqCst) > 0);
    assert_eq!(parks.load(SeqCst), unparks.load(SeqCst));
}

#[test]
fn a_thread_is_set_up_for_each_worker_that_it_runs() {
    watched!();
    const WORKERS: usize = 3;
    let (told, starts) = mpsc::channel();
    let pool = Pool::builder()
        .worker_threads(WORKERS)
        .on_worker_start(move |worker| {
            assert_eq!(worker.workers(), WORKERS);
            told.send((worker.index(), thread::current().id())).unwrap();
            resume_unwind(Box::new("a hook panics"))
        })
        .build()
        .unwrap();
    let mut first: Vec<_> = starts.iter().take(WORKERS).collect();
    first.sort_unstable_by_key(|(index, _)| *index);
    assert!(first.iter().map(|(index, _)| *index).eq(0..WORKERS));

    // A task that blocks hands its worker over to a thread that isn't any of these.
    let (entered, inside) = mpsc::channel();
    let gate = Gate::new();
    let opens = gate.clone();
    let blocks = pool.spawn(async move {
        entered.send(thread::current().id()).unwrap();
        block_in_place(|| gate.wait());
        thread::current().id()
    });
    let blocked = inside.recv().unwrap();
    let (index, successor) = starts.recv().unwrap();
    assert_eq!(first[index].1, blocked);
    assert!(first.iter().all(|(_, thread)| *thread != successor));
    opens.open();
    assert_eq!(blocks.join().unwrap(), blocked, "a task stays on its thread");
    drop(pool);
}
