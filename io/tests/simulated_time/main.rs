//! Timers on an executor with its own clock: the exact order of events.

use std::future::{pending, poll_fn, ready};
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use polyexec_conformance::probe::Trace;
use polyexec_conformance::watched;
use polyexec_core::{Executor, block_on};
use polyexec_futures::yield_now;
use polyexec_io::time::{
    Elapsed, MissedTick, Sleep, interval, interval_at, now, sleep, sleep_until, timeout, timeout_at,
};

use simulation::{Simulation, simulate};

mod intervals;
#[cfg(feature = "net")]
mod servers;
mod simulation;

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Counts its calls.
#[derive(Default)]
struct Calls(AtomicUsize);

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

fn poll(sleep: &mut Sleep, waker: &Waker) -> Poll<()> {
    Pin::new(sleep).poll(&mut Context::from_waker(waker))
}

#[test]
fn a_sleep_takes_its_time_and_nobody_elses() {
    watched!();
    let begin = Instant::now();
    let slept = simulate(|_| async {
        let begin = now();
        sleep(24 * HOUR).await;
        sleep(Duration::from_nanos(1)).await;
        now() - begin
    });
    assert_eq!(slept, 24 * HOUR + Duration::from_nanos(1));
    assert!(begin.elapsed() < HOUR);
}

