//! The dump of live tasks, on each executor.

use std::future::{pending, poll_fn};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use polyexec_conformance::probe::{Gate, WakerSlot};
use polyexec_core::{Executor, Handle, JoinHandle, task, yield_now};
use polyexec_local::Local;
use polyexec_observe::{Dump, Stuck, TaskState, Tasks};
use polyexec_pool::Pool;
use polyexec_threaded::Threaded;

/// Calls `check` on a new executor of each kind that `tasks` observes.
fn on_each(check: impl Fn(&Handle, &Tasks)) {
    let tasks = Tasks::new();
    let pool = Pool::builder().worker_threads(2).observer(tasks.clone()).build().unwrap();
    check(&Handle::new(pool.handle()), &tasks);
    drop(pool);
    let threaded = Threaded::builder().observer(tasks.clone()).build().unwrap();
    check(&Handle::new(threaded.handle()), &tasks);
    drop(threaded);
    let local = Local::builder().observer(tasks.clone()).build();
    check(&Handle::new(local.handle()), &tasks);
    drop(local);
    assert!(tasks.dump().tasks().is_empty(), "{}", tasks.dump());
}

/// The dump in which all these tasks are idle.
fn all_idle(executor: &Handle, tasks: &Tasks, ids: &[u64]) -> Dump {
    loop {
        let dump = tasks.dump();
        let is_idle = |id| dump.task(id).is_some_and(|task| matches!(task.state(), TaskState::Idle { .. }));
        if ids.iter().all(|id| is_idle(*id)) {
            return dump;
        }
        executor.block_on(yield_now());
    }
}

#[test]
fn a_dump_says_what_each_task_does() {
    polyexec_conformance::watched!();
    on_each(|executor, tasks| {
        let go = Gate::new();
        let (opened, spawns) = (go.clone(), executor.clone());
        let parent = task::Builder::new().name("parent\n").spawn_on(executor, async move {
            let child = spawns.spawn(async move {
                yield_now().await;
                yield_now().await;
                opened.opened().await;
            });
            child.await.unwrap();
        });
        let id = parent.id().get();
        all_idle(executor, tasks, &[id]);
        // A dump lists the tasks first, so that one may have missed the child.
        let dump = tasks.dump();
        let child = dump.tasks().iter().find(|task| task.parent() == Some(id)).expect("its child lives").id();
        let dump = all_idle(executor, tasks, &[id, child]);
        assert_eq!(dump.tasks().len(), 2, "{dump}");
        let (parent_is, child_is) = (dump.task(id).unwrap(), dump.task(child).unwrap());
        assert_eq!((parent_is.polls(), parent_is.wakes(), parent_is.wakers()), (1, 0, 1), "{dump}");
        assert_eq!((child_is.polls(), child_is.wakes(), child_is.wakers()), (3, 2, 1), "{dump}");
        assert_eq!((child_is.woken_by(), child_is.awaited_by()), (Some(child), Some(id)), "{dump}");
        assert_eq!((parent_is.name(), parent_is.awaited_by(), parent_is.parent()), (Some("parent\n"), None, None));
        assert!(child_is.busy() > Duration::ZERO && child_is.busy() <= child_is.age());
        assert!(parent_is.location().file().ends_with("tasks.rs"));
        assert!(dump.stuck().is_empty(), "{dump}");
        let text = dump.to_string();
        assert_eq!(text.lines().count(), 2);
        assert!(text.contains(&format!("awaited by task {id} `parent\\n`")), "{text}");
        go.open();
        executor.block_on(parent).unwrap();
    });
}

#[test]
fn a_task_that_runs_and_one_that_is_ready_are_told_apart() {
    polyexec_conformance::watched!();
    let tasks = Tasks::new();
    let pool = Pool::builder().worker_threads(1).spare_threads(0).observer(tasks.clone()).build().unwrap();
    let (begun, end) = (Gate::new(), Gate::new());
    let (begins, ends) = (begun.clone(), end.clone());
    let runs = pool.spawn(async move {
        begins.open();
        ends.wait();
    });
    pool.block_on(begun.opened());
    let ready = pool.spawn(async {});
    let dump = tasks.dump();
    assert!(matches!(dump.task(runs.id().get()).unwrap().state(), TaskState::Running { .. }), "{dump}");
    assert!(matches!(dump.task(ready.id().get()).unwrap().state(), TaskState::Queued { .. }), "{dump}");
    assert!(dump.stuck().is_empty() && dump.to_string().contains(": runs for "), "{dump}");
    end.open();
    ready.join().unwrap();
    runs.join().unwrap();
}

