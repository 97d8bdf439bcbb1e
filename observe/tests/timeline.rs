//! The timeline, on each executor.

use std::collections::HashMap;
use std::time::Duration;

use polyexec_conformance::probe::Gate;
use polyexec_core::observe::{End, Observer, PollOutcome, WorkerEvent};
use polyexec_core::{Executor, Handle, TaskId, task};
use polyexec_futures::count;
use polyexec_local::Local;
use polyexec_observe::{EventKind, Recording, Timeline};
use polyexec_pool::Pool;
use polyexec_threaded::Threaded;

/// Calls `check` on a new executor of each kind that has this observer, and shuts it down.
fn on_each(observer: impl Observer + Clone, mut check: impl FnMut(&Handle)) {
    let pool = Pool::builder().worker_threads(2).observer(observer.clone()).build().unwrap();
    check(&Handle::new(pool.handle()));
    drop(pool);
    let threaded = Threaded::builder().observer(observer.clone()).build().unwrap();
    check(&Handle::new(threaded.handle()));
    drop(threaded);
    let local = Local::builder().observer(observer).build();
    check(&Handle::new(local.handle()));
}

fn of_task(recording: &Recording, id: TaskId) -> Vec<EventKind> {
    let is_of = |kind: &EventKind| match kind {
        EventKind::Spawned { task }
        | EventKind::Polled { task, .. }
        | EventKind::Woken { task, .. }
        | EventKind::Ended { task, .. } => *task == id.get(),
        _ => false,
    };
    recording.events().iter().map(|event| event.kind()).filter(is_of).collect()
}

#[test]
fn it_has_as_many_polls_as_were_made() {
    polyexec_conformance::watched!();
    const TASKS: u64 = 40;
    let timeline = Timeline::new();
    let mut ids = Vec::new();
    on_each(timeline.clone(), |executor| {
        let tasks: Vec<_> = (1..=TASKS).map(|n| executor.spawn(count(n))).collect();
        for (n, task) in (1..).zip(tasks) {
            ids.push((n, task.id()));
            assert_eq!(executor.block_on(task).unwrap(), n);
        }
    });
    let recording = timeline.snapshot();
    assert_eq!((recording.lost_events(), recording.forgotten_tasks()), (0, 0));
    for (n, id) in ids {
        let mut polls = HashMap::new();
        let events = of_task(&recording, id);
        assert_eq!(events[0], EventKind::Spawned { task: id.get() });
        assert_eq!(events[events.len() - 1], EventKind::Ended { task: id.get(), end: End::Ready });
        for event in events {
            if let EventKind::Polled { outcome, .. } = event {
                *polls.entry(format!("{outcome:?}")).or_insert(0) += 1;
            }
        }
        assert_eq!(polls.remove("Ready"), Some(1));
        assert_eq!(polls.remove("WokeItself").unwrap_or(0), n - 1);
        assert!(polls.is_empty(), "{polls:?}");
        let task = recording.task(id.get()).unwrap();
        assert!(task.location().file().ends_with("timeline.rs") && task.name().is_none() && task.parent().is_none());
        assert_eq!(task.running_since(), None);
    }
    let text = recording.to_string();
    assert_eq!(text.lines().count(), recording.events().len());
    let times: Vec<_> = recording.events().iter().map(|event| event.at()).collect();
    assert!(times.is_sorted() && *times.last().unwrap() <= recording.taken_at());
}

#[test]
fn it_shows_who_woke_whom_and_who_spawned_whom() {
    polyexec_conformance::watched!();
    let timeline = Timeline::new();
    on_each(timeline.clone(), |executor| {
        let go = Gate::new();
        let opened = go.clone();
        let waits = task::Builder::new().name("waits").spawn_on(executor, async move { opened.opened().await });
        let id = waits.id();
        // It waits before it is woken.
        while !of_task(&timeline.snapshot(), id).iter().any(|event| matches!(event, EventKind::Polled { .. })) {
            executor.block_on(executor.spawn(async {})).unwrap();
        }
        let spawns = executor.clone();
        let parent = executor.spawn(async move {
            let child = spawns.spawn(async move { go.open() });
            let id = child.id();
            child.await.unwrap();
            id
        });
        let parent_id = parent.id();
        let child_id = executor.block_on(parent).unwrap();
        executor.block_on(waits).unwrap();
        let recording = timeline.snapshot();
        assert_eq!(recording.task(child_id.get()).unwrap().parent(), Some(parent_id.get()));
        assert_eq!(recording.task(id.get()).unwrap().name(), Some("waits"));
        // Its poll may not have quite ended.
        let by_child = |event: &EventKind| matches!(event, EventKind::Woken { by, .. } if *by == Some(child_id.get()));
        assert!(of_task(&recording, id).iter().any(by_child), "{recording}");
        let line = format!("task {} `waits` is woken by task {}", id, child_id);
        assert!(recording.to_string().contains(&line), "{recording}");
    });
    let events = timeline.snapshot();
    let workers = |wanted: WorkerEvent| {
        let is_wanted = |kind| matches!(kind, EventKind::Worker { event, .. } if event == wanted);
        events.events().iter().filter(|event| is_wanted(event.kind())).count()
    };
    assert!(workers(WorkerEvent::Started) >= 4);
    assert_eq!(workers(WorkerEvent::Started), workers(WorkerEvent::Stopped) + workers(WorkerEvent::HandedOver));
    assert_eq!(workers(WorkerEvent::Parked), workers(WorkerEvent::Unparked));
}

