//! Properties 97 to 99: what belongs to the running task: its values, and its name.

use std::future::pending;
use std::sync::{Arc, Mutex};

use polyexec_core::{Executor, TaskId, block_in_place, task};
use polyexec_futures::{inherit, task_local, yield_now};

use crate::Subject;
use crate::probe::{Gate, OnDrop, Tally, on_foreign_thread};

task_local! {
    static NUMBER: usize;
    static TEXT: &'static str;
}

fn number() -> Option<usize> {
    NUMBER.try_with(|number| *number).ok()
}

/// What `look` finds in another poll.
async fn after_a_yield<T>(look: impl FnOnce() -> T) -> T {
    yield_now().await;
    look()
}

pub(crate) fn p97_task_locals_are_of_one_task(subject: &Subject) {
    let executor = subject.start();
    let handle = executor.handle();
    // From poll to poll, on any thread, whatever tasks run in between.
    let tasks: Vec<_> = (0..20)
        .map(|n| {
            let work = async move {
                for _ in 0..20 {
                    assert_eq!(number(), Some(n));
                    yield_now().await;
                }
                let inner = NUMBER.scope(n + 1, after_a_yield(number));
                (TEXT.scope("text", inner).await, number(), TEXT.try_with(|_| ()).is_err())
            };
            (n, handle.spawn(NUMBER.scope(n, work)), handle.spawn(async { number() }))
        })
        .collect();
    for (n, with, without) in tasks {
        assert_eq!(executor.block_on(with).unwrap(), (Some(n + 1), Some(n), true));
        assert_eq!(executor.block_on(without).unwrap(), None);
    }

    // Other tasks may run inside of one that blocks.
    let inner = handle.clone();
    let blocks = handle.spawn(NUMBER.scope(7, async move {
        let others: Vec<_> = (0..3).map(|_| inner.spawn(async { number() })).collect();
        let others: Vec<_> = others.into_iter().map(|other| other.join().unwrap()).collect();
        let nested = inner.block_on(after_a_yield(number));
        (others, nested, block_in_place(number), number())
    }));
    assert_eq!(executor.block_on(blocks).unwrap(), (vec![None; 3], Some(7), Some(7), Some(7)));
    let here =
        executor.block_on(NUMBER.scope(8, async { (handle.spawn(async { number() }).await.unwrap(), number()) }));
    assert_eq!(here, (None, Some(8)));

    // A destructor has them, also if another thread ends the task.
    for shuts_down in [false, true] {
        let executor = subject.start();
        let (seen, began) = (Arc::new(Mutex::new(None)), Gate::new());
        let (sees, begins) = (seen.clone(), began.clone());
        let idle = executor.handle().spawn(NUMBER.scope(9, async move {
            let _sees = OnDrop::new(move || *sees.lock().unwrap() = number());
            begins.open();
            pending::<()>().await;
        }));
        executor.block_on(began.opened());
        match shuts_down {
            true => drop(executor.shut_down()),
            false => {
                idle.abort();
                assert!(executor.block_on(idle).unwrap_err().is_cancelled());
            }
        }
        assert_eq!(*seen.lock().unwrap(), Some(9));
    }
}

pub(crate) fn p98_task_locals_are_inherited_on_request(subject: &Subject) {
    let executor = subject.start();
    let handle = executor.handle();
    let inner = handle.clone();
    let parent = async move {
        let child = inner.spawn(inherit(async {
            yield_now().await;
            let own = NUMBER.scope(2, after_a_yield(|| (NUMBER.get(), TEXT.get())));
            (own.await, NUMBER.get())
        }));
        let orphan = inner.spawn(async { number() });
        (child.await.unwrap(), orphan.await.unwrap(), NUMBER.get())
    };
    let values = handle.spawn(TEXT.scope("text", NUMBER.scope(1, parent)));
    assert_eq!(executor.block_on(values).unwrap(), (((2, "text"), 1), None, 1));

    // Down a chain of tasks, each of which sets a value: it is dropped when the last task that has it ends.
    task_local!(static COUNTED: Mutex<OnDrop>);
    fn descend(executor: Arc<dyn Executor>, drops: Tally, depth: usize) -> usize {
        let Some(depth) = depth.checked_sub(1) else { return NUMBER.get() };
        let next = executor.clone();
        let child = COUNTED.scope(Mutex::new(drops.on_drop()), async move {
            executor.spawn(inherit(async move { descend(next, drops, depth) })).join().unwrap()
        });
        polyexec_core::block_on(child)
    }
    const DEPTH: usize = 10;
    let drops = Tally::new();
    let counts = drops.clone();
    let last = on_foreign_thread(&executor, |executor| {
        let inner = executor.clone();
        executor.spawn(NUMBER.scope(3, async move { descend(inner, counts, DEPTH) })).join().unwrap()
    });
    assert_eq!(last, 3);
    drop(executor);
    assert_eq!(drops.get(), DEPTH);
}

pub(crate) fn p99_a_task_knows_itself(subject: &Subject) {
    fn nested(executor: &Arc<dyn Executor>) -> [Option<TaskId>; 4] {
        [
            TaskId::current(),
            executor.block_on(after_a_yield(TaskId::current)),
            polyexec_core::block_on(async { TaskId::current() }),
            block_in_place(TaskId::current),
        ]
    }
    let executor = subject.start();
    let handle = executor.handle();
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let inner = handle.clone();
            task::Builder::new().name("self").spawn_on(&handle, async move {
                let before = nested(&inner);
                yield_now().await;
                // Another task may run inside of this one.
                let other = inner.spawn(async { TaskId::current() });
                let is_itself = Some(other.id());
                assert_eq!(other.join().unwrap(), is_itself);
                (before, nested(&inner), task::current().expect("it is in a task"))
            })
        })
        .collect();
    for task in tasks {
        let (id, info) = (task.id(), task.task());
        let (before, after, own) = executor.block_on(task).unwrap();
        assert_eq!((before, after), ([Some(id); 4], [Some(id); 4]));
        assert_eq!((own.id(), own.name(), own.location()), (id, Some("self"), info.location()));
    }
    assert_eq!(executor.block_on(async { TaskId::current() }), None);
    assert_eq!(task::current(), None);
}
