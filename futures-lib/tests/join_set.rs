//! Sets of tasks, step by step on a queue, and under load on a pool. What holds on every executor is in the conformance suite.

use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_core::Stream;
use polyexec_conformance::probe::{Gate, OnDrop, Rng, Tally, Trace, carrying, least_until, waker};
use polyexec_conformance::watched;
use polyexec_core::{Executor, JoinError, task};
use polyexec_futures::{JoinSet, yield_now};
use polyexec_local::Local;
use polyexec_pool::Pool;

fn poll_join_next<T>(set: &mut JoinSet<T>) -> Poll<Option<Result<T, JoinError>>> {
    set.poll_join_next(&mut Context::from_waker(Waker::noop()))
}

fn poll_room<T>(set: &mut JoinSet<T>) -> Poll<()> {
    set.poll_room(&mut Context::from_waker(Waker::noop()))
}

/// A waker that counts its calls.
fn counting() -> (Waker, Tally) {
    let wakes = Tally::new();
    let counted = wakes.clone();
    (waker(move || counted.add()), wakes)
}

/// A task that logs its begin, waits for its gate, and logs its end.
fn logged(trace: &Trace, name: &'static str, gate: &Gate) -> impl Future<Output = &'static str> + Send + 'static {
    let (trace, gate) = (trace.clone(), gate.clone());
    async move {
        trace.log(format!("begin {name}"));
        gate.opened().await;
        trace.log(format!("end {name}"));
        name
    }
}

#[test]
fn results_come_in_the_order_of_the_ends() {
    let local = Local::new();
    let mut set = JoinSet::new();
    let gates: Vec<_> = (0..3).map(|_| Gate::new()).collect();
    for (number, gate) in gates.iter().cloned().enumerate() {
        set.spawn_on(&local.handle(), async move {
            gate.opened().await;
            number
        });
    }
    for number in [1, 2, 0] {
        gates[number].open();
        local.run_until_stalled();
    }
    assert_eq!(set.len(), 3);
    let joined = [(); 3].map(|()| set.try_join_next().unwrap().unwrap());
    assert_eq!(joined, [1, 2, 0]);
    assert!(set.is_empty() && set.try_join_next().is_none());
    assert!(matches!(poll_join_next(&mut set), Poll::Ready(None)));
}

#[test]
fn only_an_end_wakes_the_owner_and_once() {
    let local = Local::new();
    let mut set = JoinSet::new();
    let gates: Vec<_> = (0..3).map(|_| Gate::new()).collect();
    for gate in &gates {
        let gate = gate.clone();
        set.spawn_on(&local.handle(), async move { gate.opened().await });
    }
    let (waker, wakes) = counting();
    for _ in 0..3 {
        assert!(set.poll_join_next(&mut Context::from_waker(&waker)).is_pending());
    }
    local.run_until_stalled();
    assert_eq!(wakes.get(), 0, "no task has ended");
    gates[0].open();
    gates[1].open();
    local.run_until_stalled();
    assert_eq!(wakes.get(), 1, "the owner hasn't looked since the first end");
    assert!(set.try_join_next().is_some());
    assert!(set.poll_join_next(&mut Context::from_waker(&waker)).is_ready());
    assert!(set.poll_join_next(&mut Context::from_waker(&waker)).is_pending());
    let (newest, newest_wakes) = counting();
    assert!(set.poll_join_next(&mut Context::from_waker(&newest)).is_pending());
    gates[2].open();
    local.run_until_stalled();
    assert_eq!((wakes.get(), newest_wakes.get()), (1, 1), "the newest waker is woken");
}

#[test]
fn a_task_beyond_the_limit_begins_when_another_has_ended() {
    let local = Local::new();
    let (trace, first, others) = (Trace::new(), Gate::new(), Gate::new());
    let mut set = JoinSet::with_limit(1);
    for (name, gate) in [("a", &first), ("b", &others), ("c", &others)] {
        set.spawn_on(&local.handle(), logged(&trace, name, gate));
    }
    local.run_until_stalled();
    assert_eq!(trace, ["begin a"]);
    first.open();
    local.run_until_stalled();
    assert_eq!(trace, ["begin a", "end a", "begin b"], "nobody has joined a");
    others.open();
    local.run_until_stalled();
    assert_eq!(trace.events()[3..], ["end b", "begin c", "end c"]);
    let names: Vec<_> = local.block_on(set.join_all()).into_iter().map(Result::unwrap).collect();
    assert_eq!(names, ["a", "b", "c"]);
}

