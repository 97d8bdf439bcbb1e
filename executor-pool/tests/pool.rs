//! What only a pool has: workers that steal, and spare threads for workers that block.

use std::collections::HashSet;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use futures_task::{FutureObj, Spawn};
use polyexec_conformance::probe::{Gate, OnDrop, WakerSlot};
use polyexec_conformance::watched;
use polyexec_core::{Executor, block_in_place, block_on};
use polyexec_futures::yield_now;
use polyexec_pool::Pool;
use polyexec_threads::most_threads;

fn pool(workers: usize) -> Pool {
    Pool::builder().worker_threads(workers).build().unwrap()
}

#[test]
fn every_worker_runs_tasks_at_the_same_time() {
    watched!();
    let pool = pool(4);
    // Each task blocks its worker until four have come: fewer workers than that would hang here.
    let barrier = Arc::new(Barrier::new(4));
    let threads: HashSet<_> = (0..4)
        .map(|_| {
            let barrier = barrier.clone();
            pool.spawn(async move {
                barrier.wait();
                thread::current().id()
            })
        })
        .collect::<Vec<_>>()
        .into_iter()
        .map(|task| task.join().unwrap())
        .collect();
    assert_eq!(threads.len(), 4);
}

#[test]
fn ten_thousand_panics_later_every_worker_still_runs() {
    watched!();
    std::panic::set_hook(Box::new(|_| {}));
    let pool = pool(4);
    let tasks: Vec<_> = (0..10_000).map(|n| pool.spawn(async move { panic!("{n}") })).collect();
    for (n, task) in tasks.into_iter().enumerate() {
        let payload = task.join().unwrap_err().into_panic();
        assert_eq!(*payload.downcast::<String>().unwrap(), n.to_string());
    }
    let _ = std::panic::take_hook();

    let barrier = Arc::new(Barrier::new(4));
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let barrier = barrier.clone();
            pool.spawn(async move { barrier.wait() })
        })
        .collect();
    for task in tasks {
        task.join().unwrap();
    }
}

#[test]
fn a_worker_takes_what_waits_behind_a_long_poll() {
    watched!();
    let pool = pool(2);
    let gate = Gate::new();
    let (spawner, opener) = (pool.handle(), gate.clone());
    // The second task is in the queue of the very worker that the first one then blocks.
    pool.spawn(async move {
        let task = spawner.spawn(async move { opener.open() });
        gate.wait();
        task.await
    })
    .join()
    .unwrap()
    .unwrap();
}

#[test]
fn what_was_just_woken_or_spawned_is_taken_behind_a_long_poll() {
    watched!();
    let pool = pool(2);
    let handle = pool.handle();
    // Often enough to meet the other worker asleep, timed asleep and searching.
    for round in 0..300 {
        let (gate, slot) = (Gate::new(), WakerSlot::new());
        let (open, stored) = (gate.clone(), slot.clone());
        let woken = pool.spawn(async move {
            rest_once(stored).await;
            open.open();
        });
        while slot.get().is_none() {
            thread::yield_now();
        }
        let spawner = handle.clone();
        let blocker = pool.spawn(async move {
            let spawned = Gate::new();
            // Each is in the LIFO slot until the next one comes.
            for _ in 0..round % 4 {
                let open = spawned.clone();
                drop(spawner.spawn(async move { open.open() }));
            }
            slot.take().expect("it was stored").wake();
            gate.wait();
            if round % 4 > 0 {
                spawned.wait();
            }
        });
        blocker.join().unwrap();
        woken.join().unwrap();
    }
}

/// Stores its waker, and is pending once.
fn rest_once(slot: WakerSlot) -> impl Future<Output = ()> + Send {
    let mut has_rested = false;
    poll_fn(move |cx| {
        if std::mem::replace(&mut has_rested, true) {
            return Poll::Ready(());
        }
        slot.put(cx.waker().clone());
        Poll::Pending
    })
}

#[test]
fn tasks_that_join_others_on_every_worker_get_spare_threads() {
    watched!();
    for workers in [1, 2] {
        let pool = pool(workers);
        let handle = pool.handle();
        let tasks: Vec<_> = (0..20)
            .map(|n| {
                let handle = handle.clone();
                pool.spawn(async move {
                    let inner = handle.clone();
                    handle.spawn(async move { inner.spawn(async move { n }).join().unwrap() }).join().unwrap()
                })
            })
            .collect();
        assert_eq!(tasks.into_iter().map(|task| task.join().unwrap()).sum::<i32>(), 190);
    }
}

