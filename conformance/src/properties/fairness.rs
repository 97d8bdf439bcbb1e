//! Who runs next, where tasks run one at a time: properties 65 to 67.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::thread;

use polyexec_core::Executor;
use polyexec_futures::yield_now;

use crate::Subject;
use crate::probe::{Tally, WakerSlot};

/// Polls of others that a task which is ready has to wait for, at most.
const MOST_POLLS: usize = 64;

/// One of those that keep the executor busy.
#[derive(Clone, Default)]
struct Player {
    polls: Tally,
    slot: WakerSlot,
}

type Play = Pin<Box<dyn Future<Output = ()> + Send>>;

fn polls(players: &[Player]) -> usize {
    players.iter().map(|player| player.polls.get()).sum()
}

/// How many polls of `players` came between two of a bystander, at most, and how many in all.
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
        #[expect(
            clippy::async_yields_async,
            reason = "the task that was spawned waits for the one that gives its handle"
        )]
        let spawner = handle.spawn(async move {
            let before = counted.get();
            thread::spawn(move || outside.spawn(async move { counted.get() - before })).join().unwrap()
        });
        let waited = executor.block_on(async { spawner.await.unwrap().await.unwrap() });
        assert!(waited <= MOST_POLLS, "{waited} polls");
    }
    busy.abort();
}
