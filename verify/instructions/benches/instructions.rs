//! The operations whose instructions `verify/instructions/run` counts. Each runs `times` times on one thread, and checks that it
//! did. gungraun runs each 4,000 and 8,000 times: the difference is the operation without its start-up and shutdown.

use std::cell::{Cell, RefCell};
use std::future::{poll_fn, ready};
use std::hint::black_box;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use gungraun::{library_benchmark, library_benchmark_group, main};
use polyexec::executor::{Ran, Rejected, Task};
use polyexec::{Executor, Local};
use polyexec_futures::count;

library_benchmark_group!(
    name = operations,
    benchmarks = [
        block_on_poll,
        block_on_ready,
        block_on_ready_facade,
        core_spawn_run_drop,
        local_cross_wake,
        local_self_wake,
        local_spawn_current_join,
        local_spawn_join,
        local_spawn_local_join,
        waker_clone_drop,
    ]
);
main!(library_benchmark_groups = operations);

// core's `block_on`: polls of one future that wakes itself.
#[library_benchmark]
#[benches::times(4_000, 8_000)]
fn block_on_poll(times: u64) {
    assert_eq!(polyexec_core::block_on(count(times)), times);
}

// core's `block_on`: calls, each with a future that is ready.
#[library_benchmark]
#[benches::times(4_000, 8_000)]
fn block_on_ready(times: u64) {
    for n in 0..times {
        assert_eq!(polyexec_core::block_on(ready(black_box(n))), n);
    }
}

// As `block_on_ready`, with the facade's.
#[library_benchmark]
#[benches::times(4_000, 8_000)]
fn block_on_ready_facade(times: u64) {
    for n in 0..times {
        assert_eq!(polyexec::block_on(ready(black_box(n))), n);
    }
}

/// Holds the one task that is ready: an executor that adds nothing to what core costs.
#[derive(Clone)]
struct Slot(Arc<Mutex<Option<Task>>>);

impl Executor for Slot {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        self.schedule(task);
        Ok(())
    }

    fn schedule(&self, task: Task) {
        *self.0.lock().unwrap() = Some(task);
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        polyexec_core::block_on(future);
    }
}

// core alone: spawns a task, runs it, and drops its handle.
#[library_benchmark]
#[benches::times(4_000, 8_000)]
fn core_spawn_run_drop(times: u64) {
    let slot = Slot(Arc::default());
    for n in 0..times {
        let handle = slot.spawn(async move { black_box(n) });
        let task = slot.0.lock().unwrap().take().expect("it was spawned");
        assert!(matches!(task.run(), Ran::Finished));
        drop(handle);
    }
}

/// Room for one number that one task waits for: the least that two tasks can share.
#[derive(Default)]
struct Mailbox {
    number: Cell<Option<u64>>,
    waiting: RefCell<Option<Waker>>,
}

impl Mailbox {
    fn send(&self, number: u64) {
        self.number.set(Some(number));
        let waiting = self.waiting.take();
        if let Some(waker) = waiting {
            waker.wake();
        }
    }

    async fn receive(&self) -> u64 {
        poll_fn(|cx| match self.number.take() {
            Some(number) => Poll::Ready(number),
            None => {
                self.waiting.replace(Some(cx.waker().clone()));
                Poll::Pending
            }
        })
        .await
    }
}

/// Receives a number and sends the one before it, down to zero. Returns how often.
async fn count_down(from: Rc<Mailbox>, to: Rc<Mailbox>) -> u64 {
    let mut receipts = 0;
    loop {
        let number = from.receive().await;
        receipts += 1;
        to.send(number.saturating_sub(1));
        if number == 0 {
            return receipts;
        }
    }
}

// `Local`: two tasks hand a number back and forth; each time, one wakes the other.
#[library_benchmark]
#[benches::times(4_000, 8_000)]
fn local_cross_wake(times: u64) {
    let local = Local::new();
    let mailboxes: [Rc<Mailbox>; 2] = Default::default();
    let [mine, yours] = &mailboxes;
    let tasks =
        [(mine, yours), (yours, mine)].map(|(from, to)| local.spawn_local(count_down(from.clone(), to.clone())));
    mine.send(times);
    let receipts = local.block_on(async {
        let [first, second] = tasks;
        first.await.unwrap() + second.await.unwrap()
    });
    // Both receive the zero.
    assert_eq!(receipts, times + 2);
}

// `Local`: polls of a task that wakes itself.
#[library_benchmark]
#[benches::times(4_000, 8_000)]
fn local_self_wake(times: u64) {
    let local = Local::new();
    let task = local.spawn(count(times));
    assert_eq!(local.block_on(task).unwrap(), times);
}

// `Local`: `polyexec::spawn` in a task, which awaits the output.
#[library_benchmark]
#[benches::times(4_000, 8_000)]
fn local_spawn_current_join(times: u64) {
    Local::new().block_on(async {
        for n in 0..times {
            assert_eq!(polyexec::spawn(async move { black_box(n) }).await.unwrap(), n);
        }
    });
}

// `Local`: a handle's `spawn`, whose output is awaited.
#[library_benchmark]
#[benches::times(4_000, 8_000)]
fn local_spawn_join(times: u64) {
    let local = Local::new();
    let handle = local.handle();
    local.block_on(async {
        for n in 0..times {
            assert_eq!(handle.spawn(async move { black_box(n) }).await.unwrap(), n);
        }
    });
}

// `Local`: a handle's `spawn_local`, whose output is awaited.
#[library_benchmark]
#[benches::times(4_000, 8_000)]
fn local_spawn_local_join(times: u64) {
    let local = Local::new();
    let handle = local.handle();
    local.block_on(async {
        for n in 0..times {
            assert_eq!(handle.spawn_local(async move { black_box(n) }).await.unwrap(), n);
        }
    });
}

// A task's waker is cloned, and the clone dropped.
#[library_benchmark]
#[benches::times(4_000, 8_000)]
fn waker_clone_drop(times: u64) {
    let local = Local::new();
    let task = local.spawn(poll_fn(move |cx| {
        for _ in 0..times {
            drop(black_box(cx.waker().clone()));
        }
        Poll::Ready(times)
    }));
    assert_eq!(local.block_on(task).unwrap(), times);
}
