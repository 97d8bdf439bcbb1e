//! Properties 65 to 67: the order of tasks that run one at a time. Property 79: the budget of a poll.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;

use polyexec_core::executor::{Ran, Task};
use polyexec_core::{
    Executor,
    task::{consume_budget, unconstrained},
};
use polyexec_futures::yield_now;

use crate::Subject;
use crate::probe::{Tally, Trace, WakerSlot, carrying};

/// The most polls of other tasks before a ready task is polled.
const MOST_POLLS: usize = 64;

/// The most ready operations in one poll of a task.
const MOST_OPERATIONS: usize = 128;

/// A task that keeps the executor busy.
#[derive(Clone, Default)]
struct Player {
    polls: Tally,
    slot: WakerSlot,
}

type Play = Pin<Box<dyn Future<Output = ()> + Send>>;

fn polls(players: &[Player]) -> usize {
    players.iter().map(|player| player.polls.get()).sum()
}

/// The most polls of `players` between two polls of a bystander, and how many in all.
fn longest_wait(subject: &Subject, players: Vec<Player>, play: impl Fn(usize) -> Play) -> (usize, usize) {
    const TURNS: usize = 1_000;
    let executor = subject.start();
    let handle = executor.handle();
    let tasks: Vec<_> = (0..players.len()).map(|me| handle.spawn(play(me))).collect();
    let bystander = {
        let players = players.clone();
        handle.spawn(async move {
            let (mut longest, mut before) = (0, polls(&players));
            for _ in 0..TURNS {
                yield_now().await;
                let now = polls(&players);
                longest = longest.max(now - before);
                before = now;
            }
            longest
        })
    };
    let longest = executor.block_on(bystander).unwrap();
    let all = polls(&players);
    for (player, task) in players.iter().zip(&tasks) {
        task.abort();
        player.slot.take().into_iter().for_each(Waker::wake);
    }
    (longest, all)
}

pub(crate) fn p65_a_task_that_wakes_itself_delays_others_by_64_polls_at_most(subject: &Subject) {
    for tasks in [1, 2] {
        let players: Vec<Player> = (0..tasks).map(|_| Player::default()).collect();
        let their = players.clone();
        let (longest, all) = longest_wait(subject, players, |me| {
            let player = their[me].clone();
            Box::pin(async move {
                loop {
                    player.polls.add();
                    yield_now().await;
                }
            })
        });
        assert!(all > 0, "they have run");
        assert!(longest <= MOST_POLLS * tasks, "{longest} polls of {tasks} before the bystander's");
    }
}

pub(crate) fn p66_two_tasks_that_wake_each_other_delay_others_by_64_polls_at_most(subject: &Subject) {
    let players: Vec<Player> = (0..2).map(|_| Player::default()).collect();
    let their: Arc<[Player]> = players.clone().into();
    let (longest, all) = longest_wait(subject, players, |me| {
        let players = their.clone();
        Box::pin(poll_fn(move |cx| {
            players[me].polls.add();
            players[me].slot.put(cx.waker().clone());
            players[1 - me].slot.take().into_iter().for_each(Waker::wake);
            Poll::Pending
        }))
    });
    assert!(all > 0, "they have run");
    assert!(longest <= MOST_POLLS, "{longest} polls before the bystander's");
}

pub(crate) fn p67_a_task_from_outside_waits_for_64_polls_at_most(subject: &Subject) {
    let executor = subject.start();
    let (handle, polls) = (executor.handle(), Tally::new());
    let busy = {
        let polls = polls.clone();
        handle.spawn(async move {
            loop {
                polls.add();
                yield_now().await;
            }
        })
    };
    for _ in 0..100 {
        let (outside, counted) = (handle.clone(), polls.clone());
        // Nothing else runs while the other thread spawns.
        #[expect(clippy::async_yields_async, reason = "the spawned task waits for the one that returns its handle")]
        let spawner = handle.spawn(async move {
            let before = counted.get();
            thread::spawn(move || outside.spawn(async move { counted.get() - before })).join().unwrap()
        });
        let waited = executor.block_on(async { spawner.await.unwrap().await.unwrap() });
        assert!(waited <= MOST_POLLS, "{waited} polls");
    }
    busy.abort();
}