/// It is in the queue of the set and in that of its executor.
#[test]
fn a_turn_may_come_before_the_first_poll() {
    let local = Local::new();
    let (trace, open, closed) = (Trace::new(), Gate::new(), Gate::new());
    open.open();
    let mut set = JoinSet::with_limit(1);
    for (name, gate) in [("a", &open), ("b", &closed), ("c", &open)] {
        set.spawn_on(&local.handle(), logged(&trace, name, gate));
    }
    local.run_until_stalled();
    assert_eq!(trace, ["begin a", "end a", "begin b"]);
    closed.open();
    local.run_until_stalled();
    assert_eq!(trace.events()[3..], ["end b", "begin c", "end c"]);
}

#[test]
fn a_turn_that_is_given_up_goes_to_the_next_task() {
    let local = Local::new();
    let (trace, gate) = (Trace::new(), Gate::new());
    let mut set = JoinSet::with_limit(1);
    let mut spawn = |name| set.spawn_on(&local.handle(), logged(&trace, name, &gate));
    let [a, b, c, _d] = ["a", "b", "c", "d"].map(&mut spawn);
    // Aborted before it was polled, and while it waits.
    b.abort();
    local.run_until_stalled();
    c.abort();
    local.run_until_stalled();
    assert_eq!(trace, ["begin a"]);
    a.abort();
    local.run_until_stalled();
    assert_eq!(trace, ["begin a", "begin d"]);

    // It gets its turn, and is aborted before it is polled.
    let [e, _f] = ["e", "f"].map(&mut spawn);
    local.run_until_stalled();
    gate.open();
    let aborter = local.spawn({
        let trace = trace.clone();
        async move {
            while trace.events().last().unwrap() != "end d" {
                yield_now().await;
            }
            e.abort();
        }
    });
    local.block_on(aborter).unwrap();
    local.run_until_stalled();
    assert_eq!(trace.events().last().unwrap(), "end f");
    let outputs: Vec<_> = local.block_on(set.join_all()).into_iter().filter_map(Result::ok).collect();
    assert_eq!(outputs, ["d", "f"]);
}

#[test]
fn a_turn_ends_after_its_future_was_dropped() {
    let local = Local::new();
    let (trace, handle) = (Trace::new(), local.handle());
    let mut set = JoinSet::with_limit(1);
    let logs = trace.clone();
    let runs_others_meanwhile = OnDrop::new(move || {
        handle.block_on(handle.spawn(async {})).unwrap();
        logs.log("a is dropped");
    });
    let a = set.spawn_on(&local.handle(), carrying(runs_others_meanwhile, pending::<()>()));
    let logs = trace.clone();
    set.spawn_on(&local.handle(), async move { logs.log("b begins") });
    local.run_until_stalled();
    a.abort();
    local.run_until_stalled();
    assert_eq!(trace, ["a is dropped", "b begins"]);
}

#[test]
fn a_limit_of_zero_says_so() {
    let panic = catch_unwind(|| JoinSet::<()>::with_limit(0)).unwrap_err();
    assert_eq!(*panic.downcast::<&str>().unwrap(), "a JoinSet with a limit of 0 would never begin a task");
}

#[test]
fn a_panic_ends_a_turn() {
    let local = Local::new();
    let mut set = JoinSet::with_limit(1);
    set.spawn_on(&local.handle(), async { std::panic::resume_unwind(Box::new("planned")) });
    set.spawn_on(&local.handle(), async { 7 });
    let results = local.block_on(set.join_all());
    assert!(matches!(&results[..], [Err(error), Ok(7)] if error.is_panic()), "{results:?}");
}

#[test]
fn room_is_for_one_that_begins_at_once() {
    let local = Local::new();
    let gates = [Gate::new(), Gate::new(), Gate::new()];
    let mut set = JoinSet::with_limit(2);
    let task = |gate: &Gate| {
        let gate = gate.clone();
        async move { gate.opened().await }
    };
    assert!(poll_room(&mut set).is_ready());
    set.spawn_on(&local.handle(), task(&gates[0]));
    assert!(poll_room(&mut set).is_ready());
    set.insert(local.spawn(task(&gates[1])));
    set.spawn_on(&local.handle(), task(&gates[2]));
    let (waker, wakes) = counting();
    assert!(set.poll_room(&mut Context::from_waker(&waker)).is_pending());
    local.run_until_stalled();
    gates[0].open();
    local.run_until_stalled();
    assert_eq!(wakes.get(), 1);
    assert!(set.poll_room(&mut Context::from_waker(&waker)).is_pending(), "one runs that was inserted, and one waited");
    gates[1].open();
    local.run_until_stalled();
    assert_eq!(wakes.get(), 2);
    assert!(set.poll_room(&mut Context::from_waker(&waker)).is_ready(), "two have ended, and weren't joined");
    // One of the two is in the batch that was taken, one was delivered.
    assert!(set.try_join_next().is_some());
    assert!(poll_room(&mut set).is_ready());
    set.detach_all();
    assert!(poll_room(&mut set).is_ready());

    let mut without_limit = JoinSet::new();
    without_limit.spawn_on(&local.handle(), pending::<()>());
    assert!(poll_room(&mut without_limit).is_ready());
}

