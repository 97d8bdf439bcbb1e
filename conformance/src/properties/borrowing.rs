//! Properties 94 to 96: a scope's children borrow from the thread that waits for them.

use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::*};

use polyexec_core::Executor;
use polyexec_core::task::Scope;
use polyexec_futures::yield_now;

use crate::Subject;
use crate::probe::{Gate, Planned, Tally, on_foreign_thread};

pub(crate) fn p94_children_that_borrow_end_before_their_scope(subject: &Subject) {
    let executor = subject.start();
    let handle = executor.handle();
    let sums = |executor: &Arc<dyn Executor>| {
        let mut numbers = vec![1; 20];
        let sum = sum_of_children(executor, &mut numbers);
        (numbers, sum)
    };
    let expected = (vec![3; 20], 60);

    // On the thread that started the executor, and on another one.
    assert_eq!(sums(&handle), expected);
    assert_eq!(on_foreign_thread(&executor, move |executor| sums(&executor)), expected);
    // In tasks, more of them than the executor has threads.
    let tasks: Vec<_> = (0..6)
        .map(|_| {
            let inner = handle.clone();
            handle.spawn(async move { sums(&inner) })
        })
        .collect();
    for task in tasks {
        assert_eq!(executor.block_on(task).unwrap(), expected);
    }

    // Children spawn children, from the tasks as from the body.
    fn tree<'scope>(s: &'scope Scope<'scope, '_>, leaves: &'scope AtomicUsize, depth: usize) {
        for _ in 0..2 {
            s.spawn(async move {
                yield_now().await;
                match depth {
                    0 => _ = leaves.fetch_add(1, AcqRel),
                    _ => tree(s, leaves, depth - 1),
                }
            });
        }
    }
    let leaves = AtomicUsize::new(0);
    handle.scope(|s| tree(s, &leaves, 5));
    assert_eq!(leaves.load(Acquire), 64);

    // An abort ends a child that waits for nothing, before the scope ends.
    let (dropped, began) = (Tally::new(), Gate::new());
    let error = handle.scope(|s| {
        let child = s.spawn(async {
            let _dropped = dropped.on_drop();
            began.open();
            pending::<()>().await;
        });
        handle.block_on(began.opened());
        child.abort();
        child.join().unwrap_err()
    });
    assert!(error.is_cancelled() && dropped.get() == 1, "{error}");
}

/// Each child doubles its number, when the one before it has. Then adds one, and they return the sum.
fn sum_of_children(executor: &Arc<dyn Executor>, numbers: &mut [u64]) -> u64 {
    let sum = executor.scope(|s| {
        let first = s.spawn(async { 0 });
        let last = numbers.iter_mut().fold(first, |before, number| {
            s.spawn(async move {
                *number *= 2;
                let sum = before.await.unwrap();
                *number += 1;
                sum + *number
            })
        });
        last.join().unwrap()
    });
    assert_eq!(sum, numbers.iter().sum::<u64>());
    sum
}

pub(crate) fn p95_a_panic_of_a_child_that_borrows_goes_on_when_all_have_ended(subject: &Subject) {
    let executor = subject.start();
    let handle = executor.handle();
    let panics = || resume_unwind(Box::new(Planned));
    for _ in 0..20 {
        let ended = AtomicUsize::new(0);
        let waits = || async {
            for _ in 0..3 {
                yield_now().await;
            }
            ended.fetch_add(1, AcqRel);
        };
        let of_a_child = catch_unwind(AssertUnwindSafe(|| {
            handle.scope(|s| {
                s.spawn(async { panics() });
                (0..3).for_each(|_| drop(s.spawn(waits())));
            });
        }));
        assert!(of_a_child.unwrap_err().is::<Planned>());
        let of_the_body = catch_unwind(AssertUnwindSafe(|| {
            handle.scope(|s| {
                (0..3).for_each(|_| drop(s.spawn(waits())));
                panics()
            })
        }));
        assert!(of_the_body.unwrap_err().is::<Planned>());
        assert_eq!(ended.load(Acquire), 6);
        // A handle has reported it.
        let reported = handle.scope(|s| s.spawn(async { panics() }).join());
        assert!(reported.unwrap_err().into_panic().is::<Planned>());
    }
}

pub(crate) fn p96_a_shutdown_ends_children_that_borrow_before_their_scope(subject: &Subject) {
    let executor = subject.start();
    let (executor, shut_down) = executor.into_shut_down();
    let (dropped, began) = (Tally::new(), [Gate::new(), Gate::new(), Gate::new()]);
    executor.scope(|s| {
        let idle: Vec<_> = began
            .iter()
            .map(|began| {
                s.spawn(async {
                    let _dropped = dropped.on_drop();
                    began.open();
                    pending::<()>().await;
                })
            })
            .collect();
        s.spawn(async {
            for began in &began {
                began.opened().await;
            }
            shut_down();
        });
        for child in idle {
            assert!(child.join().unwrap_err().is_shutdown());
        }
    });
    assert_eq!(dropped.get(), 3);
    // Refused children have ended at once.
    let refused = executor.scope(|s| {
        let dropped = dropped.on_drop();
        s.spawn(async move { drop(dropped) }).join()
    });
    assert!(refused.unwrap_err().is_shutdown() && dropped.get() == 4);
}