/// Futures of core that are always ready: names and constructors.
fn leaves(executor: &Arc<dyn Executor>) -> [(&'static str, Arc<dyn Fn() -> Play + Send + Sync>); 2] {
    let executor = executor.clone();
    let join = move || -> Play {
        let (task, handle) = Task::new(async {}, executor.clone());
        assert!(matches!(task.run(), Ran::Finished));
        Box::pin(async { handle.await.unwrap() })
    };
    [("the handle of a finished task", Arc::new(join)), ("consume_budget", Arc::new(|| Box::pin(consume_budget())))]
}

/// Awaits one leaf after another, and counts them.
async fn greedy(leaf: Arc<dyn Fn() -> Play + Send + Sync>, operations: Tally) {
    loop {
        leaf().await;
        operations.add();
    }
}

/// Runs `future`, and reports to `observe` after each poll how many operations it has completed.
async fn each_poll(future: impl Future<Output = ()>, operations: Tally, mut observe: impl FnMut(usize)) {
    let mut future = std::pin::pin!(future);
    poll_fn(|cx: &mut Context<'_>| {
        let before = operations.get();
        let answer = future.as_mut().poll(cx);
        observe(operations.get() - before);
        answer
    })
    .await;
}

pub(crate) fn p79_what_is_always_ready_yields_after_128_operations(subject: &Subject) {
    const POLLS: usize = 100;
    let executor = subject.start();
    for (name, leaf) in leaves(&executor.handle()) {
        let (operations, seen) = (Tally::new(), Trace::new());
        let task = {
            let (operations, seen) = (operations.clone(), seen.clone());
            let observe = move |done: usize| seen.log(done.to_string());
            executor.handle().spawn(each_poll(greedy(leaf, operations.clone()), operations, observe))
        };
        executor.block_on(async {
            while seen.events().len() < POLLS {
                yield_now().await;
            }
            task.abort();
            // Though it never waits: the abort is in force at the end of a poll.
            assert!(task.await.unwrap_err().is_cancelled(), "{name}");
        });
        let most = MOST_OPERATIONS.to_string();
        assert!(seen.events().iter().all(|done| *done == most), "{name}, operations a poll: {seen:?}");
    }
}

pub(crate) fn p79_what_is_always_ready_delays_others_by_128_operations_at_most(subject: &Subject) {
    for leaf in 0..2 {
        let players = vec![Player::default()];
        let operations = players[0].polls.clone();
        let executor = subject.start().handle();
        let (name, leaf) = leaves(&executor).into_iter().nth(leaf).expect("there are two");
        let (longest, all) = longest_wait(subject, players, |_| Box::pin(greedy(leaf.clone(), operations.clone())));
        assert!(all > 0, "it has run");
        assert!(longest <= MOST_OPERATIONS, "{name}: {longest} operations before the bystander's poll");
    }
}

pub(crate) fn p79_what_is_always_ready_ends_with_its_executor(subject: &Subject) {
    let executor = subject.start();
    let (operations, drops) = (Tally::new(), Tally::new());
    let tasks: Vec<_> = leaves(&executor.handle())
        .into_iter()
        .map(|(_, leaf)| executor.handle().spawn(carrying(drops.on_drop(), greedy(leaf, operations.clone()))))
        .collect();
    executor.block_on(async {
        while operations.get() < 10 * MOST_OPERATIONS {
            yield_now().await;
        }
    });
    drop(executor);
    assert_eq!(drops.get(), tasks.len());
    for task in tasks {
        assert!(task.join().unwrap_err().is_shutdown());
    }
}

pub(crate) fn p79_what_is_unconstrained_does_not_yield(subject: &Subject) {
    let executor = subject.start();
    let (operations, seen) = (Tally::new(), Trace::new());
    let task = {
        let (counted, operations) = (operations.clone(), operations);
        let work = async move {
            let some = async {
                for _ in 0..MOST_OPERATIONS / 2 {
                    consume_budget().await;
                    operations.add();
                }
            };
            some.await;
            unconstrained(async {
                for _ in 0..10 * MOST_OPERATIONS {
                    consume_budget().await;
                    operations.add();
                }
            })
            .await;
            // As much of the budget is left as before.
            for _ in 0..MOST_OPERATIONS {
                consume_budget().await;
                operations.add();
            }
        };
        let seen = seen.clone();
        executor.handle().spawn(each_poll(work, counted, move |done| seen.log(done.to_string())))
    };
    executor.block_on(task).unwrap();
    let first = 11 * MOST_OPERATIONS;
    assert_eq!(seen.events(), [first.to_string(), (MOST_OPERATIONS / 2).to_string()]);
}
