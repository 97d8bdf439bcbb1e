//! How many polls a task waits for its turn, on a single worker that is never idle.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Poll, Waker};
use std::thread;

use polyexec_conformance::probe::WakerSlot;
use polyexec_conformance::watched;
use polyexec_core::{Executor, JoinHandle};
use polyexec_futures::yield_now;
use polyexec_pool::Pool;

fn pool(workers: usize) -> Pool {
    Pool::builder().worker_threads(workers).build().unwrap()
}

/// The most polls of two busy tasks between two polls of a bystander.
fn longest_wait(
    pool: &Pool,
    busy: impl Fn(usize, Arc<[Player; 2]>) -> Pin<Box<dyn Future<Output = ()> + Send>>,
) -> usize {
    let players: Arc<[Player; 2]> = Arc::default();
    let handle = pool.handle();
    let tasks = [0, 1].map(|n| busy(n, players.clone()));
    pool.spawn(async move {
        let tasks = tasks.map(|task| handle.spawn(task));
        let bystander = players.clone();
        let waits = handle.spawn(async move {
            let polls = || bystander.iter().map(|player| player.polls.load(SeqCst)).sum::<usize>();
            let (mut longest, mut home) = (0, thread::current().id());
            let mut before = polls();
            for _ in 0..1_000 {
                yield_now().await;
                let (now, here) = (polls(), thread::current().id());
                // Its worker may have been replaced, on a busy machine.
                if std::mem::replace(&mut home, here) == here {
                    longest = longest.max(now - before);
                }
                before = now;
            }
            longest
        });
        let longest = waits.await.unwrap();
        for (player, task) in players.iter().zip(&tasks) {
            task.abort();
            player.slot.take().into_iter().for_each(Waker::wake);
        }
        longest
    })
    .join()
    .unwrap()
}

#[derive(Default)]
struct Player {
    polls: AtomicUsize,
    slot: WakerSlot,
}

#[test]
fn two_tasks_that_wake_each_other_delay_a_bystander_by_34_polls_at_most() {
    watched!();
    let longest = longest_wait(&pool(1), |n, players| {
        Box::pin(poll_fn(move |cx| {
            players[n].polls.fetch_add(1, SeqCst);
            players[n].slot.put(cx.waker().clone());
            players[1 - n].slot.take().into_iter().for_each(Waker::wake);
            Poll::Pending
        }))
    });
    // One of the two may wait before it. Before each of them come 16 polls from the LIFO slot. At least one, or the tasks
    // didn't run.
    assert!((1..=34).contains(&longest), "{longest} polls");
}

#[test]
fn tasks_that_wake_themselves_delay_a_bystander_by_one_poll_each() {
    watched!();
    let longest = longest_wait(&pool(1), |n, players| {
        Box::pin(async move {
            loop {
                players[n].polls.fetch_add(1, SeqCst);
                yield_now().await;
            }
        })
    });
    assert_eq!(longest, 2);
}

#[test]
fn an_outsider_waits_for_61_polls_at_most() {
    watched!();
    let (pool, polls) = (pool(1), Arc::default());
    let busy = busy(&pool, &polls);
    for _ in 0..100 {
        let waited = waited_from_outside(&pool, &polls, 1);
        assert!(waited <= 61, "{waited} polls");
    }
    busy.abort();
}

#[test]
fn a_flood_from_outside_has_its_share_of_the_polls() {
    watched!();
    const FLOOD: usize = 1_000;
    let (pool, polls) = (pool(1), Arc::default());
    let busy = busy(&pool, &polls);
    let waited = waited_from_outside(&pool, &polls, FLOOD);
    assert!(waited <= 2 * FLOOD, "a task of {FLOOD} has waited for {waited} polls");
    busy.abort();
}

#[test]
fn a_few_outsiders_do_not_wait_for_all_that_are_there() {
    watched!();
    const THERE: usize = 2_000;
    const OUTSIDERS: usize = 10;
    let (pool, polls) = (pool(1), Arc::<Polls>::default());
    let busy: Vec<_> = (0..THERE).map(|_| busy(&pool, &polls)).collect();
    // By then each is in the worker's queue, or will be before the measured tasks.
    while polls.all.load(SeqCst) < 3 * THERE {
        thread::yield_now();
    }
    let waited = waited_from_outside(&pool, &polls, OUTSIDERS);
    assert!(waited <= 61 * OUTSIDERS, "a task of {OUTSIDERS} has waited for {waited} polls");
    busy.into_iter().for_each(|busy| busy.abort());
}

#[derive(Default)]
struct Polls {
    all: AtomicUsize,
    /// Polls on another thread than the task's last one.
    moved: AtomicUsize,
}

/// A task that counts its polls and is always ready.
fn busy(pool: &Pool, polls: &Arc<Polls>) -> JoinHandle<()> {
    let polls = polls.clone();
    pool.spawn(async move {
        let mut home = thread::current().id();
        loop {
            polls.all.fetch_add(1, SeqCst);
            yield_now().await;
            let here = thread::current().id();
            if std::mem::replace(&mut home, here) != here {
                polls.moved.fetch_add(1, SeqCst);
            }
        }
    })
}

/// The most polls that a task waits for, of `outsiders` that another thread spawns while the only worker stands still.
///
/// On a busy machine the worker may be replaced around that time, and its successor then polls other tasks, or takes the last
/// task from the injector. This shows in tasks that move to another thread, and the measurement is repeated.
fn waited_from_outside(pool: &Pool, polls: &Arc<Polls>, outsiders: usize) -> usize {
    loop {
        let moved = polls.moved.load(SeqCst);
        let waited = waited_in_this_round(pool, polls, outsiders);
        if polls.moved.load(SeqCst) == moved {
            return waited;
        }
    }
}

fn waited_in_this_round(pool: &Pool, polls: &Arc<Polls>, outsiders: usize) -> usize {
    let (outside, counted) = (pool.handle(), polls.clone());
    let outsiders = pool.spawn(async move {
        let one = move || {
            let (before, counted) = (counted.all.load(SeqCst), counted.clone());
            outside.spawn(async move { counted.all.load(SeqCst) - before })
        };
        let spawner = thread::spawn(move || (0..outsiders).map(|_| one()).collect::<Vec<_>>());
        // Awake: a worker whose poll sleeps is replaced.
        while !spawner.is_finished() {
            std::hint::spin_loop();
        }
        spawner.join().unwrap()
    });
    outsiders.join().unwrap().into_iter().map(|outsider| outsider.join().unwrap()).max().unwrap()
}
