//! Properties 54 to 59, and 82: the owner's drop.

use std::future::{pending, poll_fn};
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Waker};
use std::thread;

use polyexec_core::{AbortHandle, Executor, Handle, JoinError, JoinHandle};
use polyexec_futures::yield_now;

use crate::probe::{Gate, Meeting, OnDrop, Rng, Tally, WakerSlot, carrying, least_until};
use crate::properties::threads::{open_files, resident_bytes, threads, threads_settle_at};
use crate::run::isolated;
use crate::{Fixture, Subject};

/// Starts `tasks` tasks that are idle until they are dropped. Waits until each was polled, and returns their wakers.
fn resting(executor: &Fixture, tasks: usize, dropped: &Tally) -> (Vec<JoinHandle<()>>, Vec<Waker>) {
    let polled = Tally::new();
    let wakers = Arc::new(Mutex::new(Vec::new()));
    let rest = || {
        let (polled, wakers) = (polled.clone(), wakers.clone());
        let mut first = true;
        let rest = poll_fn(move |cx| {
            if std::mem::take(&mut first) {
                wakers.lock().unwrap().push(cx.waker().clone());
                polled.add();
            }
            Poll::Pending
        });
        executor.handle().spawn(carrying(dropped.on_drop(), rest))
    };
    let handles = (0..tasks).map(|_| rest()).collect();
    executor.block_on(async {
        while polled.get() < tasks {
            yield_now().await;
        }
    });
    let wakers = std::mem::take(&mut *wakers.lock().unwrap());
    (handles, wakers)
}

pub(crate) fn p54_every_future_is_dropped_when_the_owners_drop_returns(subject: &Subject) {
    for seed in 0..40 {
        let executor = subject.start();
        let (made, dropped) = (Tally::new(), Tally::new());
        let counted = || {
            made.add();
            dropped.on_drop()
        };
        let mut rng = Rng::new(seed);
        let (_handles, wakers) = resting(&executor, 1 + rng.below(8) as usize, &dropped);
        wakers.iter().for_each(|_| made.add());

        // Always ready to run, so one of them runs when the shutdown comes.
        let busy = || async {
            loop {
                yield_now().await;
            }
        };
        let busy: Vec<_> =
            (0..1 + rng.below(3)).map(|_| executor.handle().spawn(carrying(counted(), busy()))).collect();
        executor.block_on(yield_now());
        // Spawns as long as it can. Refused tasks are dropped as well.
        let spawner = {
            let (handle, made, dropped) = (executor.handle(), made.clone(), dropped.clone());
            let mut left = 1 + rng.below(30);
            let spawns = poll_fn(move |cx| {
                made.add();
                drop(handle.spawn(carrying(dropped.on_drop(), pending::<()>())));
                left -= 1;
                cx.waker().wake_by_ref();
                if left == 0 { Poll::Ready(()) } else { Poll::Pending }
            });
            executor.handle().spawn(carrying(counted(), spawns))
        };
        // Some rest, some are queued since they were woken, and some were never polled.
        wakers.iter().step_by(2).for_each(Waker::wake_by_ref);
        let queued = |_| executor.handle().spawn(carrying(counted(), pending::<()>()));
        let queued: Vec<_> = (0..rng.below(8)).map(queued).collect();
        rng.linger();

        executor.shut_down();
        assert_eq!(dropped.get(), made.get(), "futures dropped, of all that were made (seed {seed})");
        drop((busy, spawner, queued));
        drop(wakers);
        assert_eq!(dropped.get(), made.get(), "futures dropped in the end (seed {seed})");
    }
}

pub(crate) fn p55_the_owners_drop_inside_its_own_task_does_not_deadlock(subject: &Subject) {
    // In a poll.
    shut_down_inside(subject, |_, shut_down| async move { shut_down() });
    // In the drop of a future that is ready.
    shut_down_inside(subject, |_, shut_down| carrying(OnDrop::new(shut_down), async {}));
    // While the task blocks.
    shut_down_inside(subject, |executor, shut_down| async move { executor.block_on(async { shut_down() }) });
}

