//! Timers in real time, on every executor and without one: none is early, none is lost, none is left behind.

use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures_lite::future::zip;
use polyexec_conformance::probe::Gate;
use polyexec_conformance::watched;
use polyexec_core::executor::park_on;
use polyexec_core::{Executor, block_on};
use polyexec_futures::yield_now;
use polyexec_io::time::{interval, interval_at, sleep, sleep_until, timeout};
use polyexec_local::Local;
use polyexec_pool::Pool;
use polyexec_threaded::Threaded;

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

const HOUR: Duration = Duration::from_secs(60 * 60);

/// A long deadline: a timer that fires before it is in time, however slow the machine.
const GENEROUS: Duration = Duration::from_secs(60);

/// Sleeps, and panics if it wakes early.
async fn sleep_well(duration: Duration) {
    let begin = Instant::now();
    sleep(duration).await;
    assert!(begin.elapsed() >= duration, "{:?} of {duration:?}", begin.elapsed());
}

/// A program's uses of time.
async fn some_of_each() {
    let begin = Instant::now();
    sleep_well(ms(3)).await;
    assert!(timeout(ms(2), pending::<()>()).await.is_err());
    assert_eq!(timeout(HOUR, async { sleep(ms(1)).await }).await, Ok(()));
    let mut ticks = interval(ms(2));
    let first = ticks.tick().await;
    let second = ticks.tick().await;
    assert_eq!(second - first, ms(2));
    assert!(Instant::now() >= second);
    assert!(begin.elapsed() >= ms(8));
}

/// Runs many of them on a polyexec executor.
fn many_on(executor: &(impl Executor + Clone)) {
    let tasks: Vec<_> = (0..20).map(|_| executor.spawn(some_of_each())).collect();
    executor.block_on(some_of_each());
    executor.block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn on_a_pool() {
    watched!();
    many_on(&Pool::builder().worker_threads(2).build().unwrap().handle());
}

#[test]
fn on_a_thread_per_task() {
    watched!();
    many_on(&Threaded::builder().build().unwrap().handle());
}

#[test]
fn on_one_queue() {
    watched!();
    many_on(&Local::new().handle());
}

#[test]
fn without_an_executor() {
    watched!();
    block_on(some_of_each());
    park_on(some_of_each());
}

/// Property 81: a task waits for an hour or for ever, and is woken when another thread resets its timer.
fn resets_on(executor: &(impl Executor + Clone)) {
    for (time, polls) in [(HOUR, 1), (HOUR, 2), (Duration::MAX, 1), (Duration::MAX, 2)] {
        let timer = Arc::new(Mutex::new(sleep(time)));
        let ticks = Arc::new(Mutex::new(interval_at(Instant::now() + HOUR, ms(1))));
        let (waits, polled) = (Gate::new(), AtomicUsize::new(0));
        let task = executor.spawn({
            let (timer, ticks, waits) = (timer.clone(), ticks.clone(), waits.clone());
            let slept = poll_fn(move |cx| Pin::new(&mut *timer.lock().unwrap()).poll(cx));
            let ticked = poll_fn(move |cx| ticks.lock().unwrap().poll_tick(cx));
            let mut both = Box::pin(zip(slept, ticked));
            poll_fn(move |cx| {
                let both = both.as_mut().poll(cx);
                match polled.fetch_add(1, Relaxed) + 1 {
                    count if count < polls => cx.waker().wake_by_ref(),
                    _ => waits.open(),
                }
                both
            })
        });
        executor.block_on(waits.opened());
        let soon = Instant::now() + ms(1);
        thread::scope(|threads| {
            threads.spawn(|| timer.lock().unwrap().reset(soon));
            threads.spawn(|| ticks.lock().unwrap().reset());
        });
        let ((), tick) = executor.block_on(task).unwrap();
        assert!(tick >= soon && Instant::now() >= tick);
    }
}

#[test]
fn p81_a_reset_by_another_wakes_the_task_that_waits() {
    watched!();
    resets_on(&Pool::builder().worker_threads(2).build().unwrap().handle());
    resets_on(&Threaded::builder().build().unwrap().handle());
    resets_on(&Local::new().handle());
}

#[test]
fn on_executors_of_others() {
    watched!();
    futures_executor::block_on(some_of_each());
    futures_lite::future::block_on(some_of_each());

    let mut queue = futures_executor::LocalPool::new();
    queue.run_until(some_of_each());

    let smol = async_executor::Executor::new();
    let tasks: Vec<_> = (0..20).map(|_| smol.spawn(some_of_each())).collect();
    futures_lite::future::block_on(smol.run(async {
        for task in tasks {
            task.await;
        }
    }));
}

#[test]
fn no_time_is_over_at_once_even_where_nobody_waits() {
    watched!();
    for mut sleep in [sleep(Duration::ZERO), sleep_until(Instant::now())] {
        assert_eq!(Pin::new(&mut sleep).poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(()));
    }
}

#[test]
fn a_hundred_thousand_at_once() {
    watched!();
    const SLEEPS: usize = 100_000;
    let pool = Pool::builder().worker_threads(2).build().unwrap();
    let slept = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..SLEEPS)
        .map(|_| {
            let slept = slept.clone();
            pool.spawn(async move {
                sleep_well(ms(10)).await;
                slept.fetch_add(1, Relaxed);
            })
        })
        .collect();
    pool.block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert_eq!(slept.load(Relaxed), SLEEPS);
}

