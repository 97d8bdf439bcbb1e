//! Properties 88 to 91: sets of tasks, and tokens that cancel them.

use std::collections::HashSet;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use polyexec_core::{AbortHandle, Executor, block_on};
use polyexec_futures::{CancellationToken, JoinSet, TaskTracker, yield_now};

use crate::probe::{OnDrop, Rng, Tally, carrying, on_foreign_thread, settle};
use crate::{Fixture, Subject};

/// How often each race is run.
const ROUNDS: usize = 1_000;

/// Runs `future` as a task.
pub(crate) fn in_task<T: Send + 'static>(executor: &Fixture, future: impl Future<Output = T> + Send + 'static) -> T {
    executor.block_on(executor.handle().spawn(future)).expect("its assertions hold")
}

/// Waits until `tally` has counted this many `times`.
async fn counted(tally: &Tally, times: usize) {
    while tally.get() < times {
        yield_now().await;
    }
}

pub(crate) fn p88_a_join_set_gives_each_result_once_and_aborts_what_is_left(subject: &Subject) {
    const TASKS: usize = 300;

    async fn join_all_kinds(drops: Tally) {
        let mut set = JoinSet::new();
        let aborters: Vec<_> = (0..TASKS)
            .map(|number| {
                set.spawn(carrying(drops.on_drop(), async move {
                    match number % 3 {
                        0 => {}
                        1 => yield_now().await,
                        _ => pending().await,
                    }
                    number
                }))
            })
            .collect();
        let to_abort = || aborters.iter().skip(2).step_by(3);
        to_abort().for_each(AbortHandle::abort);
        let (mut outputs, mut cancelled) = (HashSet::new(), HashSet::new());
        while let Some(result) = set.join_next().await {
            let is_new = match result {
                Ok(number) => outputs.insert(number),
                Err(error) => {
                    assert!(error.is_cancelled() && !error.is_shutdown(), "{error}");
                    cancelled.insert(error.id())
                }
            };
            assert!(is_new, "a result came twice");
            assert_eq!(outputs.len() + cancelled.len() + set.len(), TASKS);
        }
        assert_eq!(outputs, (0..TASKS).filter(|number| number % 3 < 2).collect());
        assert_eq!(cancelled, to_abort().map(AbortHandle::id).collect());
        assert_eq!(drops.get(), TASKS, "a result came before its future was dropped");
    }

    let executor = subject.start();
    executor.block_on(join_all_kinds(Tally::new()));
    in_task(&executor, join_all_kinds(Tally::new()));

    on_foreign_thread(&executor, |handle| {
        let (mut set, mut rng, mut joined) = (JoinSet::new(), Rng::new(88), 0);
        for round in 0..ROUNDS {
            set.spawn_on(&handle, async move { round });
            rng.linger();
            match rng.below(3) {
                0 => joined += set.try_join_next().map_or(0, |result| result.map_or(0, |_| 1)),
                1 => joined += block_on(set.join_next()).map_or(0, |result| result.map_or(0, |_| 1)),
                _ => {}
            }
        }
        assert_eq!(joined + block_on(set.join_all()).into_iter().filter(Result::is_ok).count(), ROUNDS);
    });

    let drops = Tally::new();
    let (dropped, detached) = (drops.clone(), executor.handle());
    executor.block_on(async move {
        let mut set = JoinSet::new();
        let ends = Tally::new();
        set.spawn_on(&detached, carrying(ends.on_drop(), yield_now()));
        set.detach_all();
        set.spawn_on(&detached, carrying(dropped.on_drop(), pending::<()>()));
        yield_now().await;
        set.spawn_on(&detached, carrying(dropped.on_drop(), pending()));
        drop(set);
        counted(&dropped, 2).await;
        counted(&ends, 1).await;
    });
    assert_eq!(drops.get(), 2);
}