#[test]
fn a_detached_task_goes_on_and_is_not_taken_for_a_new_one() {
    let local = Local::new();
    let (trace, old, new) = (Trace::new(), Gate::new(), Gate::new());
    let mut set = JoinSet::with_limit(1);
    set.spawn_on(&local.handle(), logged(&trace, "old", &old));
    set.spawn_on(&local.handle(), logged(&trace, "waits", &old));
    set.detach_all();
    assert!(set.is_empty());
    set.spawn_on(&local.handle(), logged(&trace, "new", &new));
    assert!(poll_join_next(&mut set).is_pending());
    local.run_until_stalled();
    assert_eq!(trace, ["begin old", "begin new"]);
    old.open();
    local.run_until_stalled();
    assert_eq!(trace.events()[2..], ["end old", "begin waits", "end waits"]);
    assert!(poll_join_next(&mut set).is_pending() && set.try_join_next().is_none());
    new.open();
    assert_eq!(local.block_on(set.join_next()).unwrap().unwrap(), "new");
}

#[test]
fn dropping_a_set_aborts_what_is_left() {
    let local = Local::new();
    let drops = Tally::new();
    let mut set = JoinSet::with_limit(2);
    for _ in 0..4 {
        set.spawn_on(&local.handle(), carrying(drops.on_drop(), pending::<()>()));
    }
    local.run_until_stalled();
    drop(set);
    assert_eq!(drops.get(), 0, "the executor drops the futures");
    local.run_until_stalled();
    assert_eq!(drops.get(), 4);
}

