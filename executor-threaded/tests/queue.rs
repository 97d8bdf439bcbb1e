//! Tasks that wait for a thread, and shutdowns with a timeout.

use std::future::pending;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use polyexec_conformance::probe::{Gate, OnDrop, Tally, Trace, carrying};
use polyexec_conformance::watched;
use polyexec_core::{Executor, JoinHandle, StillRunning, TaskInfo, task};
use polyexec_futures::yield_now;
use polyexec_threaded::{Builder, Threaded};

/// A timeout that always expires.
const BRIEF: Duration = Duration::from_millis(10);

/// A timeout that never expires.
const LONG: Duration = Duration::from_secs(3600);

fn queueing(threads: usize) -> Builder {
    Threaded::builder().max_threads(threads).queue_when_full()
}

/// Occupies a thread until the gate opens. Returns when it has begun.
fn occupy(threaded: &Threaded, gate: &Gate) -> JoinHandle<&'static str> {
    let (begun, opened) = (Gate::new(), gate.clone());
    let begin = begun.clone();
    let occupant = task::Builder::new().name("occupant").spawn_on(&threaded.handle(), async move {
        begin.open();
        opened.wait();
        "through"
    });
    begun.wait();
    occupant
}

/// Opens the gate even if the test fails: its executor's drop waits for the tasks behind the gate.
fn opening(gate: &Gate) -> OnDrop {
    let gate = gate.clone();
    OnDrop::new(move || gate.open())
}

#[test]
fn there_are_never_more_threads_than_may_be_and_every_task_has_its_turn() {
    watched!();
    const THREADS: usize = 4;
    const TASKS: usize = 10_000;

    for builder in [queueing(THREADS), queueing(THREADS).fresh_threads(), queueing(THREADS).keep_alive(Duration::ZERO)]
    {
        let (starts, stops) = (Tally::new(), Tally::new());
        let (start, stop) = (starts.clone(), stops.clone());
        let hooked = builder.on_thread_start(move || start.add()).on_thread_stop(move || stop.add());
        let (threaded, running, gate) = (hooked.build().unwrap(), Arc::new(()), Gate::new());
        let _open = opening(&gate);
        let occupants = [(); THREADS].map(|()| occupy(&threaded, &gate));
        let tasks: Vec<_> = (0..TASKS)
            .map(|n| {
                let running = Arc::downgrade(&running);
                threaded.spawn(async move {
                    let _this = running.upgrade().expect("the test holds one");
                    yield_now().await;
                    // The test's thread, and one for each running task.
                    assert!(running.strong_count() <= 1 + THREADS);
                    n
                })
            })
            .collect();
        // No thread has ended, so more thread names would mean more threads at a time.
        assert_eq!(starts.get(), THREADS);
        gate.open();
        let sum: usize = tasks.into_iter().map(|task| task.join().unwrap()).sum();
        assert_eq!(sum, TASKS * (TASKS - 1) / 2);
        assert!(occupants.into_iter().all(|occupant| occupant.join().is_ok()));
        drop(threaded);
        assert_eq!(starts.get(), stops.get());
    }
}

#[test]
fn tasks_that_wait_begin_in_the_order_in_which_they_came() {
    watched!();
    let (threaded, gate, trace) = (queueing(1).build().unwrap(), Gate::new(), Trace::new());
    let _open = opening(&gate);
    let occupant = occupy(&threaded, &gate);
    let numbers: Vec<_> = (0..100).map(|n| n.to_string()).collect();
    let tasks: Vec<_> = numbers
        .iter()
        .map(|n| {
            let (n, trace) = (n.clone(), trace.clone());
            threaded.spawn(async move { trace.log(n) })
        })
        .collect();
    assert_eq!(trace.events(), [""; 0], "one thread is all that there may be");
    gate.open();
    tasks.into_iter().for_each(|task| task.join().unwrap());
    assert_eq!(trace.events(), numbers);
    assert_eq!(occupant.join().unwrap(), "through");
}