#[test]
fn sleeps_end_in_the_order_of_their_deadlines() {
    watched!();
    let trace = Trace::new();
    simulate(|simulation| {
        let trace = trace.clone();
        async move {
            let tasks: Vec<_> = [3, 1, 2, 1]
                .into_iter()
                .enumerate()
                .map(|(index, time)| {
                    let (here, trace) = (simulation.clone(), trace.clone());
                    simulation.spawn(async move {
                        sleep(ms(time)).await;
                        trace.log(format!("{index} at {}", here.millis()));
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        }
    });
    assert_eq!(trace, ["1 at 1", "3 at 1", "2 at 2", "0 at 3"]);
}

#[test]
fn no_time_is_over_at_the_first_poll_without_a_timer() {
    watched!();
    simulate(|simulation| async move {
        simulation.clockwork().spend(ms(5));
        let before = now() - ms(5);
        for mut sleep in [sleep(Duration::ZERO), sleep_until(now()), sleep_until(before)] {
            assert!(sleep.is_elapsed());
            assert_eq!([0, 1].map(|_| poll(&mut sleep, Waker::noop())), [Poll::Ready(()); 2]);
        }
        assert_eq!(simulation.clockwork().set.load(Relaxed), 0);
    });
}

#[test]
fn a_time_too_far_away_never_comes_and_sets_no_timer() {
    watched!();
    simulate(|simulation| async move {
        let mut never = sleep(Duration::MAX);
        assert_eq!((never.deadline(), never.is_elapsed()), (None, false));
        assert_eq!(poll(&mut never, Waker::noop()), Poll::Pending);
        assert_eq!(timeout(Duration::MAX, ready(1)).await, Ok(1));
        let mut once = interval(Duration::MAX);
        once.tick().await;
        assert_eq!(simulation.clockwork().set.load(Relaxed), 0);

        assert!(timeout(HOUR, once.tick()).await.is_err());
        once.reset();
        assert!(timeout(HOUR, once.tick()).await.is_err());
        // A sleep without a deadline can be reset to one.
        never.reset(now() + ms(1));
        never.await;
        assert_eq!(simulation.millis(), 2.0 * 3_600_000.0 + 1.0);
    });
}

async fn elapsed() -> Elapsed {
    timeout(Duration::ZERO, pending::<()>()).await.unwrap_err()
}

async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

#[test]
fn a_timeout_ends_what_takes_longer() {
    watched!();
    simulate(|simulation| async move {
        assert!(timeout(ms(10), sleep(ms(20))).await.is_err());
        assert_eq!((simulation.millis(), simulation.clockwork().timers()), (10.0, 0));
        assert_eq!(timeout(ms(20), sleep(ms(10))).await, Ok(()));
        assert_eq!((simulation.millis(), simulation.clockwork().timers()), (20.0, 0));
    });
}

#[test]
fn a_timeout_polls_its_future_first() {
    watched!();
    simulate(|simulation| async move {
        assert_eq!(timeout(Duration::ZERO, ready(1)).await, Ok(1));
        assert_eq!(timeout_at(now() - ms(1), ready(2)).await, Ok(2));
        assert_eq!(timeout(ms(10), sleep(ms(10))).await, Ok(()));
        // A future that is ready in a late poll isn't late.
        let worked = timeout(ms(10), async {
            yield_now().await;
            simulation.clockwork().spend(HOUR);
        });
        assert_eq!(worked.await, Ok(()));
        assert!(timeout(Duration::ZERO, yield_now()).await.is_err());
    });
}

#[test]
fn one_deadline_for_several_steps() {
    watched!();
    let steps = simulate(|_| async {
        let deadline = now() + ms(25);
        let mut steps = 0;
        while timeout_at(deadline, sleep(ms(10))).await.is_ok() {
            steps += 1;
        }
        steps
    });
    assert_eq!(steps, 2);
}

#[test]
fn what_timed_out_goes_on_if_it_was_lent() {
    watched!();
    simulate(|simulation| async move {
        let mut work = pin!(sleep(ms(15)));
        assert!(timeout(ms(10), work.as_mut()).await.is_err());
        assert_eq!(timeout(ms(10), work).await, Ok(()));
        assert_eq!(simulation.millis(), 15.0);
        assert_eq!(timeout(ms(10), ready(1)).into_inner().await, 1);
    });
}

#[test]
fn a_timeout_is_an_io_error() {
    watched!();
    let error = simulate(|_| async { io::Error::from(elapsed().await) });
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(error.to_string(), "the time allowed has elapsed");
    assert!(error.get_ref().unwrap().is::<Elapsed>());
}

#[test]
fn a_reset_moves_the_timer() {
    watched!();
    simulate(|simulation| async move {
        let begin = now();
        let mut sleep = sleep(ms(10));
        // No task waits for the first one.
        for (deadline, timers) in [(20, 0), (5, 1), (5, 1)] {
            sleep.reset(begin + ms(deadline));
            assert_eq!((sleep.deadline(), simulation.clockwork().timers()), (Some(begin + ms(deadline)), timers));
            (0..3).for_each(|_| assert_eq!(poll(&mut sleep, Waker::noop()), Poll::Pending));
            assert_eq!(simulation.clockwork().timers(), 1);
        }
        (&mut sleep).await;
        assert_eq!(simulation.clockwork().timers(), 0);
        assert_eq!((simulation.millis(), sleep.is_elapsed()), (5.0, true));
        sleep.reset(begin + ms(7));
        assert!(!sleep.is_elapsed());
        sleep.await;
        assert_eq!(simulation.millis(), 7.0);
    });
}

/// Property 81: a task that has polled `polls` times waits for `sleep`. Others reset the sleep to each of `times`, one
/// millisecond after another. Returns the millisecond at which the task is ready, and its polls.
fn reset_by_others(sleep: Duration, polls: usize, times: &'static [u64]) -> (f64, usize) {
    simulate(|simulation| async move {
        let (begin, polled) = (now(), Arc::new(AtomicUsize::new(0)));
        let shared = Arc::new(Mutex::new(polyexec_io::time::sleep(sleep)));
        let task = simulation.spawn({
            let (shared, polled) = (shared.clone(), polled.clone());
            poll_fn(move |cx| {
                if polled.fetch_add(1, Relaxed) + 1 < polls {
                    cx.waker().wake_by_ref();
                }
                poll(&mut shared.lock().unwrap(), cx.waker())
            })
        });
        for time in times {
            polyexec_io::time::sleep(ms(1)).await;
            shared.lock().unwrap().reset(begin + ms(*time));
        }
        let ended = simulation.spawn(async move {
            task.await.unwrap();
            now()
        });
        let ended = timeout(HOUR, ended).await.expect("never woken").unwrap();
        assert_eq!(simulation.clockwork().timers(), 0);
        (simulation.at(ended), polled.load(Relaxed) - polls)
    })
}

#[test]
fn p81_a_task_that_waits_is_woken_at_the_time_to_which_others_reset_its_sleep() {
    watched!();
    for polls in 1..4 {
        // Sooner and later, once and again, and after a time that never comes.
        assert_eq!(reset_by_others(ms(20), polls, &[10]), (10.0, 1));
        assert_eq!(reset_by_others(ms(20), polls, &[30]), (30.0, 1));
        assert_eq!(reset_by_others(ms(20), polls, &[30, 5, 10]), (10.0, 1));
        assert_eq!(reset_by_others(Duration::MAX, polls, &[10]), (10.0, 1));
        // A time that has passed is immediate.
        assert_eq!(reset_by_others(ms(20), polls, &[0]), (1.0, 1));
    }
}

#[test]
fn p81_a_task_that_waits_is_woken_at_the_time_to_which_others_reset_its_interval() {
    watched!();
    let ticked = simulate(|simulation| async move {
        let shared = Arc::new(Mutex::new(interval_at(now() + HOUR, ms(10))));
        let task = simulation.spawn({
            let shared = shared.clone();
            poll_fn(move |cx| shared.lock().unwrap().poll_tick(cx))
        });
        sleep(ms(4)).await;
        shared.lock().unwrap().reset();
        let tick = timeout(ms(20), task).await.expect("never woken").unwrap();
        (simulation.at(tick), simulation.millis())
    });
    assert_eq!(ticked, (14.0, 14.0));
}

#[test]
fn who_is_not_waited_for_any_more_is_woken_by_no_reset() {
    watched!();
    simulate(|simulation| async move {
        let calls = Arc::new(Calls::default());
        let waker = Waker::from(calls.clone());
        let mut over = sleep(ms(1));
        (0..2).for_each(|_| assert_eq!(poll(&mut over, &waker), Poll::Pending));
        simulation.clockwork().spend(ms(1));
        assert_eq!(poll(&mut over, &waker), Poll::Ready(()));
        over.reset(now() + ms(1));
        assert_eq!((simulation.clockwork().timers(), Arc::strong_count(&calls)), (0, 2));
        // If woken at the old time, the task has to poll: one call.
        assert_eq!(poll(&mut over, &waker), Poll::Pending);
        sleep(ms(2)).await;
        over.reset(now() + ms(1));
        assert_eq!((simulation.clockwork().timers(), Arc::strong_count(&calls)), (0, 2));
        assert_eq!(calls.0.load(Relaxed), 1);
        // A sleep without a deadline keeps a waker for a reset, until it is dropped.
        let mut never = sleep(Duration::MAX);
        (0..3).for_each(|_| assert_eq!(poll(&mut never, &waker), Poll::Pending));
        assert_eq!(Arc::strong_count(&calls), 3);
        drop(never);
        assert_eq!(Arc::strong_count(&calls), 2);
    });
}

#[test]
fn what_is_given_up_leaves_no_timer_and_no_waker() {
    watched!();
    simulate(|simulation| async move {
        let timers = || simulation.clockwork().timers();
        let calls = Arc::new(Calls::default());
        let waker = Waker::from(calls.clone());
        let mut given_up = sleep(ms(1));
        (0..3).for_each(|_| assert_eq!(poll(&mut given_up, &waker), Poll::Pending));
        assert_eq!(timers(), 1);
        drop((given_up, waker));
        assert_eq!((timers(), Arc::strong_count(&calls)), (0, 1));

        let task = simulation.spawn(async { timeout(HOUR, sleep(HOUR)).await });
        yield_now().await;
        assert_eq!(timers(), 2);
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(timers(), 0);

        // Over, but not dropped.
        let mut over = pin!(timeout(HOUR, yield_now()));
        assert!(poll_once(over.as_mut()).await.is_pending());
        assert_eq!(timers(), 1);
        assert!(poll_once(over.as_mut()).await.is_ready());
        assert_eq!(timers(), 0);

        sleep(ms(5)).await;
        assert_eq!(calls.0.load(Relaxed), 0);
    });
}

#[test]
fn the_newest_waker_is_called_and_the_same_one_isnt_given_again() {
    watched!();
    simulate(|simulation| async move {
        let [old, new] = [(); 2].map(|()| Arc::new(Calls::default()));
        let [first, second] = [&old, &new].map(|calls| Waker::from(calls.clone()));
        let counts = |simulation: &Simulation| {
            let clockwork = simulation.clockwork();
            [clockwork.set.load(Relaxed), clockwork.renewed.load(Relaxed), clockwork.timers()]
        };
        let mut moved = sleep(ms(10));
        (0..9).for_each(|_| assert_eq!(poll(&mut moved, &first), Poll::Pending));
        assert_eq!(counts(&simulation), [1, 1, 1]);
        (0..9).for_each(|_| assert_eq!(poll(&mut moved, &second), Poll::Pending));
        assert_eq!(counts(&simulation), [1, 2, 1]);
        sleep(ms(20)).await;
        let calls = || [&old, &new].map(|calls| calls.0.load(Relaxed));
        assert_eq!(calls(), [0, 1]);
        assert_eq!(poll(&mut moved, &first), Poll::Ready(()));

        // After a reset, a wake of the earlier timer means nothing.
        moved.reset(now() + HOUR);
        (0..2).for_each(|_| assert_eq!(poll(&mut moved, &first), Poll::Pending));
        moved.reset(now() + ms(1));
        [&second, &first].into_iter().for_each(|waker| assert_eq!(poll(&mut moved, waker), Poll::Pending));
        sleep(ms(2)).await;
        assert_eq!(calls(), [1, 1]);
    });
}

#[test]
fn a_timer_goes_by_the_clock_of_those_who_made_it() {
    watched!();
    let real = sleep(HOUR);
    let (simulated,) = simulate(|simulation| async move {
        assert!(real.deadline().unwrap() > now());
        sleep(24 * HOUR).await;
        assert!(!real.is_elapsed(), "an hour hasn't passed outside");
        let simulated = sleep(HOUR);
        simulation.clockwork().spend(HOUR);
        (simulated,)
    });
    block_on(simulated);
    simulate(|simulation| async move {
        let here = simulation.clock().unwrap().now();
        assert_eq!(now(), here);
        assert_eq!(block_on(async { now() }), here, "a nested wait is of the same executor");
    });
}