pub(crate) fn p89_a_join_set_with_a_limit_runs_all_and_never_more_at_a_time(subject: &Subject) {
    const TASKS: usize = 200;
    const LIMIT: usize = 3;

    #[derive(Default)]
    struct Running {
        now: AtomicUsize,
        begun: AtomicUsize,
    }

    /// From its first poll to its end, a task of the set.
    fn task(running: &Arc<Running>, number: usize) -> impl Future<Output = ()> + Send + 'static {
        let running = running.clone();
        async move {
            running.begun.fetch_add(1, Relaxed);
            assert!(running.now.fetch_add(1, Relaxed) < LIMIT, "more than the limit");
            let _ends = OnDrop::new(move || assert!(running.now.fetch_sub(1, Relaxed) > 0));
            for _ in 0..number % 4 {
                yield_now().await;
            }
        }
    }

    async fn all_at_once() {
        let running = Arc::<Running>::default();
        let mut set = JoinSet::with_limit(LIMIT);
        for number in 0..TASKS {
            set.spawn(task(&running, number));
        }
        assert!(set.join_all().await.iter().all(Result::is_ok));
        assert_eq!(running.begun.load(Relaxed), TASKS);
    }

    async fn some_aborted() {
        let running = Arc::<Running>::default();
        let mut set = JoinSet::with_limit(LIMIT);
        for number in 0..TASKS {
            let aborter = set.spawn(task(&running, number));
            if number % 5 == 0 {
                aborter.abort();
                yield_now().await;
            }
        }
        let failed = set.join_all().await.into_iter().filter_map(Result::err);
        assert!(failed.inspect(|error| assert!(error.is_cancelled(), "{error}")).count() <= TASKS / 5);
    }

    async fn as_there_is_room() {
        let running = Arc::<Running>::default();
        let mut set = JoinSet::with_limit(LIMIT);
        let mut joined = 0;
        for number in 0..TASKS {
            set.room().await;
            set.spawn(task(&running, number));
            while let Some(result) = set.try_join_next() {
                result.expect("it is within the limit");
                joined += 1;
            }
            assert!(set.len() <= LIMIT, "there was no room");
        }
        assert_eq!(joined + set.join_all().await.iter().filter(|result| result.is_ok()).count(), TASKS);
    }

    let executor = subject.start();
    executor.block_on(all_at_once());
    in_task(&executor, all_at_once());
    in_task(&executor, some_aborted());
    in_task(&executor, as_there_is_room());
}

pub(crate) fn p90_the_tasks_of_a_join_set_end_with_their_executor(subject: &Subject) {
    const TASKS: usize = 6;
    let executor = subject.start();
    let (begun, drops) = (Tally::new(), Tally::new());
    let mut set = JoinSet::with_limit(2);
    for _ in 0..TASKS {
        let begun = begun.clone();
        let waits = async move {
            begun.add();
            pending::<()>().await
        };
        set.spawn_on(&executor.handle(), carrying(drops.on_drop(), waits));
    }
    executor.block_on(counted(&begun, 2));
    settle(&executor);
    assert_eq!((begun.get(), drops.get()), (2, 0));
    let handle = executor.shut_down();
    assert_eq!(drops.get(), TASKS, "also those that wait for their turn");
    set.spawn_on(&handle, async {});
    for _ in 0..=TASKS {
        let error = block_on(set.join_next()).expect("a task for each").expect_err("the executor is gone");
        assert!(error.is_shutdown(), "{error}");
    }
    assert!(set.is_empty());
}

pub(crate) fn p91_a_cancelled_token_ends_all_that_wait_for_it(subject: &Subject) {
    const TASKS: usize = 90;

    /// Spawns tasks that wait for the token, for a child of it and for a grandchild, and a task that cancels it.
    async fn cancelled_by_a_task() {
        let (token, tracker, drops) = (CancellationToken::new(), TaskTracker::new(), Tally::new());
        for number in 0..TASKS {
            let token = match number % 3 {
                0 => token.clone(),
                1 => token.child_token(),
                _ => token.child_token().child_token(),
            };
            let cargo = drops.on_drop();
            drop(tracker.spawn(async move {
                if number % 2 == 0 {
                    token.cancelled().await;
                } else {
                    assert_eq!(token.run_until_cancelled(carrying(cargo, pending::<()>())).await, None);
                }
                assert!(token.is_cancelled());
            }));
        }
        yield_now().await;
        assert_eq!(tracker.len(), TASKS);
        let guard = token.drop_guard();
        drop(tracker.spawn(async move { drop(guard) }));
        tracker.close();
        tracker.wait().await;
        assert_eq!(drops.get(), TASKS);
    }

    let executor = subject.start();
    executor.block_on(cancelled_by_a_task());
    in_task(&executor, cancelled_by_a_task());

    // Against the wait, from a foreign thread.
    on_foreign_thread(&executor, |handle| {
        let mut rng = Rng::new(91);
        for _ in 0..ROUNDS {
            let token = CancellationToken::new();
            let waits = token.child_token();
            let task = handle.spawn(async move { waits.cancelled().await });
            rng.linger();
            token.cancel();
            task.join().expect("it was woken");
        }
    });

    let token = CancellationToken::new();
    let waits = token.clone();
    let (drops, tracker) = (Tally::new(), TaskTracker::new());
    let cargo = drops.on_drop();
    tracker.close();
    let task = tracker.spawn_on(&executor.handle(), async move {
        let _cargo = cargo;
        waits.cancelled().await;
    });
    settle(&executor);
    drop(executor.shut_down());
    assert_eq!((drops.get(), tracker.len()), (1, 0), "the future is gone, and isn't tracked any more");
    block_on(tracker.wait());
    token.cancel();
    assert!(task.join().expect_err("it still waited").is_shutdown());
}