#[test]
fn many_threads_at_once() {
    watched!();
    thread::scope(|threads| {
        for seed in 0..8 {
            threads.spawn(move || {
                let times = (0..200_u64).map(|index| Duration::from_micros((seed + index) * 7_919 % 3_000));
                times.for_each(|time| block_on(sleep_well(time)));
            });
        }
    });
}

/// Counts its instances and its calls.
struct Ours(AtomicUsize);

impl Wake for Ours {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[test]
fn what_is_dropped_leaves_no_timer() {
    watched!();
    let ours = Arc::new(Ours(AtomicUsize::new(0)));
    thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                let waker = Waker::from(ours.clone());
                let mut cx = Context::from_waker(&waker);
                let mut sleeps: Vec<_> = (0..1_000).map(|index| sleep(HOUR + ms(index % 100))).collect();
                sleeps.iter_mut().for_each(|sleep| assert!(Pin::new(sleep).poll(&mut cx).is_pending()));
                // Every other one, then the rest, of which some are renewed.
                let rest: Vec<_> = sleeps.into_iter().step_by(2).collect();
                for (index, mut sleep) in rest.into_iter().enumerate() {
                    if index % 3 == 0 {
                        assert!(Pin::new(&mut sleep).poll(&mut cx).is_pending());
                        sleep.reset(Instant::now() + HOUR);
                        assert!(Pin::new(&mut sleep).poll(&mut cx).is_pending());
                    }
                }
            });
        }
    });
    // A timer would have the waker.
    assert_eq!(Arc::strong_count(&ours), 1);
    assert_eq!(ours.0.load(Relaxed), 0);
}

#[test]
fn time_goes_on_while_all_workers_are_busy() {
    watched!();
    let pool = Pool::builder().worker_threads(2).build().unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let (begun, has_begun) = mpsc::channel();
    let busy: Vec<_> = (0..2)
        .map(|_| {
            let (over, begun) = (over.clone(), begun.clone());
            pool.spawn(async move {
                begun.send(()).unwrap();
                while !over.load(Relaxed) {
                    // It never yields.
                    thread::yield_now();
                }
            })
        })
        .collect();
    (0..2).for_each(|_| has_begun.recv().unwrap());
    let begin = Instant::now();
    for _ in 0..20 {
        futures_executor::block_on(sleep_well(ms(1)));
    }
    assert!(begin.elapsed() < GENEROUS, "{:?}", begin.elapsed());
    over.store(true, Relaxed);
    busy.into_iter().for_each(|task| task.join().unwrap());
}

#[test]
fn a_task_that_never_rests_keeps_no_timer_from_going_off() {
    watched!();
    for executor in ["pool", "local"] {
        let slept = async {
            let mut sleep = pin!(sleep_well(ms(5)));
            let mut polls = 0_u64;
            // The same task polls each time and wakes itself, so its executor is never idle.
            while futures_lite::future::poll_once(sleep.as_mut()).await.is_none() {
                polls += 1;
                yield_now().await;
            }
            polls
        };
        let polls = match executor {
            "pool" => Pool::builder().worker_threads(1).build().unwrap().spawn(slept).join().unwrap(),
            _ => Local::new().block_on(slept),
        };
        assert!(polls > 0, "on {executor}");
    }
}
