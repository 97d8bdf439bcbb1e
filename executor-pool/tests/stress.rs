//! Wakes, aborts, joins, drops, blocking tasks and the shutdown, all at random and at once. Made for the sanitizers
//! (`verify/sanitize`); the conformance suite tests each of these alone.
//!
//! Each test prints the seed of the round that failed. `POLYEXEC_SEED` repeats that one, `POLYEXEC_STRESS=10` runs ten
//! times as many.

use std::future::poll_fn;
use std::io::{Write, stderr};
use std::mem::take;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use polyexec_conformance::probe::{Gate, OnDrop, Planned, Rng, Tally, carrying, poll_with};
use polyexec_core::{AbortHandle, Executor, JoinHandle, block_in_place};
use polyexec_futures::yield_now;
use polyexec_pool::{Pool, PoolHandle};

/// The time after which a round hangs: the slowest takes milliseconds, or a second under a sanitizer.
const PATIENCE: Duration = Duration::from_secs(120);

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} is no number: {value}")))
}

/// Runs a round for each seed on another thread, and reports a round that hangs.
fn rounds(rounds: u64, round: fn(u64)) {
    let seeds = match number("POLYEXEC_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..rounds * number("POLYEXEC_STRESS").unwrap_or(1),
    };
    let (begins, begun) = channel();
    let thread = thread::spawn(move || {
        for seed in seeds {
            begins.send(seed).unwrap();
            round(seed);
        }
    });
    let (mut seed, name) = (0, thread::current().name().unwrap_or_default().to_owned());
    loop {
        match begun.recv_timeout(PATIENCE) {
            Ok(next) => seed = next,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                // Not `eprintln`, which the harness keeps until the test ends: this one won't.
                let _ = writeln!(stderr(), "{name}: POLYEXEC_SEED={seed} hangs");
                std::process::exit(101);
            }
        }
    }
    if let Err(panic) = thread.join() {
        eprintln!("{name}: POLYEXEC_SEED={seed} fails");
        resume_unwind(panic);
    }
}

/// What a round has made, and what became of it.
#[derive(Default)]
struct World {
    futures: Counted,
    outputs: Counted,
    /// Of tasks that rest, or did.
    wakers: Bag<Waker>,
    aborts: Bag<AbortHandle>,
    handles: Bag<JoinHandle<OnDrop>>,
}

#[derive(Default)]
struct Counted {
    made: Tally,
    dropped: Tally,
}

impl Counted {
    fn make(&self) -> OnDrop {
        self.made.add();
        self.dropped.on_drop()
    }

    fn are_gone(&self) -> bool {
        self.dropped.get() == self.made.get()
    }
}

/// Things that any thread takes out at random.
struct Bag<T>(Mutex<Vec<T>>);

impl<T> Default for Bag<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Bag<T> {
    fn put(&self, thing: T) {
        self.0.lock().unwrap().push(thing);
    }

    fn take(&self, rng: &mut Rng) -> Option<T> {
        let mut things = self.0.lock().unwrap();
        if things.is_empty() {
            return None;
        }
        let which = rng.below(things.len() as u64) as usize;
        Some(things.swap_remove(which))
    }

    fn empty(&self) {
        // Their destructors run after the lock was released.
        let things = take(&mut *self.0.lock().unwrap());
        drop(things);
    }
}

/// Pending once. Any thread may find and call its waker; otherwise it waits until its pool ends.
fn rest(world: &World) -> impl Future<Output = ()> + Send {
    let mut has_rested = false;
    poll_fn(move |cx| {
        if has_rested {
            return Poll::Ready(());
        }
        has_rested = true;
        world.wakers.put(cx.waker().clone());
        Poll::Pending
    })
}

/// A random life. Its children have the next lower `rank`.
fn life(world: Arc<World>, pool: PoolHandle, mut rng: Rng, rank: u32) -> Pin<Box<dyn Future<Output = OnDrop> + Send>> {
    let future = world.futures.make();
    Box::pin(carrying(future, async move {
        for _ in 0..rng.below(5) {
            let child = |rng: &mut Rng| pool.spawn(life(world.clone(), pool.clone(), rng.fork(), rank - 1));
            match rng.below(16) {
                0..4 if rank > 0 => keep(&world, child(&mut rng), &mut rng),
                4 if rank > 0 => drop(child(&mut rng).await),
                5 if rank > 0 => drop(child(&mut rng).join()),
                0..8 => yield_now().await,
                8 => rest(&world).await,
                9 => block_in_place(|| rng.linger()),
                10 => rng.linger(),
                11 if rng.below(4) == 0 => resume_unwind(Box::new(Planned)),
                _ => meddle(&world, &mut rng),
            }
        }
        world.outputs.make()
    }))
}

