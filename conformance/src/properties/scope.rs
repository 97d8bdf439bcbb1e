//! Properties 92 and 93: scopes.

use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use polyexec_core::JoinError;
use polyexec_futures::{Scope, TryScope, scope, try_scope, yield_now};

use super::sets::in_task;
use crate::Subject;
use crate::probe::{Gate, Planned, Tally, carrying};

pub(crate) fn p92_the_children_of_a_scope_end_before_it(subject: &Subject) {
    const CHILDREN: usize = 40;

    async fn outputs_and_siblings() {
        let drops = Tally::new();
        let numbers: Vec<_> = (0..CHILDREN).collect();
        // The body borrows.
        let body = async |s: Scope| {
            let handles: Vec<_> = numbers
                .iter()
                .map(|&number| {
                    let (siblings, drops) = (s.clone(), drops.clone());
                    s.spawn(carrying(drops.on_drop(), async move {
                        drop(siblings.spawn(carrying(drops.on_drop(), yield_now())));
                        for _ in 0..number % 4 {
                            yield_now().await;
                        }
                        number
                    }))
                })
                .collect();
            let mut sum = 0;
            for handle in handles.into_iter().take(CHILDREN / 2) {
                sum += handle.await.expect("no child fails");
            }
            sum
        };
        let sum = scope(body).await.expect("no child fails");
        assert_eq!(drops.get(), 2 * CHILDREN, "a child outlived its scope");
        assert_eq!(sum, numbers[..CHILDREN / 2].iter().sum());
    }

    async fn the_first_error_cancels_the_rest() {
        let (drops, go) = (Tally::new(), Gate::new());
        let body = async |s: TryScope<Failed>| {
            for _ in 0..CHILDREN {
                s.spawn(carrying(drops.on_drop(), pending::<Result<(), Failed>>()));
            }
            let opened = go.clone();
            let fails = s.spawn(async move {
                opened.opened().await;
                Err::<(), _>(Failed::Planned)
            });
            go.open();
            fails.await.expect("the body is dropped before it learns of it");
            Ok(())
        };
        assert!(matches!(try_scope(body).await, Err(Failed::Planned)));
        assert_eq!(drops.get(), CHILDREN, "a child outlived its scope");
    }

    async fn errors_of_a_body_and_of_one_that_keeps_going() {
        let drops = Tally::new();
        let body = async |s: TryScope<Failed>| {
            s.spawn(carrying(drops.on_drop(), pending::<Result<(), Failed>>()));
            Err::<(), _>(Failed::Planned)
        };
        assert!(matches!(try_scope(body).await, Err(Failed::Planned)));
        assert_eq!(drops.get(), 1);
        let ended = Tally::new();
        let body = async |s: TryScope<Failed>| {
            s.keep_going();
            let fails = s.spawn(async { Err::<(), _>(Failed::Planned) });
            assert_eq!(fails.await, None);
            for _ in 0..CHILDREN {
                let ended = ended.clone();
                s.spawn(async move {
                    yield_now().await;
                    Ok(ended.add())
                });
            }
            Ok(())
        };
        assert!(matches!(try_scope(body).await, Err(Failed::Planned)));
        assert_eq!(ended.get(), CHILDREN, "the others come to their end");
    }

    async fn aborted_on_request() {
        let drops = Tally::new();
        let body = async |s: Scope| {
            let waits = s.spawn(carrying(drops.on_drop(), pending::<()>()));
            s.abort_all();
            assert_eq!(waits.await, None);
            drops.get()
        };
        assert_eq!(scope(body).await.expect("that is no failure"), 1);
    }

    async fn dropped_early(drops: Tally) {
        let body = async |s: Scope| {
            for _ in 0..CHILDREN {
                s.spawn(carrying(drops.on_drop(), pending::<()>()));
            }
            pending::<()>().await
        };
        {
            let mut early = pin!(scope(body));
            poll_fn(|cx| Poll::Ready(assert!(early.as_mut().poll(cx).is_pending()))).await;
        }
        while drops.get() < CHILDREN {
            yield_now().await;
        }
    }

    let executor = subject.start();
    executor.block_on(outputs_and_siblings());
    in_task(&executor, outputs_and_siblings());
    for _ in 0..50 {
        in_task(&executor, the_first_error_cancels_the_rest());
    }
    in_task(&executor, errors_of_a_body_and_of_one_that_keeps_going());
    in_task(&executor, aborted_on_request());
    in_task(&executor, dropped_early(Tally::new()));

    // A child's executor refuses it, or ends it.
    let gone = subject.start().shut_down();
    let refused = executor.block_on(scope(async |s: Scope| drop(s.spawn_on(&gone, async {}))));
    assert!(refused.expect_err("the executor is gone").is_shutdown());
    let ends = subject.start();
    let handle = ends.handle();
    let body = async |s: Scope| drop(s.spawn_on(&handle, pending::<()>()));
    let mut waits = Box::pin(scope(body));
    assert!(waits.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(ends.shut_down());
    assert!(executor.block_on(waits).expect_err("the executor is gone").is_shutdown());
}

/// What a child of a `try_scope` may end with.
#[derive(Debug)]
enum Failed {
    Planned,
    #[allow(dead_code, reason = "it is shown")]
    Task(JoinError),
}

impl From<JoinError> for Failed {
    fn from(error: JoinError) -> Self {
        Self::Task(error)
    }
}

pub(crate) fn p93_a_panic_in_a_scope_goes_on_when_the_others_have_ended(subject: &Subject) {
    const CHILDREN: usize = 20;

    async fn of_a_child(drops: Tally) {
        let body = async |s: Scope| {
            for _ in 0..CHILDREN {
                s.spawn(carrying(drops.on_drop(), pending::<()>()));
            }
            let panics = s.spawn(async { resume_unwind(Box::new(Planned)) });
            panics.await.expect("the body is dropped before it learns of it")
        };
        let error: JoinError = scope(body).await.expect_err("a child panicked");
        assert!(error.into_panic().is::<Planned>());
        assert_eq!(drops.get(), CHILDREN, "a child outlived its scope");
    }

    async fn of_the_body(drops: Tally) {
        let body = async |s: Scope| {
            for _ in 0..CHILDREN {
                s.spawn(carrying(drops.on_drop(), pending::<()>()));
            }
            yield_now().await;
            resume_unwind(Box::new(Planned))
        };
        let mut panics = pin!(scope::<_>(body));
        let panic = poll_fn(|cx| {
            let poll = AssertUnwindSafe(|| panics.as_mut().poll(cx).map(|result| result.map(|(): ()| ())));
            match std::panic::catch_unwind(poll) {
                Ok(Poll::Pending) => Poll::Pending,
                Ok(Poll::Ready(_)) => panic!("the panic was lost"),
                Err(payload) => Poll::Ready(payload),
            }
        })
        .await;
        assert!(panic.is::<Planned>());
        assert_eq!(drops.get(), CHILDREN, "a child outlived its scope");
    }

    let executor = subject.start();
    in_task(&executor, of_a_child(Tally::new()));
    executor.block_on(of_a_child(Tally::new()));
    in_task(&executor, of_the_body(Tally::new()));
}