/// Lets the task that `make` makes shut down its own executor, which also has idle tasks.
fn shut_down_inside<F>(subject: &Subject, make: impl FnOnce(Arc<dyn Executor>, Box<dyn FnOnce() + Send>) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let executor = subject.start();
    let dropped = Tally::new();
    let (mut left, _wakers) = resting(&executor, 3, &dropped);
    let (executor, shut_down) = executor.into_shut_down();
    let refused = executor.clone();
    let observed = move || {
        shut_down();
        assert!(refused.try_spawn(async {}).unwrap_err().is_shutdown());
    };
    let task = executor.spawn(make(executor.clone(), Box::new(observed)));
    executor.block_on(task).expect("a task that shuts its executor down ends as it would");
    left.push(executor.spawn(pending()));
    for handle in left {
        let error = handle.join().unwrap_err();
        assert!(error.is_shutdown() && error.is_cancelled(), "{error}");
    }
    assert_eq!(dropped.get(), 3, "futures that were dropped");
}

pub(crate) fn p56_a_foreign_wake_against_the_owners_drop_is_safe(subject: &Subject) {
    const TASKS: usize = 4;
    let meeting = Meeting::of(2);
    let (sender, rounds) = std::sync::mpsc::channel::<Vec<Waker>>();
    let foreign = {
        let meeting = meeting.clone();
        thread::spawn(move || {
            let mut rng = Rng::new(56);
            for wakers in rounds {
                meeting.attend();
                rng.linger();
                wakers.iter().for_each(Waker::wake_by_ref);
                // The last reference to a cell may die here, after its executor.
                wakers.into_iter().for_each(Waker::wake);
            }
        })
    };
    let mut rng = Rng::new(65);
    for round in 0..400 {
        let executor = subject.start();
        let dropped = Tally::new();
        let (handles, wakers) = resting(&executor, TASKS, &dropped);
        sender.send(wakers).unwrap();
        meeting.attend();
        rng.linger();
        executor.shut_down();
        assert_eq!(dropped.get(), TASKS, "futures dropped in round {round}");
        for handle in handles {
            assert!(handle.join().unwrap_err().is_shutdown(), "round {round}");
        }
    }
    drop(sender);
    foreign.join().unwrap();
}

pub(crate) fn p57_lifecycles_grow_no_threads_files_or_memory(subject: &Subject) {
    /// How many lifecycles the property names.
    const LIFECYCLES: usize = 10_000;
    /// How many lifecycles may allocate what is allocated once.
    const WARM_UP: usize = 500;
    /// In bytes: less than two words per lifecycle, and some for the allocator itself.
    const SLACK: usize = 256 << 10;
    /// How often to measure: an allocator may reserve memory for each new thread.
    const TRIES: usize = 5;

    isolated(subject, "p57_lifecycles_grow_no_threads_files_or_memory", || {
        let lifecycle = || {
            let executor = subject.start();
            let handle = executor.handle();
            executor.block_on(handle.spawn(async {})).unwrap();
            drop(handle.spawn(pending::<()>()));
            executor.shut_down();
        };
        // Before the first one: a thread that was joined may be counted for another moment.
        let (threads, files) = (threads(), open_files());
        (0..WARM_UP).for_each(|_| lifecycle());
        let grown = (0..TRIES).map(|_| {
            let before = resident_bytes();
            (0..LIFECYCLES).for_each(|_| lifecycle());
            resident_bytes().saturating_sub(before)
        });
        let least = least_until(SLACK, grown);
        threads_settle_at(threads);
        assert_eq!(open_files(), files, "open files");
        assert!(least <= SLACK, "{LIFECYCLES} lifecycles left {least} bytes behind");
    });
}

/// A way to wait for a task.
type Join = fn(&Arc<dyn Executor>, JoinHandle<()>) -> Result<(), JoinError>;

/// Joins in every way, from foreign threads. Each result arrives.
fn foreign_joiners(executor: &Arc<dyn Executor>, started: &Tally) -> Vec<thread::JoinHandle<Result<(), JoinError>>> {
    let joiner = |how: Join| {
        let (executor, started) = (executor.clone(), started.clone());
        let joined = executor.spawn(pending());
        thread::spawn(move || {
            started.add();
            how(&executor, joined)
        })
    };
    vec![
        joiner(|_, joined| joined.join()),
        joiner(|executor, joined| executor.block_on(joined)),
        joiner(|_, joined| polyexec_core::block_on(joined)),
    ]
}

pub(crate) fn p58_pending_joiners_resolve(subject: &Subject) {
    for _ in 0..200 {
        let executor = subject.start();
        let started = Tally::new();
        let joiners = foreign_joiners(&executor.handle(), &started);
        executor.block_on(async {
            while started.get() < joiners.len() {
                yield_now().await;
            }
        });
        executor.shut_down();
        for joiner in joiners {
            assert!(joiner.join().unwrap().unwrap_err().is_shutdown());
        }
    }
    joins_in_tasks(subject);
    joins_of_what_is_queued(subject);
}

