//! On one thread, and woken by another.

use super::*;
use std::sync::Mutex;
use std::task::Waker;
use std::thread;

#[test]
fn calls_nest_to_a_bound() {
    fn nest(run_loop: &RunLoop) -> usize {
        run_loop.drive(std::pin::pin!(async { nest(run_loop) }), || false)
    }
    let run_loop = RunLoop::new();
    assert!(std::panic::catch_unwind(|| nest(&run_loop)).is_err());
    assert!(!run_loop.nests_deep() && run_loop.0.nested.load(Relaxed) == 0);
    assert!(!run_loop.drive(std::pin::pin!(async { run_loop.nests_deep() }), || false));
}

/// Ready after `times` wakes from another thread.
fn woken_from_afar(times: usize) -> impl Future<Output = usize> {
    let mut polls = 0;
    poll_fn(move |cx| {
        polls += 1;
        if polls > times {
            return Poll::Ready(polls);
        }
        let waker = cx.waker().clone();
        thread::spawn(move || waker.wake());
        Poll::Pending
    })
}

#[test]
fn a_wake_from_another_thread_ends_the_sleep() {
    let run_loop = RunLoop::new();
    let polls = run_loop.drive(std::pin::pin!(woken_from_afar(200)), || false);
    assert_eq!(polls, 201);
    assert_eq!(run_loop.0.sleepers.len(), 0, "a sleeper was left behind");
}

#[test]
fn calls_nest_and_each_wakes_for_its_own_future() {
    let run_loop = RunLoop::new();
    let inner = run_loop.clone();
    let mut nested = vec![3, 2, 1];
    let run_one = || match nested.pop() {
        Some(times) => inner.drive(std::pin::pin!(woken_from_afar(times)), || false) == times + 1,
        None => false,
    };
    assert_eq!(run_loop.drive(std::pin::pin!(woken_from_afar(5)), run_one), 6);
    assert!(nested.is_empty());
}

#[test]
fn a_notification_makes_it_look_for_tasks_again() {
    let run_loop = RunLoop::new();
    let (queue, notifier) = (Arc::new(Mutex::new(Vec::new())), run_loop.clone());
    let pushes = queue.clone();
    let foreign = thread::spawn(move || {
        for n in 1..=1_000 {
            pushes.lock().unwrap().push(n);
            notifier.notify();
        }
    });
    let (mut sum, waker) = (0, Mutex::new(None::<Waker>));
    let run_one = || {
        let Some(n) = queue.lock().unwrap().pop() else { return false };
        sum += n;
        if sum == 500_500 {
            waker.lock().unwrap().take().unwrap().wake();
        }
        true
    };
    let mut polls = 0;
    run_loop.drive(
        std::pin::pin!(poll_fn(|cx| {
            polls += 1;
            *waker.lock().unwrap() = Some(cx.waker().clone());
            if polls == 2 { Poll::Ready(()) } else { Poll::Pending }
        })),
        run_one,
    );
    assert_eq!((sum, polls), (500_500, 2));
    foreign.join().unwrap();
}