#[test]
fn a_shutdown_waits_for_the_ends_and_may_be_given_up() {
    let local = Local::new();
    let drops = Tally::new();
    let mut set = JoinSet::new();
    for _ in 0..3 {
        set.spawn_on(&local.handle(), carrying(drops.on_drop(), pending::<()>()));
    }
    {
        let mut given_up = Box::pin(set.shutdown());
        assert!(given_up.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    assert_eq!((set.len(), drops.get()), (3, 0));
    local.block_on(set.shutdown());
    assert_eq!((set.len(), drops.get()), (0, 3));
}

#[test]
fn tasks_of_any_kind_can_be_inserted() {
    let local = Local::new();
    let mut set = JoinSet::new();
    let not_send = std::rc::Rc::new(1);
    set.insert(local.spawn_local(async move { *not_send }));
    set.insert(task::Builder::new().name("named").spawn_on(&local.handle(), async { panic!("planned") }));
    let finished = local.spawn(async { 3 });
    local.run_until_stalled();
    assert!(finished.is_finished());
    set.insert(finished);
    let results = std::iter::from_fn(|| set.try_join_next()).collect::<Vec<_>>();
    let names: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()?.task().name()).collect();
    assert_eq!((names, results.len()), (vec!["named"], 3));
}

#[test]
fn without_an_executor_the_result_says_why() {
    let mut set = JoinSet::new();
    set.spawn(async {});
    let error = set.try_join_next().unwrap().unwrap_err();
    assert!(error.is_rejected(), "{error}");
    assert_eq!(error.task().location().file(), file!());
}

#[test]
fn a_waker_may_end_other_tasks_in_its_call_and_in_its_drop() {
    /// Adds a task that ends while the value is dropped, since its executor shuts down.
    fn ends_when_dropped(set: &mut JoinSet<()>) -> Mutex<OnDrop> {
        let pool = Pool::builder().worker_threads(1).build().unwrap();
        set.spawn_on(&pool.handle(), pending());
        Mutex::new(OnDrop::new(|| drop(pool)))
    }

    watched!();
    let mut set = JoinSet::with_limit(2);
    let in_drop = ends_when_dropped(&mut set);
    let in_call = Mutex::new(Some(ends_when_dropped(&mut set)));
    let replaced = waker(move || {
        let _dropped_with_the_waker = &in_drop;
    });
    let newest = waker(move || drop(in_call.lock().unwrap().take()));
    assert!(set.poll_join_next(&mut Context::from_waker(&replaced)).is_pending());
    drop(replaced);
    // Drops the waker before, whose task ends and wakes the newest, whose task ends.
    assert!(set.poll_join_next(&mut Context::from_waker(&newest)).is_pending());
    for _ in 0..2 {
        assert!(set.try_join_next().unwrap().unwrap_err().is_shutdown());
    }
}

#[test]
fn a_poll_takes_as_many_results_as_its_budget_allows_and_loses_none() {
    let local = Local::new();
    let mut set = JoinSet::new();
    for _ in 0..200 {
        set.spawn_on(&local.handle(), async {});
    }
    local.run_until_stalled();
    let mut polls = Vec::new();
    local.block_on(poll_fn(|cx| {
        let mut taken = 0;
        while let Poll::Ready(result) = set.poll_join_next(cx) {
            match result {
                Some(result) => result.unwrap(),
                None => {
                    polls.push(taken);
                    return Poll::Ready(());
                }
            }
            taken += 1;
        }
        polls.push(taken);
        Poll::Pending
    }));
    assert_eq!(polls, [128, 72]);
}

#[test]
fn it_is_a_stream() {
    let local = Local::new();
    let mut set = JoinSet::new();
    set.spawn_on(&local.handle(), async { 5 });
    assert_eq!(set.size_hint(), (1, Some(1)));
    local.block_on(async {
        let next = poll_fn(|cx| Pin::new(&mut set).poll_next(cx)).await;
        assert_eq!(next.unwrap().unwrap(), 5);
        assert!(poll_fn(|cx| Pin::new(&mut set).poll_next(cx)).await.is_none());
    });
}

#[test]
fn a_result_costs_the_same_however_many_tasks_wait() {
    watched!();
    /// The time for a thousand results, while as many others wait.
    fn measured(waiting: usize) -> Duration {
        let local = Local::new();
        let mut set = JoinSet::new();
        for _ in 0..waiting {
            set.spawn_on(&local.handle(), pending());
        }
        local.run_until_stalled();
        let begin = Instant::now();
        local.block_on(async {
            for _ in 0..1_000 {
                set.spawn(async {});
                set.join_next().await.unwrap().unwrap();
            }
        });
        begin.elapsed()
    }
    // Looking at all of them would take a thousand times as long.
    let ratios = (0..20).map(|_| (measured(100_000).as_nanos() / measured(100).as_nanos().max(1)) as u64);
    let ratio = least_until(20, ratios);
    assert!(ratio <= 20, "{ratio}");
}

#[test]
fn no_result_is_lost_or_doubled_on_many_threads() {
    watched!();
    let pool = Pool::builder().worker_threads(2).build().unwrap();
    let mut rng = Rng::new(88);
    for round in 0..300 {
        let (limit, tasks) = (1 + rng.below(4) as usize, rng.below(40) as usize);
        let mut set = if round % 2 == 0 { JoinSet::new() } else { JoinSet::with_limit(limit) };
        let running = Tally::new();
        let mut rng = rng.fork();
        let root = pool.spawn(async move {
            let (mut joined, mut aborted) = (0, 0);
            for number in 0..tasks {
                let (ended, before) = (running.on_drop(), running.clone());
                let aborter = set.spawn(async move {
                    for _ in 0..number % 3 {
                        yield_now().await;
                    }
                    drop((ended, before));
                });
                match rng.below(8) {
                    0 => aborter.abort(),
                    1 => set.room().await,
                    2 => joined += usize::from(set.try_join_next().is_some()),
                    3 => joined += usize::from(set.join_next().await.is_some()),
                    4 if number % 5 == 0 => {
                        aborted += set.len();
                        set.detach_all();
                    }
                    _ => {}
                }
            }
            while set.join_next().await.is_some() {
                joined += 1;
            }
            (joined, aborted)
        });
        let (joined, detached) = pool.block_on(root).unwrap();
        assert_eq!(joined + detached, tasks, "round {round}");
    }
}

#[test]
fn an_unwound_set_is_whole() {
    let local = Local::new();
    let mut set = JoinSet::new();
    set.spawn_on(&local.handle(), async { 1 });
    let panics = waker(|| panic!("planned"));
    assert!(set.poll_join_next(&mut Context::from_waker(&panics)).is_pending());
    let _ = catch_unwind(AssertUnwindSafe(|| local.run_until_stalled()));
    assert_eq!(set.try_join_next().unwrap().unwrap(), 1);
}