#[test]
fn a_task_that_blocks_in_place_gives_its_worker_away() {
    watched!();
    let pool = pool(1);
    let gate = Gate::new();
    let blocked = gate.clone();
    let blocker = pool.spawn(async move { block_in_place(|| blocked.wait()) });
    // The only worker opens the gate for the task that blocked it.
    pool.spawn(async move { gate.open() }).join().unwrap();
    blocker.join().unwrap();
}

#[test]
fn a_task_goes_on_after_it_blocked() {
    watched!();
    let pool = pool(1);
    let handle = pool.handle();
    let sum = pool.spawn(async move {
        let before = block_in_place(|| 1);
        yield_now().await;
        let after = handle.spawn(async { 2 }).await.unwrap();
        before + after + block_on(handle.spawn(async { 3 })).unwrap()
    });
    assert_eq!(sum.join().unwrap(), 6);
}

#[test]
fn a_worker_without_a_thread_goes_to_the_first_free_one() {
    watched!();
    for _ in 0..100 {
        let pool = Pool::builder().worker_threads(1).spare_threads(1).build().unwrap();
        let (first_blocks, second_blocks, gate) = (Gate::new(), Gate::new(), Gate::new());
        let (blocks, opened) = (first_blocks.clone(), gate.clone());
        let first = pool.spawn(async move {
            block_in_place(|| {
                blocks.open();
                opened.wait();
            });
        });
        first_blocks.wait();
        // On the only spare thread. The worker has no thread until the first task is over.
        let (handle, blocks) = (pool.handle(), second_blocks.clone());
        let second = pool.spawn(async move {
            blocks.open();
            handle.spawn(async { 1 }).join().unwrap()
        });
        second_blocks.wait();
        gate.open();
        assert_eq!(second.join().unwrap(), 1);
        first.join().unwrap();
    }
}

#[test]
fn an_owner_may_be_dropped_in_a_task_of_another_pool() {
    watched!();
    let outer = pool(1);
    let handle = outer.handle();
    let task = outer.spawn(async move {
        let inner = pool(1);
        let blocks = Gate::new();
        let open = blocks.clone();
        drop(inner.spawn(async move {
            open.open();
            // The drop waits for this poll, and this poll for a task of the pool that the drop holds up.
            handle.spawn(async {}).join().unwrap();
        }));
        blocks.wait();
        drop(inner);
    });
    task.join().unwrap();
}

#[test]
fn a_task_that_joins_another_in_the_middle_of_the_shutdown_does_not_wait_for_ever() {
    watched!();
    let (begun, stopped) = (Gate::new(), Gate::new());
    let open = stopped.clone();
    let pool = Pool::builder().worker_threads(1).on_thread_stop(move || open.open()).build().unwrap();
    // From now on there is a second thread, idle, which ends at the shutdown.
    pool.spawn(async { block_in_place(|| {}) }).join().unwrap();
    let (handle, begins) = (pool.handle(), begun.clone());
    let outer = pool.spawn(async move {
        let inner = handle.spawn(async {});
        begins.open();
        while !stopped.is_open() {
            std::hint::spin_loop();
        }
        // No thread can take this one's place, and the task that it waits for is in its own queue.
        inner.join()
    });
    begun.wait();
    drop(pool);
    assert!(outer.join().unwrap().unwrap_err().is_shutdown());
}

#[test]
fn spare_threads_end() {
    watched!();
    let stops = Arc::new(AtomicUsize::new(0));
    let gone = Gate::new();
    let (counted, open) = (stops.clone(), gone.clone());
    let pool = Pool::builder()
        .worker_threads(1)
        .keep_alive(Duration::from_millis(1))
        .on_thread_stop(move || {
            counted.fetch_add(1, SeqCst);
            open.open();
        })
        .build()
        .unwrap();
    pool.spawn(async { block_in_place(|| {}) }).join().unwrap();
    // The thread that blocked has no worker now. The thread with the worker stays.
    gone.wait();
    assert_eq!(stops.load(SeqCst), 1);
    assert_eq!(pool.spawn(async { 1 }).join().unwrap(), 1);
}

#[test]
fn without_spare_threads_a_task_that_blocks_starts_none() {
    watched!();
    let threads = Arc::new(Mutex::new(HashSet::new()));
    let seen = threads.clone();
    let pool = Pool::builder().worker_threads(2).spare_threads(0).build().unwrap();
    let tasks: Vec<_> = (0..100)
        .map(|n| {
            let seen = seen.clone();
            pool.spawn(async move {
                block_in_place(|| seen.lock().unwrap().insert(thread::current().id()));
                n
            })
        })
        .collect();
    assert_eq!(tasks.into_iter().map(|task| task.join().unwrap()).sum::<i32>(), 4_950);
    assert!(threads.lock().unwrap().len() <= 2);
}