#[test]
fn a_lost_waker_is_named() {
    polyexec_conformance::watched!();
    on_each(|executor, tasks| {
        let lost = task::Builder::new().name("lost").spawn_on(executor, pending::<()>());
        let slot = WakerSlot::new();
        let keeps = slot.clone();
        let kept = executor.spawn(poll_fn(move |cx| {
            keeps.put(cx.waker().clone());
            Poll::<()>::Pending
        }));
        let ids = [lost.id().get(), kept.id().get()];
        let dump = all_idle(executor, tasks, &ids);
        assert_eq!(dump.stuck(), [Stuck::NoWaker { task: ids[0] }], "{dump}");
        assert!(dump.to_string().ends_with("`lost` waits, and nothing has its waker\n"), "{dump}");
        // Whoever had the other's waker has dropped it.
        drop(slot.take());
        let both = [Stuck::NoWaker { task: ids[0] }, Stuck::NoWaker { task: ids[1] }];
        let stuck = tasks.dump().stuck().to_vec();
        assert!(both.iter().all(|task| stuck.contains(task)), "{stuck:?}");
        lost.abort();
        kept.abort();
        executor.block_on(lost).unwrap_err();
        executor.block_on(kept).unwrap_err();
    });
}

#[test]
fn tasks_that_await_each_other_are_named() {
    polyexec_conformance::watched!();
    /// Where a task finds the handle that it awaits.
    type Place = Arc<Mutex<Option<JoinHandle<()>>>>;

    async fn awaits(place: Place, look: Gate) {
        look.opened().await;
        let handle = place.lock().unwrap().take().expect("it is there");
        let _ended = handle.await;
    }
    on_each(|executor, tasks| {
        for length in 1..4 {
            let look = Gate::new();
            let places: Vec<Place> = (0..length).map(|_| Place::default()).collect();
            let handles: Vec<_> =
                places.iter().map(|place| executor.spawn(awaits(place.clone(), look.clone()))).collect();
            let ids: Vec<_> = handles.iter().map(|handle| handle.id().get()).collect();
            let aborts: Vec<_> = handles.iter().map(JoinHandle::abort_handle).collect();
            // Each awaits the next.
            for (at, handle) in handles.into_iter().enumerate() {
                *places[(at + length - 1) % length].lock().unwrap() = Some(handle);
            }
            assert!(tasks.dump().stuck().iter().all(|stuck| !matches!(stuck, Stuck::JoinCycle { .. })));
            look.open();
            let cycle = loop {
                let dump = all_idle(executor, tasks, &ids);
                match dump.stuck() {
                    [Stuck::JoinCycle { tasks }] => break tasks.clone(),
                    _ => executor.block_on(yield_now()),
                }
            };
            let first = cycle.iter().position(|id| *id == ids[0]).expect("all are in it");
            let rotated: Vec<_> = cycle[first..].iter().chain(&cycle[..first]).copied().collect();
            assert_eq!(rotated, ids, "each awaits the next");
            let line = format!("task {} awaits task {}", ids[0], ids[1 % length]);
            assert!(tasks.dump().to_string().contains(&line), "{}", tasks.dump());
            aborts.iter().for_each(|task| task.abort());
            while !tasks.dump().tasks().is_empty() {
                executor.block_on(yield_now());
            }
        }
    });
}

/// Polled once in a select and left alone since then, a handle isn't awaited.
#[test]
fn a_handle_of_an_earlier_poll_makes_no_cycle() {
    let tasks = Tasks::new();
    let local = Local::builder().observer(tasks.clone()).build();
    let place: Arc<Mutex<Option<JoinHandle<()>>>> = Arc::default();
    let (slot, finds) = (WakerSlot::new(), place.clone());
    let keeps = slot.clone();
    let mut polls = 0;
    let once = local.spawn(poll_fn(move |cx| {
        polls += 1;
        keeps.put(cx.waker().clone());
        let mut handle = finds.lock().unwrap();
        let own = handle.as_mut().expect("its own handle");
        // Its first poll only.
        if polls == 1 { own.poll_finished(cx) } else { Poll::Pending }
    }));
    let (id, abort) = (once.id().get(), once.abort_handle());
    *place.lock().unwrap() = Some(once);
    local.run_until_stalled();
    assert_eq!(tasks.dump().stuck(), [Stuck::JoinCycle { tasks: vec![id] }], "{}", tasks.dump());
    slot.get().map(Waker::wake).expect("it left its waker");
    local.run_until_stalled();
    assert!(tasks.dump().stuck().is_empty(), "{}", tasks.dump());
    abort.abort();
    local.run_until_stalled();
    drop(place.lock().unwrap().take());
}

#[test]
fn many_tasks_are_dumped() {
    const MANY: usize = 100_000;
    let tasks = Tasks::new();
    let local = Local::builder().observer(tasks.clone()).build();
    let handles: Vec<_> = (0..MANY).map(|_| local.spawn(pending::<()>())).collect();
    local.run_until_stalled();
    let dump = tasks.dump();
    assert_eq!((dump.tasks().len(), dump.stuck().len()), (MANY, MANY));
    drop((local, handles));
    assert!(tasks.dump().tasks().is_empty());
}