#[test]
fn its_memory_is_bounded_and_it_says_what_it_lost() {
    let timeline = Timeline::builder().events_per_thread(64).ended_tasks(160).build();
    let local = Local::builder().observer(timeline.clone()).build();
    assert_eq!(timeline.snapshot().events().len(), 1, "only the worker's start");
    let lives = task::Builder::new().name("lives").spawn_on(&local.handle(), std::future::pending::<()>());
    for _ in 0..10_000 {
        let task = local.spawn(count(2));
        local.block_on(task).unwrap();
    }
    let recording = timeline.snapshot();
    assert!(recording.events().len() < 64 && recording.lost_events() > 10_000, "{}", recording.lost_events());
    assert!(recording.tasks().len() <= 161 + 16 && recording.forgotten_tasks() > 9_000);
    assert_eq!(recording.task(lives.id().get()).unwrap().name(), Some("lives"));
    assert!(recording.to_string().ends_with("earlier events were overwritten\n"));
}

#[test]
fn a_thread_that_ended_leaves_its_ring_to_the_next() {
    polyexec_conformance::watched!();
    let timeline = Timeline::builder().events_per_thread(1024).build();
    let (stops, stopped) = std::sync::mpsc::channel();
    let builder = Threaded::builder().fresh_threads().on_thread_stop(move || stops.send(()).unwrap());
    let threaded = builder.observer(timeline.clone()).build().unwrap();
    for n in 0..20 {
        threaded.spawn(count(n + 1)).join().unwrap();
        stopped.recv().unwrap();
    }
    drop(threaded);
    let recording = timeline.snapshot();
    assert_eq!(recording.lost_events(), 0);
    let polls = |event: &&polyexec_observe::Event| matches!(event.kind(), EventKind::Polled { .. });
    assert_eq!(recording.events().iter().filter(polls).count(), 210);
    let lanes: Vec<_> =
        recording.lanes().iter().map(|lane| lane.name()).filter(|name| name.starts_with("threaded")).collect();
    assert!(lanes.len() >= 20, "{lanes:?}");
}

#[test]
fn any_name_stays_on_its_line() {
    let timeline = Timeline::new();
    let local = Local::builder().observer(timeline.clone()).build();
    let names = ["<script>alert(1)</script>", "two\nlines", "\u{1f980}", "\u{202e}backwards", &"long ".repeat(200_000)];
    for name in names {
        let task = task::Builder::new().name(name).spawn_on(&local.handle(), async {});
        local.block_on(task).unwrap();
    }
    let recording = timeline.snapshot();
    let text = recording.to_string();
    assert_eq!(text.lines().count(), recording.events().len());
    assert!(text.len() < 100_000 && text.contains("`two\\nlines`") && text.contains("<script>"), "{text}");
    assert!(recording.tasks().last().unwrap().name().unwrap().ends_with('…'));
}

#[test]
fn a_poll_that_is_running_is_shown() {
    polyexec_conformance::watched!();
    let timeline = Timeline::new();
    let pool = Pool::builder().worker_threads(1).observer(timeline.clone()).build().unwrap();
    let (begun, end) = (Gate::new(), Gate::new());
    let (begins, ends) = (begun.clone(), end.clone());
    let runs = pool.spawn(async move {
        begins.open();
        ends.wait();
    });
    pool.block_on(begun.opened());
    let recording = timeline.snapshot();
    assert!(recording.task(runs.id().get()).unwrap().running_since().is_some());
    assert!(recording.to_string().contains(&format!("task {} is polled since", runs.id())), "{recording}");
    end.open();
    runs.join().unwrap();
}

#[test]
fn two_timelines_record_the_same() {
    let timelines = [Timeline::new(), Timeline::new()];
    let local = Local::builder().observer(timelines.to_vec()).build();
    let task = local.spawn(count(5));
    local.block_on(task).unwrap();
    let kinds = |timeline: &Timeline| {
        let without_time = |kind| match kind {
            EventKind::Polled { task, outcome, .. } => EventKind::Polled { task, outcome, took: Duration::ZERO },
            kind => kind,
        };
        timeline.snapshot().events().iter().map(|event| without_time(event.kind())).collect::<Vec<_>>()
    };
    let [one, other] = timelines.each_ref().map(kinds);
    assert_eq!(one, other);
    assert!(one.iter().any(|kind| matches!(kind, EventKind::Polled { outcome: PollOutcome::Ready, .. })));
}