#[test]
fn a_task_that_is_aborted_while_it_waits_never_runs_and_its_turn_drops_it() {
    watched!();
    let (threaded, gate, trace) = (queueing(1).build().unwrap(), Gate::new(), Trace::new());
    let _open = opening(&gate);
    let _occupant = occupy(&threaded, &gate);
    let (polled, dropper) = (Tally::new(), Arc::new(std::sync::Mutex::new(None)));
    let (poll, drops) = (polled.clone(), dropper.clone());
    let on_drop = OnDrop::new(move || {
        *drops.lock().unwrap() = Some(thread::current().name().map(str::to_owned));
    });
    let aborted = threaded.spawn(carrying(on_drop, async move { poll.add() }));
    let log = trace.clone();
    let after = threaded.spawn(async move { log.log("after") });
    aborted.abort();
    assert!(!aborted.is_finished() && dropper.lock().unwrap().is_none(), "not on this thread");
    gate.open();
    assert!(aborted.join().unwrap_err().is_cancelled());
    assert_eq!(polled.get(), 0);
    assert_eq!(dropper.lock().unwrap().take(), Some(Some("threaded-0".to_owned())));
    after.join().unwrap();
    assert_eq!(trace, ["after"]);
}

#[test]
fn a_shutdown_with_a_limit_says_what_still_runs_and_drops_what_waits() {
    watched!();
    let (gate, stopped, dropped) = (Gate::new(), Gate::new(), Tally::new());
    let stop = stopped.clone();
    let threaded = queueing(1).on_thread_stop(move || stop.open()).build().unwrap();
    let occupant = occupy(&threaded, &gate);
    let waiting: Vec<_> = (0..10).map(|_| threaded.spawn(carrying(dropped.on_drop(), async {}))).collect();
    let handle = threaded.handle();

    let left = threaded.shutdown_timeout(BRIEF).unwrap_err();
    assert_eq!((left.tasks().len(), left.threads()), (1, 1), "{left}");
    let task = &left.tasks()[0];
    assert_eq!((task.id(), task.name()), (occupant.id(), Some("occupant")));
    assert!(task.location().file().ends_with("queue.rs"));
    let told = left.to_string();
    assert!(told.starts_with("1 thread has not ended; still running: task ") && told.contains("`occupant`"), "{told}");

    assert_eq!(dropped.get(), 10);
    for task in waiting {
        assert!(task.is_finished() && task.join().unwrap_err().is_shutdown());
    }
    assert!(handle.spawn(async {}).join().unwrap_err().is_shutdown());
    assert!(!stopped.is_open() && !occupant.is_finished());
    gate.open();
    assert_eq!(occupant.join().unwrap(), "through");
    stopped.wait();
}

#[test]
fn what_rested_and_was_ended_is_not_said_to_run() {
    watched!();
    const TASKS: usize = 30;
    for _ in 0..30 {
        let threaded = Threaded::new();
        let tasks: Vec<_> = (0..TASKS).map(|_| threaded.spawn(pending::<()>())).collect();
        // From its `Debug` output.
        while !format!("{:?}", threaded.handle()).contains(&format!("OwnedTasks {{ len: {TASKS} }}")) {
            thread::yield_now();
        }
        // Their threads have hardly noticed by then.
        if let Err(left) = threaded.shutdown_timeout(Duration::ZERO) {
            assert!(left.tasks().is_empty() && left.threads() > 0, "{left}");
        }
        tasks.into_iter().for_each(|task| assert!(task.join().unwrap_err().is_shutdown()));
    }
}

#[test]
fn a_shutdown_with_a_limit_waits_no_longer_than_it_must() {
    watched!();
    for builder in [Threaded::builder(), Threaded::builder().fresh_threads(), queueing(3)] {
        let (starts, stops, dropped) = (Tally::new(), Tally::new(), Tally::new());
        let (start, stop) = (starts.clone(), stops.clone());
        let builder = builder.on_thread_start(move || start.add()).on_thread_stop(move || stop.add());
        let (threaded, gate) = (builder.build().unwrap(), Gate::new());
        let resting = threaded.spawn(carrying(dropped.on_drop(), pending::<()>()));
        threaded.spawn(async {}).join().unwrap();
        let polled = occupy(&threaded, &gate);
        let opener = thread::spawn(move || gate.open());
        assert_eq!(threaded.shutdown_timeout(LONG), Ok(()));
        assert_eq!(polled.join().unwrap(), "through");
        assert!(resting.join().unwrap_err().is_shutdown());
        assert_eq!((dropped.get(), stops.get()), (1, starts.get()));
        opener.join().unwrap();
    }
    assert_eq!(Threaded::new().shutdown_timeout(Duration::ZERO), Ok(()));
    assert_eq!(Threaded::new().shutdown_timeout(Duration::MAX), Ok(()));
}

