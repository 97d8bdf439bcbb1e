//! Properties 72 to 74: wakers as values.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::thread;

use polyexec_core::Executor;

use super::wake::WAYS;
use crate::Subject;
use crate::probe::{Marked, Rng, Sleeper, Tally, on_foreign_thread};

pub(crate) fn p72_will_wake_is_true_for_clones_never_across_tasks(subject: &Subject) {
    const TASKS: usize = 50;
    let executor = subject.start();
    let sleepers: Vec<_> = (0..TASKS).map(|_| Sleeper::new()).collect();
    let tasks: Vec<_> = sleepers.iter().map(|sleeper| executor.handle().spawn(sleeper.future())).collect();
    let mut wakers = Vec::new();
    executor.block_on(async {
        for sleeper in &sleepers {
            sleeper.polled(1).await;
            wakers.push(sleeper.waker());
        }
    });
    for (n, waker) in wakers.iter().enumerate() {
        let (clone, sent) = (waker.clone(), waker.clone());
        let elsewhere = thread::spawn(move || sent.clone()).join().unwrap();
        for same in [&clone, &clone.clone(), &elsewhere] {
            assert!(waker.will_wake(same) && same.will_wake(waker), "a clone is for another task");
        }
        for (other_n, other) in wakers.iter().enumerate() {
            assert_eq!(waker.will_wake(other), n == other_n, "task {n}'s waker wakes task {other_n}");
        }
    }
    let driver = executor.block_on(poll_fn(|cx| Poll::Ready(cx.waker().clone())));
    assert!(!wakers.iter().any(|waker| waker.will_wake(&driver)), "a task's waker is for `block_on`");

    // The context's own waker, poll after poll.
    let mut polls = 0;
    let mut first = None::<Waker>;
    let same = executor.handle().spawn(poll_fn(move |cx| {
        polls += 1;
        let first = first.get_or_insert_with(|| cx.waker().clone());
        if !first.will_wake(cx.waker()) || !cx.waker().will_wake(first) {
            return Poll::Ready(Err(polls));
        }
        if polls == 10 {
            return Poll::Ready(Ok(()));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }));
    let same = executor.block_on(same).unwrap();
    assert_eq!(same, Ok(()), "the waker of this poll is for another task than the first one's");

    tasks.iter().for_each(|task| task.abort());
    executor.block_on(async {
        for task in tasks {
            assert!(task.await.unwrap_err().is_cancelled());
        }
    });
}

/// An executor that counts its tasks' cells when they are made and freed.
fn counted(executor: Arc<dyn Executor>) -> (Marked, Tally, Tally) {
    let (made, freed) = (Tally::new(), Tally::new());
    let marked = {
        let (made, freed) = (made.clone(), freed.clone());
        Marked::new(executor, move || {
            made.add();
            freed.on_drop()
        })
    };
    (marked, made, freed)
}

/// Clones, drops and wakes at random. The number of wakers that remain is random, too.
fn juggle(waker: Waker, rng: &mut Rng) -> Vec<Waker> {
    const STEPS: usize = 2_000;
    let mut wakers = vec![waker];
    for _ in 0..STEPS {
        let chosen = rng.below(wakers.len() as u64) as usize;
        match rng.below(6) {
            0 | 1 => wakers.push(wakers[chosen].clone()),
            2 => wakers[chosen].wake_by_ref(),
            3 => {
                let source = wakers[0].clone();
                wakers[chosen].clone_from(&source);
            }
            // The last one stays, to go on with.
            _ if wakers.len() == 1 => {}
            4 => drop(wakers.swap_remove(chosen)),
            _ => wakers.swap_remove(chosen).wake(),
        }
    }
    wakers
}

pub(crate) fn p73_counts_balance_over_random_clones_and_drops(subject: &Subject) {
    const THREADS: u64 = 3;
    const ROUNDS: u64 = 10;
    for seed in 0..ROUNDS {
        let executor = subject.start();
        let (marked, made, freed) = counted(executor.handle());
        let sleeper = Sleeper::new();
        let task = marked.spawn(sleeper.future());
        executor.block_on(sleeper.polled(1));

        let waker = sleeper.waker();
        let left: Vec<Waker> = on_foreign_thread(&executor, move |_| {
            let juggling = (0..THREADS).map(|thread| {
                let waker = waker.clone();
                thread::spawn(move || juggle(waker, &mut Rng::new(seed * THREADS + thread)))
            });
            let juggling: Vec<_> = juggling.collect();
            juggling.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!((freed.get(), sleeper.drops()), (0, 0), "freed or dropped while the task rests, seed {seed}");

        // The task ends, if not with its executor; the wakers go on.
        match seed % 3 {
            0 => drop(task),
            1 => {
                sleeper.end();
                sleeper.waker().wake();
                executor.block_on(task).unwrap();
            }
            _ => {
                task.abort();
                assert!(executor.block_on(task).unwrap_err().is_cancelled());
            }
        }
        drop(executor.shut_down());
        assert_eq!(sleeper.drops(), 1, "futures dropped, seed {seed}");
        drop(sleeper);
        let mut last = left.into_iter().flat_map(|waker| juggle(waker, &mut Rng::new(seed))).collect::<Vec<_>>();
        let kept = last.pop().expect("each thread came back with a waker");
        drop(last);
        assert_eq!((made.get(), freed.get()), (1, 0), "cells made, and freed before the last waker, seed {seed}");
        drop(kept);
        assert_eq!(freed.get(), 1, "cells freed with the last waker, seed {seed}");
    }
}

pub(crate) fn p74_a_waker_may_outlive_its_executor(subject: &Subject) {
    let executor = subject.start();
    let (marked, made, freed) = counted(executor.handle());
    let (resting, ready, unpolled) = (Sleeper::new(), Sleeper::new(), Sleeper::new());
    drop(marked.spawn(resting.future()));
    ready.end();
    let done = marked.spawn(ready.future());
    let driver = executor.block_on(async {
        done.await.unwrap();
        resting.polled(1).await;
        poll_fn(|cx| Poll::Ready(cx.waker().clone())).await
    });
    drop(marked.spawn(unpolled.future()));
    drop(executor.shut_down());
    drop(marked);
    assert_eq!((resting.drops(), ready.drops(), unpolled.drops()), (1, 1, 1), "futures dropped");

    let wakers = [resting.waker(), ready.waker(), driver];
    let polls = [&resting, &ready, &unpolled].map(Sleeper::polls);
    for waker in &wakers {
        WAYS.iter().for_each(|(_, wake)| wake(waker));
        assert!(waker.will_wake(&waker.clone()));
    }
    assert_eq!([&resting, &ready, &unpolled].map(Sleeper::polls), polls, "polls after the shutdown");
    drop((resting, ready, unpolled));
    assert_eq!((made.get(), freed.get()), (3, 1), "cells made, and freed before their last wakers");
    // The last ones are used where the executor never was.
    thread::spawn(move || wakers.map(Waker::wake)).join().expect("a wake doesn't panic");
    assert_eq!(freed.get(), 3, "cells freed with their last wakers");
}