/// A task joins a queued task, at any moment of the shutdown.
fn joins_of_what_is_queued(subject: &Subject) {
    const ROUNDS: u64 = 500;

    let mut rng = Rng::new(58);
    for _ in 0..ROUNDS {
        let executor = subject.start();
        let (begun, mut here) = (Gate::new(), rng.fork());
        let (begins, handle, mut there) = (begun.clone(), executor.handle(), rng.fork());
        let outer = executor.handle().spawn(async move {
            let inner = handle.spawn(async {});
            begins.open();
            (0..there.below(20)).for_each(|_| there.linger());
            inner.join().is_ok()
        });
        executor.block_on(begun.opened());
        here.linger();
        executor.shut_down();
        assert!(outer.is_finished());
    }
}

/// One task waits, another blocks, and a third one shuts down.
fn joins_in_tasks(subject: &Subject) {
    let (executor, shut_down) = subject.start().into_shut_down();
    let (blocking, waiting) = (Gate::new(), Gate::new());
    let blocks = {
        let (joined, blocking, waiting) = (executor.spawn(pending::<()>()), blocking.clone(), waiting.clone());
        executor.spawn(async move {
            waiting.opened().await;
            blocking.open();
            joined.join().unwrap_err().is_shutdown()
        })
    };
    let waits = {
        let joined = executor.spawn(pending::<()>());
        executor.spawn(async move {
            waiting.open();
            joined.await.unwrap_err().is_shutdown()
        })
    };
    let shuts_down = executor.spawn(async move {
        blocking.opened().await;
        shut_down();
    });
    executor.block_on(async {
        shuts_down.await.unwrap();
        assert!(blocks.await.unwrap(), "a join that blocked a task resolved as something else");
        // The shutdown may end the task that it joins first, and this one while it goes on, or after that.
        assert!(waits.await.unwrap_or_else(|error| error.is_shutdown()));
    });
}

/// Wakes the next task when it is dropped.
struct Cascade {
    next: WakerSlot,
    spawner: Arc<dyn Executor>,
    dropped: Tally,
    /// How many more futures to spawn, each in the drop of the one before.
    spawns: usize,
}

impl Drop for Cascade {
    fn drop(&mut self) {
        self.dropped.add();
        if let Some(waker) = self.next.get() {
            waker.wake();
        }
        if let Some(spawns) = self.spawns.checked_sub(1) {
            let (next, spawner, dropped) = (self.next.clone(), self.spawner.clone(), self.dropped.clone());
            drop(self.spawner.spawn(carrying(Self { next, spawner, dropped, spawns }, async {})));
        }
    }
}

pub(crate) fn p59_wake_cascades_in_drops_end(subject: &Subject) {
    /// How many tasks wake each other in a ring when they are dropped.
    const RING: usize = 100;
    /// How many futures each drop spawns, each in the drop of the one before.
    const SPAWNS: usize = 3;
    for end in ["aborted", "shut down"] {
        let executor = subject.start();
        let dropped = Tally::new();
        let slots: Vec<_> = (0..RING).map(|_| WakerSlot::new()).collect();
        let handles: Vec<_> = (0..RING)
            .map(|n| {
                let (mine, next) = (slots[n].clone(), slots[(n + 1) % RING].clone());
                let cascade = Cascade { next, spawner: executor.handle(), dropped: dropped.clone(), spawns: SPAWNS };
                executor.handle().spawn(carrying(cascade, store_waker(mine)))
            })
            .collect();
        executor.block_on(async {
            while slots.iter().any(|slot| slot.get().is_none()) {
                yield_now().await;
            }
            if end == "aborted" {
                handles.iter().for_each(JoinHandle::abort);
                while dropped.get() < RING * (SPAWNS + 1) {
                    yield_now().await;
                }
            }
        });
        executor.shut_down();
        assert_eq!(dropped.get(), RING * (SPAWNS + 1), "futures dropped, {end}");
        drop(slots);
    }
    cascade_on_a_small_stack(subject);
}

/// Puts its waker in `slot`, and is idle then.
fn store_waker(slot: WakerSlot) -> impl Future<Output = ()> + Send + use<> {
    poll_fn(move |cx: &mut Context<'_>| {
        slot.put(cx.waker().clone());
        Poll::Pending
    })
}

