//! Property 85: how long a task's memory lives.

use std::future::poll_fn;
use std::hint::black_box;
use std::task::{Poll, Waker};

use polyexec_core::{Executor, JoinHandle};
use polyexec_futures::yield_now;

use crate::probe::{OnDrop, Tally, WakerSlot, finished};
use crate::properties::threads::resident_bytes;
use crate::run::isolated;
use crate::{Fixture, Subject};

/// The size of a large future or output.
const SIZE: usize = 128 << 10;
const TASKS: usize = 128;

type Large = [u8; SIZE];

pub(crate) fn p85_the_memory_of_a_large_future_or_output_goes_with_it(subject: &Subject) {
    isolated(subject, "p85_the_memory_of_a_large_future_or_output_goes_with_it", || {
        let executor = subject.start();
        // The first ones have the allocator, and the threads' stacks, grow.
        (0..8).for_each(|_| drop(completed(&executor)));
        grows_by_little("a task has completed, its waker is kept", || completed(&executor));
        grows_by_little("a task has completed, its waker and its handle are kept", || not_joined(&executor));
        grows_by_little("a task was aborted, its waker is kept", || aborted(&executor));
        grows_by_little("an output was taken, a waker is kept", || output_taken(&executor));
        grows_by_little("an output was never wanted, a waker is kept", || output_unwanted(&executor));
        grows_by_little("an executor has shut down, its task's waker is kept", || shut_down(subject.start()));
    });
}

/// Calls `end`, which ends a task, again and again. Keeps what it returns, and measures what else stays allocated.
fn grows_by_little<T>(when: &str, mut end: impl FnMut() -> T) {
    let before = resident_bytes();
    let kept: Vec<T> = (0..TASKS).map(|_| end()).collect();
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < TASKS * SIZE / 4, "{when}: {} bytes a task are kept, of {SIZE}", grown / TASKS);
    drop(kept);
}

/// Holds as much memory as it says. Ready at its second poll, if it should be ready at all.
fn large(slot: &WakerSlot, is_ready: bool) -> impl Future<Output = ()> + Send + 'static + use<> {
    let (slot, mut state) = (slot.clone(), [7; SIZE]);
    let mut polls = 0;
    poll_fn(move |cx| {
        black_box::<&mut Large>(&mut state)[polls] = 8;
        polls += 1;
        slot.put(cx.waker().clone());
        if polls == 2 && is_ready {
            return Poll::Ready(());
        }
        if is_ready {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    })
}

fn waker(slot: WakerSlot) -> Waker {
    slot.take().expect("the task was polled")
}

fn completed(executor: &Fixture) -> Waker {
    let slot = WakerSlot::new();
    executor.block_on(executor.handle().spawn(large(&slot, true))).unwrap();
    waker(slot)
}

fn not_joined(executor: &Fixture) -> (Waker, JoinHandle<()>) {
    let slot = WakerSlot::new();
    let task = executor.handle().spawn(large(&slot, true));
    executor.block_on(finished(&task));
    (waker(slot), task)
}

fn aborted(executor: &Fixture) -> Waker {
    let slot = WakerSlot::new();
    let task = executor.handle().spawn(large(&slot, false));
    polled(executor, &slot);
    let kept = waker(slot);
    task.abort();
    assert!(executor.block_on(task).unwrap_err().is_cancelled());
    kept
}

fn shut_down(executor: Fixture) -> Waker {
    let slot = WakerSlot::new();
    let task = executor.handle().spawn(large(&slot, false));
    polled(&executor, &slot);
    drop(executor.shut_down());
    assert!(task.join().unwrap_err().is_shutdown());
    waker(slot)
}

/// The output is large, the future isn't.
fn comes_to<T: Send + 'static>(
    executor: &Fixture,
    slot: &WakerSlot,
    output: fn(OnDrop) -> T,
    on_drop: OnDrop,
) -> JoinHandle<T> {
    let (slot, mut on_drop) = (slot.clone(), Some(on_drop));
    executor.handle().spawn(poll_fn(move |cx| {
        slot.put(cx.waker().clone());
        on_drop.take().map_or(Poll::Pending, |on_drop| Poll::Ready(output(on_drop)))
    }))
}

fn output_taken(executor: &Fixture) -> Waker {
    let slot = WakerSlot::new();
    let task = comes_to(executor, &slot, |_| [7; SIZE], OnDrop::new(|| ()));
    let output: Large = executor.block_on(task).unwrap();
    assert_eq!(output[SIZE / 2], 7);
    waker(slot)
}

fn output_unwanted(executor: &Fixture) -> Waker {
    let (slot, dropped) = (WakerSlot::new(), Tally::new());
    let output = |on_drop| -> (Large, OnDrop) { ([7; SIZE], on_drop) };
    drop(comes_to(executor, &slot, output, dropped.on_drop()));
    executor.block_on(async {
        while dropped.get() == 0 {
            yield_now().await;
        }
    });
    waker(slot)
}

/// Waits until the task has stored its waker.
fn polled(executor: &Fixture, slot: &WakerSlot) {
    executor.block_on(async {
        while slot.get().is_none() {
            yield_now().await;
        }
    });
}
