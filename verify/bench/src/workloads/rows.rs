//! The table of rows: which workload, of which size, on whom.

use std::time::Duration;

use super::PoolWorkload;
use super::batch::{Batch, Counters, OneCounter, Yields};
use super::baton::HandOver;
use super::block_on;
use super::blocked::Blocked;
use super::busy::Busy;
use super::fork_join::Fib;
use super::io;
use super::memory::{Waiting, resident_elsewhere};
use super::messages::{Funnel, PingPong, WakeOutside};
use super::sets;
use super::spawning::{Chain, FromOutside, FromTask, OneByOne};
use super::threads::Joined;
use crate::contestants::async_executor::AsyncExecutor;
use crate::contestants::plain::poll_loop;
use crate::contestants::polyexec::OurPool;
use crate::contestants::threads::{Cached, Fresh, SpawnBlocking, Std};
use crate::contestants::tokio::Tokio;
use crate::contestants::{Named, Pool};
use crate::growth::Growth;
use crate::row::{Contestant, Row, WORKERS, on_pool};

/// The names of limits.
const BOXES: &str = "no executor: boxes polled once";
const IN_TURN: &str = "no executor: polled in turn";
const LOOP: &str = "no executor: a poll loop";

pub fn rows() -> Vec<Row> {
    let spawns = FromTask { tasks: 50_000 };
    let yields = Batch(Yields { tasks: 200, yields: 500 });
    let counters = Batch(Counters { tasks: 1_000, polls: 100 });
    let one_counter = OneCounter { polls: 100_000 };
    let ping_pong = Batch(PingPong { pairs: 100, round_trips: 500 });
    let hand_over = Batch(HandOver { pairs: 100, round_trips: 500 });
    let funnel = Batch(Funnel { senders: 64, messages_each: 1_000, room: 64 });
    let busy = Busy::calibrated(2_000, Duration::from_micros(20));
    let waiting = Waiting { tasks: 100_000 };
    let joined = Joined { rounds: 20, tasks: 100, polls: 10 };

    let mut rows = vec![
        Row::new(
            "spawn_outside",
            "ns/task",
            "The main thread spawns 50,000 tasks that are ready at once, then blocks until it has awaited them in order. \
             The limit boxes as many futures, keeps them, polls each once and drops it.",
        )
        .pools(FromOutside { tasks: 50_000 })
        .limit(BOXES, move || spawns.boxes()),
        Row::new("spawn_worker", "ns/task", "The same from inside a task. The limit is the same, too.")
            .pools(spawns)
            .limit(BOXES, move || spawns.boxes()),
        Row::new("spawn_await", "ns/task", "A task spawns one and awaits it, 20,000 times.")
            .pools(OneByOne { tasks: 20_000 }),
        Row::new(
            "yields",
            "ns/yield",
            "A task spawns 200 that each yield 500 times, and awaits them. nexosim has no handles: it runs the 200 until \
             none is ready, here and in the other rows.",
        )
        .pools(yields)
        .with(yields.on_nexosim()),
        Row::new(
            "counter",
            "ns/poll",
            "A task spawns 1,000 Counters of 100 polls each, and awaits them. The limit boxes the same futures, and polls \
             them in turn on one thread until all are ready.",
        )
        .pools(counters)
        .with(counters.on_nexosim())
        .limit(IN_TURN, move || counters.in_turn()),
        Row::new(
            "one_counter",
            "ns/poll",
            "One Counter of 100,000 polls is spawned and awaited from outside. The limit polls it in a loop.",
        )
        .pools(one_counter)
        .limit(LOOP, move || one_counter.timed(poll_loop)),
        Row::new(
            "ping_pong",
            "ns/round trip",
            "100 pairs of tasks, 500 round trips each over two channels with room for one message. The limit polls them in \
             turn on one thread; two could take half of that.",
        )
        .pools(ping_pong)
        .with(ping_pong.on_nexosim())
        .limit(IN_TURN, move || ping_pong.in_turn()),
        Row::new(
            "hand_over",
            "ns/round trip",
            "The same without channels: each number is passed by a waker and two atomic operations, so that it is the \
             executor that is measured.",
        )
        .pools(hand_over)
        .with(hand_over.on_nexosim())
        .limit(IN_TURN, move || hand_over.in_turn()),
        Row::new(
            "funnel",
            "ns/message",
            "64 tasks send 1,000 messages each to one task, over one channel with room for 64.",
        )
        .pools(funnel)
        .with(funnel.on_nexosim())
        .limit(IN_TURN, move || funnel.in_turn()),
        Row::new("chain", "ns/task", "20,000 tasks: each spawns the next one and ends. The last one tells the main thread.")
            .pools(Chain { tasks: 20_000 }),
        Row::new("fib", "ns/task", "Fibonacci 22 by fork and join: a task a branch, 57,313 in all.").pools(Fib { n: 22 }),
        Row::new(
            "wake_outside",
            "µs/round trip",
            "2,000 times: the main thread sends to a task over a channel, and blocks for the reply over another one.",
        )
        .pools(WakeOutside { round_trips: 2_000 }),
        Row::new(
            "work",
            "µs/task",
            "A task spawns 2,000 that each compute for about 20 µs, and awaits them. The limit is two plain threads with \
             half of it each.",
        )
        .pools(busy)
        .limit("no executor: two threads", move || busy.on_threads()),
        Row::new(
            "blocked",
            "ms",
            "Both workers are in polls that sleep for 100 ms without saying so: when has a new task run? tokio's users are \
             told to use `spawn_blocking` instead.",
        )
        .pools(Blocked(Duration::from_millis(100))),
        Row::new(
            "memory",
            "B/task",
            "100,000 tasks that were polled once and wait, with a payload of 64 bytes each: what is allocated for them and \
             their handles, in a Vec of the exact size. The limit is as many boxed futures in a Vec.",
        )
        .pools(waiting)
        .limit("no executor: boxes", move || waiting.boxes()),
        Row::new("local_spawn", "ns/task", "On a local executor: spawn_worker, from the future that is blocked on.")
            .locals(spawns)
            .limit(BOXES, move || spawns.boxes()),
        Row::new("local_yield", "ns/yield", "On a local executor: yields. The limit polls in turn, as for counter.")
            .locals(yields)
            .limit(IN_TURN, move || yields.in_turn()),
        Row::new("local_counter", "ns/poll", "On a local executor: counter.")
            .locals(counters)
            .limit(IN_TURN, move || counters.in_turn()),
        Row::new("local_ping_pong", "ns/round trip", "On a local executor: ping_pong.")
            .locals(ping_pong)
            .limit(IN_TURN, move || ping_pong.in_turn()),
        Row::new("local_hand_over", "ns/round trip", "On a local executor: hand_over.")
            .locals(hand_over)
            .limit(IN_TURN, move || hand_over.in_turn()),
    ];

    let mut row = Row::new(
        "block_on",
        "ns/poll",
        "The main thread blocks on a Counter of 100,000 polls, outside of any executor. The limit polls it in a loop.",
    );
    for contestant in block_on::contestants(one_counter) {
        row = row.with(contestant);
    }
    rows.push(row.limit(LOOP, move || one_counter.timed(poll_loop)));
    let calls = block_on::Calls { calls: 100_000 };
    let about = "100,000 times: the main thread blocks on a future that is ready, outside of any executor.";
    let ready = [("block_on_ready", calls.contestants()), ("block_on_ready_core", calls.contestants_in_core())];
    for (name, contestants) in ready {
        rows.push(contestants.into_iter().fold(Row::new(name, "ns/call", about), Row::with));
    }
    rows.push(
        Row::new(
            "threads_cached",
            "µs/task",
            "20 times: 100 Counters of 10 polls each are spawned on a thread each, and joined in order.",
        )
        .with(joined.on::<Cached>())
        .with(joined.on::<SpawnBlocking>()),
    );
    rows.push(
        Row::new("threads_fresh", "µs/task", "The same, with a new thread for each task.")
            .with(joined.on::<Fresh>())
            .with(joined.on::<Std>()),
    );
    rows.extend(groups());
    rows.extend(io::rows());
    rows
}