#[test]
fn a_task_that_shuts_its_own_executor_down_is_told_of_itself() {
    watched!();
    let (threaded, go, gate) = (Threaded::new(), Gate::new(), Gate::new());
    let _open = opening(&gate);
    let other = occupy(&threaded, &gate);
    let (handle, opened, owner) = (threaded.handle(), go.clone(), Arc::new(std::sync::Mutex::new(Some(threaded))));
    let shuts = handle.spawn(async move {
        opened.opened().await;
        let threaded = owner.lock().unwrap().take().expect("once");
        threaded.shutdown_timeout(LONG).unwrap_err()
    });
    go.open();
    let id = shuts.id();
    let left: StillRunning = shuts.join().unwrap();
    let mut ids: Vec<_> = left.tasks().iter().map(TaskInfo::id).collect();
    let mut both = vec![id, other.id()];
    ids.sort();
    both.sort();
    assert_eq!((ids, left.threads()), (both, 2));
    gate.open();
    assert_eq!(other.join().unwrap(), "through");
}

#[test]
fn a_thread_that_has_no_task_any_more_is_told_of_without_one() {
    watched!();
    for _ in 0..200 {
        let threaded = queueing(1).build().unwrap();
        task::Builder::new().name("over").spawn_on(&threaded.handle(), async {}).join().unwrap();
        while !format!("{threaded:?}").contains("idle: 1") {
            thread::yield_now();
        }
        if let Err(left) = threaded.shutdown_timeout(Duration::ZERO) {
            assert!(left.tasks().is_empty(), "{left}");
        }
    }
}

#[test]
fn a_thread_that_is_held_up_at_its_end_is_counted() {
    watched!();
    let gate = Gate::new();
    let opened = gate.clone();
    let threaded = Threaded::builder().on_thread_stop(move || opened.wait()).build().unwrap();
    threaded.spawn(async {}).join().unwrap();
    assert_eq!(threaded.shutdown_timeout(BRIEF), Err(StillRunning::new(Vec::new(), 1)));
    gate.open();

    // Also in a destructor of its thread-locals.
    struct Waits(Gate);
    impl Drop for Waits {
        fn drop(&mut self) {
            self.0.wait();
        }
    }
    thread_local!(static LAST: std::cell::RefCell<Option<Waits>> = const { std::cell::RefCell::new(None) });
    let (threaded, gate) = (Threaded::new(), Gate::new());
    let waits = Waits(gate.clone());
    threaded.spawn(async move { LAST.set(Some(waits)) }).join().unwrap();
    if cfg!(target_os = "linux") {
        assert_eq!(threaded.shutdown_timeout(BRIEF), Err(StillRunning::new(Vec::new(), 1)));
        gate.open();
    } else {
        // Waits for the others where the pool's own thread-local may be destroyed first.
        gate.open();
        assert_eq!(threaded.shutdown_timeout(LONG), Ok(()));
    }
}

#[test]
fn threads_that_have_nothing_to_do_leave_and_others_come() {
    watched!();
    const THREADS: usize = 8;
    let (stops, all_stopped) = (Tally::new(), Gate::new());
    let (stop, all) = (stops.clone(), all_stopped.clone());
    let stopped = move || {
        stop.add();
        if stop.get() == THREADS {
            all.open();
        }
    };
    let builder = queueing(THREADS).keep_alive(Duration::from_millis(1)).on_thread_stop(stopped);
    let (threaded, together) = (builder.build().unwrap(), Arc::new(Barrier::new(THREADS)));
    let tasks: Vec<_> = (0..THREADS)
        .map(|_| {
            let together = together.clone();
            threaded.spawn(async move { together.wait().is_leader() })
        })
        .collect();
    assert_eq!(tasks.into_iter().map(|task| task.join().unwrap()).filter(|leads| *leads).count(), 1);
    all_stopped.wait();
    assert_eq!(threaded.spawn(async { 7 }).join().unwrap(), 7);
}

#[test]
fn spawns_against_a_shutdown_with_a_limit_all_come_to_an_end() {
    watched!();
    for round in 0..200 {
        let canary = Arc::new(());
        let held = canary.clone();
        let threaded = queueing(2).on_thread_start(move || _ = &held).build().unwrap();
        let spawners = [(); 3].map(|()| {
            let handle = threaded.handle();
            thread::spawn(move || (0..30).map(|_| handle.spawn(yield_now())).collect::<Vec<_>>())
        });
        for _ in 0..1_000 * round {
            std::hint::spin_loop();
        }
        assert_eq!(threaded.shutdown_timeout(LONG), Ok(()));
        for task in spawners.into_iter().flat_map(|spawner| spawner.join().unwrap()) {
            assert!(task.join().err().is_none_or(|error| error.is_shutdown()));
        }
        assert_eq!(Arc::strong_count(&canary), 1, "the executor lives on after round {round}");
    }
}