/// Does something to a handle that is new.
fn keep(world: &World, handle: JoinHandle<OnDrop>, rng: &mut Rng) {
    match rng.below(8) {
        0 => handle.abort(),
        1 => drop(handle),
        2 => drop(handle.abort_on_drop()),
        3 => world.aborts.put(handle.abort_handle()),
        _ => world.handles.put(handle),
    }
}

/// Does something to some task, and never waits.
fn meddle(world: &World, rng: &mut Rng) {
    match rng.below(8) {
        0..3 => world.wakers.take(rng).into_iter().for_each(Waker::wake),
        3 => {
            if let Some(waker) = world.wakers.take(rng) {
                waker.wake_by_ref();
                world.wakers.put(waker);
            }
        }
        4 => world.aborts.take(rng).into_iter().for_each(|task| task.abort()),
        5 => world.handles.take(rng).into_iter().for_each(|task| task.abort()),
        6 => drop(world.handles.take(rng)),
        _ => {
            let waker = world.wakers.take(rng);
            if let (Some(waker), Some(mut handle)) = (waker, world.handles.take(rng))
                && poll_with(&mut handle, &waker).is_pending()
            {
                world.handles.put(handle);
            }
        }
    }
}

/// Foreign threads spawn, join and meddle until they have had enough, or the pool has shut down.
fn outsider(world: &Arc<World>, pool: &PoolHandle, rng: &mut Rng) {
    for _ in 0..rng.below(60) {
        match rng.below(8) {
            0..3 => {
                for _ in 0..1 + rng.below(6) {
                    let handle = pool.spawn(life(world.clone(), pool.clone(), rng.fork(), 2));
                    keep(world, handle, rng);
                }
            }
            3 => {
                // A join of a task that waits ends with the shutdown.
                drop(world.handles.take(rng).map(JoinHandle::join));
            }
            4 => rng.linger(),
            _ => meddle(world, rng),
        }
    }
}

fn some_pool(rng: &mut Rng, spare_threads: usize) -> Pool {
    let keep_alive = Duration::from_micros(rng.below(200));
    let workers = 1 + rng.below(4) as usize;
    Pool::builder().worker_threads(workers).spare_threads(spare_threads).keep_alive(keep_alive).build().unwrap()
}

#[test]
fn all_lives_end_however_the_pool_does() {
    rounds(120, |seed| {
        let mut rng = Rng::new(seed);
        let world = Arc::new(World::default());
        let is_dropped_inside = rng.below(4) == 0;
        // For the task that ends the pool there must be a thread in the end.
        let spare_threads = if is_dropped_inside { 512 } else { rng.below(40) as usize };
        let pool = some_pool(&mut rng, spare_threads);
        let outsiders: Vec<_> = (0..3)
            .map(|_| {
                let (world, handle, mut rng) = (world.clone(), pool.handle(), rng.fork());
                thread::spawn(move || outsider(&world, &handle, &mut rng))
            })
            .collect();
        (0..rng.below(60)).for_each(|_| rng.linger());
        if is_dropped_inside {
            // Then no thread waits for the others.
            let handle = pool.handle();
            let ends = handle.spawn(async move { drop(pool) });
            if rng.below(2) == 0 {
                drop(ends.join());
            }
        } else {
            drop(pool);
        }
        outsiders.into_iter().for_each(|outsider| outsider.join().unwrap());

        // Threads without a join may still end the last tasks, and fill the bags.
        let World { futures, outputs, wakers, aborts, handles } = &*world;
        let patience = Instant::now() + PATIENCE / 2;
        let is_over = || {
            wakers.empty();
            aborts.empty();
            handles.empty();
            Arc::strong_count(&world) == 1 && futures.are_gone() && outputs.are_gone()
        };
        while !is_over() && Instant::now() < patience {
            thread::yield_now();
        }
        assert_eq!(futures.dropped.get(), futures.made.get(), "futures dropped, of all that were made");
        assert_eq!(outputs.dropped.get(), outputs.made.get(), "outputs dropped, of all that were made");
        assert_eq!(Arc::strong_count(&world), 1, "something holds on to what its task had");
    });
}