/// Each drop aborts the next task. If that dropped its future immediately, the stack would overflow.
fn cascade_on_a_small_stack(subject: &Subject) {
    /// How many tasks there are: a thread each, on some executors.
    const TASKS: usize = 1_000;
    /// In bytes: about a hundred per task.
    const STACK: usize = 128 << 10;
    let run = || {
        let executor = subject.start();
        let dropped = Tally::new();
        // In the order in which they are spawned, since a shutdown may well begin with the first.
        let links: Vec<_> = (0..TASKS).map(|_| Arc::new(OnceLock::<AbortHandle>::new())).collect();
        let slots: Vec<_> = (0..TASKS).map(|_| WakerSlot::new()).collect();
        for n in 0..TASKS {
            let (next, count) = (links[n].clone(), dropped.on_drop());
            let abort_next = OnDrop::new(move || {
                drop(count);
                next.get().into_iter().for_each(AbortHandle::abort);
            });
            let handle = executor.handle().spawn(carrying(abort_next, store_waker(slots[n].clone())));
            if let Some(before) = n.checked_sub(1) {
                links[before].set(handle.abort_handle()).expect("it is set once");
            }
        }
        executor.block_on(async {
            while slots.iter().any(|slot| slot.get().is_none()) {
                yield_now().await;
            }
        });
        executor.shut_down();
        assert_eq!(dropped.get(), TASKS, "futures dropped in a cascade");
    };
    thread::scope(|scope| {
        let small = thread::Builder::new().name("p59".to_owned()).stack_size(STACK).spawn_scoped(scope, run).unwrap();
        small.join().unwrap_or_else(|panic| resume_unwind(panic));
    });
}

pub(crate) fn p82_a_destructor_in_a_shutdown_is_in_its_executors_context(subject: &Subject) {
    for round in 0..20 {
        let executor = subject.start();
        let (made, refused) = (Tally::new(), Tally::new());
        let kept = Arc::new(Mutex::new(Vec::new()));
        let cleans_up = || {
            made.add();
            let (refused, kept) = (refused.clone(), kept.clone());
            OnDrop::new(move || {
                let current = Handle::current().expect("the executor that shuts down");
                let spawned = polyexec_core::spawn(async {});
                let is_shutdown = |error: &JoinError| error.is_shutdown();
                if current.try_spawn(async {}).is_err_and(|error| error.is_shutdown())
                    && spawned.join().as_ref().is_err_and(is_shutdown)
                {
                    refused.add();
                }
                kept.lock().unwrap().push(current);
            })
        };
        // Some rest, some are queued since they were woken, one was never polled, and one is always ready to run.
        let slots: Vec<_> = (0..4).map(|_| WakerSlot::new()).collect();
        let rests = |slot: &WakerSlot| {
            let slot = slot.clone();
            let rest = poll_fn(move |cx| {
                slot.put(cx.waker().clone());
                Poll::<()>::Pending
            });
            executor.handle().spawn(carrying(cleans_up(), rest))
        };
        let mut tasks: Vec<_> = slots.iter().map(rests).collect();
        executor.block_on(async {
            while slots.iter().any(|slot| slot.get().is_none()) {
                yield_now().await;
            }
        });
        let wakers: Vec<_> = slots.iter().filter_map(WakerSlot::take).collect();
        let busy = async {
            loop {
                yield_now().await;
            }
        };
        tasks.push(executor.handle().spawn(carrying(cleans_up(), busy)));
        wakers.iter().step_by(2).for_each(Waker::wake_by_ref);
        tasks.push(executor.handle().spawn(carrying(cleans_up(), pending::<()>())));

        // Around the shutdown is another executor, or none.
        if round % 2 == 0 {
            let around = subject.start();
            around.block_on(async {
                drop(executor.shut_down());
                let current = Handle::current().expect("the executor around");
                assert_eq!(
                    current.spawn(async { 7 }).await.unwrap(),
                    7,
                    "the executor around is the current one again"
                );
            });
        } else {
            drop(executor.shut_down());
            assert!(Handle::current().is_none());
        }
        assert_eq!(refused.get(), made.get(), "destructors that were refused by their own executor (round {round})");
        assert!(tasks.into_iter().all(|task| task.join().is_err_and(|error| error.is_shutdown())));
        // They outlive their tasks, and refuse.
        let kept = std::mem::take(&mut *kept.lock().unwrap());
        assert!(kept.iter().all(|handle| handle.try_spawn(async {}).is_err_and(|error| error.is_shutdown())));
    }
}