#[test]
fn nothing_of_a_pool_is_left_when_its_owner_and_handles_are_gone() {
    watched!();
    let held = Arc::new(());
    let rest = Arc::downgrade(&held);
    let pool = Pool::builder().worker_threads(1).on_thread_start(move || drop(held.clone())).build().unwrap();
    let (spawner, gate, end) = (pool.handle(), Gate::new(), Gate::new());
    let (begun, ended) = (gate.clone(), end.clone());
    // Tasks in the worker's own queue, and in the injector, while the worker is busy until the shutdown.
    drop(pool.spawn(async move {
        (0..100).for_each(|_| drop(spawner.spawn(async {})));
        begun.open();
        ended.wait();
    }));
    gate.wait();
    (0..100).for_each(|_| drop(pool.spawn(async {})));
    let open = OnDrop::new(move || end.open());
    let dropped = pool.spawn(async move { drop(open) });
    drop(pool);
    assert!(dropped.join().unwrap_err().is_shutdown());
    assert!(rest.upgrade().is_none(), "something holds on to the pool");
}

#[test]
fn bad_settings_are_refused() {
    watched!();
    for builder in [Pool::builder().worker_threads(0), Pool::builder().thread_name("a\0b")] {
        assert_eq!(builder.build().unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
    }
}

#[test]
fn by_default_there_is_a_worker_for_each_processor() {
    watched!();
    assert_eq!(Pool::new().unwrap().worker_threads(), num_cpus::get());
}

#[test]
fn it_is_an_executor_for_the_futures_crates() {
    watched!();
    let pool = pool(1);
    let gate = Gate::new();
    let open = gate.clone();
    pool.spawn_obj(FutureObj::new(Box::new(async move { open.open() }))).unwrap();
    gate.wait();
    let handle = pool.handle();
    drop(pool);
    assert!(handle.spawn_obj(FutureObj::new(Box::new(async {}))).unwrap_err().is_shutdown());
    assert!(handle.block_on(handle.spawn(async {})).unwrap_err().is_shutdown());
}

/// Runs a task, a task that hands its worker over, and a task on each worker at the same time.
fn use_it(pool: &Pool) {
    assert_eq!(pool.spawn(async { 1 }).join().unwrap(), 1);
    let barrier = Arc::new(Barrier::new(pool.worker_threads()));
    let meets = |_| {
        let barrier = barrier.clone();
        pool.spawn(async move { barrier.wait() })
    };
    let meetings: Vec<_> = (0..pool.worker_threads()).map(meets).collect();
    meetings.into_iter().for_each(|meets| _ = meets.join().unwrap());
    assert_eq!(pool.spawn(async { block_in_place(|| 2) }).join().unwrap(), 2);
    assert_eq!(pool.spawn(async { 3 }).join().unwrap(), 3);
}

#[test]
fn any_number_is_accepted_or_an_error() {
    watched!();
    for workers in [1, 2] {
        use_it(&Pool::builder().worker_threads(workers).build().unwrap());
    }
    for workers in [0, most_threads() + 1, usize::MAX / 2, usize::MAX - 1, usize::MAX] {
        let error = Pool::builder().worker_threads(workers).build().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{error}");
    }
    for spares in [0, 1, 7, usize::MAX - 1, usize::MAX] {
        use_it(&Pool::builder().worker_threads(2).spare_threads(spares).build().unwrap());
    }
    for bytes in [0, 1, 1 << 20] {
        use_it(&Pool::builder().worker_threads(2).stack_size(bytes).build().unwrap());
    }
    for bytes in [usize::MAX / 2, usize::MAX - 1, usize::MAX] {
        assert!(Pool::builder().worker_threads(2).stack_size(bytes).build().is_err());
    }
    for time in [0, 1, 1_000_000].map(Duration::from_nanos).into_iter().chain([Duration::MAX]) {
        let pool = Pool::builder().worker_threads(2).keep_alive(time).build().unwrap();
        use_it(&pool);
        pool.shutdown_timeout(Duration::MAX).unwrap();
    }
    let pool = Pool::builder().worker_threads(2).build().unwrap();
    use_it(&pool);
    // Its threads may have ended by then.
    let _ = pool.shutdown_timeout(Duration::ZERO);
}