/// A task that is next on a worker is taken by another one, since the worker's poll is long, and is aborted and woken
/// meanwhile.
#[test]
fn what_is_next_is_stolen_while_it_is_aborted() {
    rounds(150, |seed| {
        let mut rng = Rng::new(seed);
        let world = Arc::new(World::default());
        let pool = Pool::builder().worker_threads(2 + rng.below(3) as usize).build().unwrap();
        let meddler = {
            let (world, mut rng) = (world.clone(), rng.fork());
            thread::spawn(move || {
                for _ in 0..200 {
                    world.aborts.take(&mut rng).into_iter().for_each(|task| task.abort());
                    world.wakers.take(&mut rng).into_iter().for_each(Waker::wake);
                    rng.linger();
                }
            })
        };
        let blockers: Vec<_> = (0..4)
            .map(|_| {
                let (handle, world, mut rng) = (pool.handle(), world.clone(), rng.fork());
                pool.spawn(async move {
                    let mut ends = Vec::new();
                    for _ in 0..8 {
                        let world = world.clone();
                        let task = handle.spawn(async move {
                            let future = world.futures.make();
                            rest(&world).await;
                            yield_now().await;
                            drop(future);
                            world.outputs.make()
                        });
                        ends.push(task);
                        rng.linger();
                    }
                    for task in &ends {
                        world.aborts.put(task.abort_handle());
                        rng.linger();
                    }
                    ends
                })
            })
            .collect();
        let tasks: Vec<_> = blockers.into_iter().flat_map(|blocker| blocker.join().unwrap()).collect();
        meddler.join().unwrap();
        tasks.iter().for_each(JoinHandle::abort);
        for task in tasks {
            assert!(task.join().map_or_else(|error| error.is_cancelled(), |_output| true));
        }
        world.wakers.empty();
        drop(pool);
        assert_eq!(world.futures.dropped.get(), world.futures.made.get());
        assert_eq!(world.outputs.dropped.get(), world.outputs.made.get());
    });
}

/// Outsiders give the pool tasks by the hundred, while its workers go from thread to thread.
#[test]
fn workers_change_hands_while_outsiders_spawn() {
    const TASKS: u64 = 150;
    rounds(40, |seed| {
        let mut rng = Rng::new(seed);
        let spare_threads = 1 + rng.below(5) as usize;
        let pool = some_pool(&mut rng, spare_threads);
        let outsiders: Vec<_> = (0..3)
            .map(|_| {
                let (handle, mut rng) = (pool.handle(), rng.fork());
                thread::spawn(move || {
                    let tasks: Vec<_> = (0..TASKS)
                        .map(|n| {
                            let (inner, mut rng) = (handle.clone(), rng.fork());
                            handle.spawn(async move {
                                match rng.below(4) {
                                    0 => block_in_place(|| rng.linger()),
                                    1 => drop(inner.spawn(yield_now()).await),
                                    2 => yield_now().await,
                                    _ => {}
                                }
                                let n = inner.spawn(async move { n });
                                if rng.below(2) == 0 {
                                    block_in_place(|| rng.linger())
                                }
                                n.await.unwrap()
                            })
                        })
                        .collect();
                    tasks.into_iter().map(|task| task.join().unwrap()).sum::<u64>()
                })
            })
            .collect();
        for outsider in outsiders {
            assert_eq!(outsider.join().unwrap(), TASKS * (TASKS - 1) / 2);
        }
    });
}

/// All workers but one are busy for long from the very beginning, when each is about to fall asleep for the first time.
#[test]
fn a_fresh_pool_has_a_worker_for_each_task() {
    rounds(512, |seed| {
        let mut rng = Rng::new(seed);
        let workers = 2 + rng.below(3);
        let pool = Pool::builder().worker_threads(workers as usize).build().unwrap();
        let gate = Gate::new();
        let blockers: Vec<_> = (1..workers)
            .map(|_| {
                let gate = gate.clone();
                rng.linger();
                // It doesn't say that it blocks, and so keeps its worker.
                pool.spawn(async move { gate.wait() })
            })
            .collect();
        for n in 0..1 + rng.below(4) {
            assert_eq!(pool.spawn(async move { n }).join().unwrap(), n);
            rng.linger();
        }
        gate.open();
        for blocker in blockers {
            blocker.join().unwrap();
        }
    });
}