/// Tasks in groups, and what cancels them.
fn groups() -> [Row; 4] {
    let set = sets::Groups { groups: 1, size: 50_000 };
    let scopes = sets::Groups { groups: 500, size: 100 };
    let waiters = sets::Waiters(100_000);
    let children = sets::Children(100_000);
    let row =
        |name, unit, what, contestants: Vec<_>| contestants.into_iter().fold(Row::new(name, unit, what), Row::with);
    [
        row(
            "join_set",
            "ns/task",
            "A task spawns 50,000 that are ready at once into a set, and joins them in the order of their ends.",
            set.sets().into(),
        ),
        row(
            "scope",
            "ns/task",
            "500 times: a task opens a scope with 100 children that are ready at once, and has their outputs. tokio has no \
             scope: its set is joined to the end instead.",
            scopes.scopes().into(),
        ),
        row(
            "cancellation",
            "ns/waiter",
            "100,000 futures wait for one token, which is cancelled; then each is ready. Polled by hand, with one waker.",
            waiters.contestants().into(),
        ),
        row(
            "child_tokens",
            "ns/token",
            "100,000 children of one token are made, and then dropped.",
            children.contestants().into(),
        ),
    ]
}

pub fn growth() -> Vec<Growth> {
    let sizes = [1_000, 10_000, 100_000, 1_000_000].map(|tasks| FromOutside { tasks });
    let yields = Batch(Yields { tasks: 200, yields: 500 });
    let spawns = FromTask { tasks: 50_000 };
    let waiting = Waiting { tasks: 1_000_000 };
    vec![
        Growth::new(
            "tasks",
            "ns/task",
            &["1,000", "10,000", "100,000", "1,000,000"],
            "spawn_outside with more and more tasks.",
        )
        .line(sizes.map(|workload| on_pool::<OurPool>(workload, WORKERS)))
        .line(sizes.map(|workload| on_pool::<Tokio>(workload, WORKERS)))
        .line(sizes.map(|workload| on_pool::<AsyncExecutor>(workload, WORKERS))),
        workers("workers_yields", "ns/yield", "yields with more and more workers.", yields),
        workers("workers_spawn", "ns/task", "spawn_worker with more and more workers.", spawns),
        Growth::new(
            "million_waiting",
            "B/task",
            &["allocated", "resident"],
            "memory with 1,000,000 tasks: what is allocated for each, and what becomes resident for each in a new process.",
        )
        .line(allocated_and_resident::<OurPool>(waiting))
        .line(allocated_and_resident::<Tokio>(waiting))
        .line(allocated_and_resident::<AsyncExecutor>(waiting)),
    ]
}

fn workers(name: &'static str, unit: &'static str, what: &'static str, workload: impl PoolWorkload) -> Growth {
    let numbers = [1, 2, 8, 64];
    Growth::new(name, unit, &["1", "2", "8", "64"], what)
        .line(numbers.map(|workers| on_pool::<OurPool>(workload, workers)))
        .line(numbers.map(|workers| on_pool::<Tokio>(workload, workers)))
        .line(numbers.map(|workers| on_pool::<AsyncExecutor>(workload, workers)))
}

fn allocated_and_resident<P: Pool>(waiting: Waiting) -> [Contestant; 2] {
    let resident = Contestant::named::<P>(move || resident_elsewhere(<P as Named>::NAME, waiting.tasks));
    [on_pool::<P>(waiting, WORKERS), resident]
}
