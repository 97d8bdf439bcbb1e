//! Intervals on simulated time: which ticks come, and when.

use super::*;

/// Takes five ticks of an interval of 10 ms, and works after each for that many milliseconds.
fn ticks(policy: MissedTick, work: [u64; 5]) -> Trace {
    let trace = Trace::new();
    simulate(|simulation| {
        let trace = trace.clone();
        async move {
            let mut ticks = interval(ms(10));
            ticks.set_missed_tick_policy(policy);
            assert_eq!((ticks.missed_tick_policy(), ticks.period()), (policy, ms(10)));
            for work in work {
                let tick = ticks.tick().await;
                trace.log(format!("{} at {}", simulation.at(tick), simulation.millis()));
                simulation.clockwork().spend(ms(work));
            }
            assert_eq!(simulation.clockwork().timers(), 0);
        }
    });
    trace
}

#[test]
fn who_is_quick_gets_each_tick_at_its_time() {
    watched!();
    for policy in [MissedTick::Burst, MissedTick::Delay, MissedTick::Skip] {
        assert_eq!(ticks(policy, [0, 9, 0, 3, 0]), ["0 at 0", "10 at 10", "20 at 20", "30 at 30", "40 at 40"]);
    }
}

#[test]
fn a_late_tick_that_misses_none_changes_nothing() {
    watched!();
    for policy in [MissedTick::Burst, MissedTick::Delay, MissedTick::Skip] {
        assert_eq!(ticks(policy, [19, 0, 0, 0, 0]), ["0 at 0", "10 at 19", "20 at 20", "30 at 30", "40 at 40"]);
    }
}

#[test]
fn missed_ticks_come_in_a_burst() {
    watched!();
    assert_eq!(ticks(MissedTick::Burst, [35, 0, 0, 0, 0]), ["0 at 0", "10 at 35", "20 at 35", "30 at 35", "40 at 40"]);
    assert_eq!(ticks(MissedTick::Burst, [20, 0, 0, 0, 0]), ["0 at 0", "10 at 20", "20 at 20", "30 at 30", "40 at 40"]);
}

#[test]
fn missed_ticks_delay_those_that_follow() {
    watched!();
    assert_eq!(ticks(MissedTick::Delay, [35, 0, 0, 30, 0]), ["0 at 0", "10 at 35", "45 at 45", "55 at 55", "65 at 85"]);
    assert_eq!(ticks(MissedTick::Delay, [20, 0, 0, 0, 0]), ["0 at 0", "10 at 20", "30 at 30", "40 at 40", "50 at 50"]);
}

#[test]
fn missed_ticks_are_skipped() {
    watched!();
    assert_eq!(ticks(MissedTick::Skip, [35, 0, 0, 30, 0]), ["0 at 0", "10 at 35", "40 at 40", "50 at 50", "60 at 80"]);
    assert_eq!(ticks(MissedTick::Skip, [20, 0, 0, 0, 0]), ["0 at 0", "10 at 20", "30 at 30", "40 at 40", "50 at 50"]);
}

#[test]
fn an_interval_begins_when_it_is_told_to_and_again_after_a_reset() {
    watched!();
    let trace = Trace::new();
    simulate(|simulation| {
        let trace = trace.clone();
        async move {
            let mut ticks = interval_at(now() + ms(3), ms(10));
            for _ in 0..2 {
                trace.log(simulation.at(ticks.tick().await).to_string());
            }
            simulation.clockwork().spend(ms(4));
            ticks.reset();
            trace.log(simulation.at(ticks.tick().await).to_string());
        }
    });
    assert_eq!(trace, ["3", "13", "27"]);
}

#[test]
fn the_next_tick_of_an_interval_is_set_and_those_after_it_follow() {
    watched!();
    simulate(|simulation| async move {
        let mut ticks = interval(ms(10));
        ticks.tick().await;
        simulation.clockwork().spend(ms(4));
        ticks.reset_immediately();
        assert_eq!([simulation.at(ticks.tick().await), simulation.at(ticks.tick().await)], [4.0, 14.0]);
        ticks.reset_after(ms(3));
        assert_eq!([simulation.at(ticks.tick().await), simulation.at(ticks.tick().await)], [17.0, 27.0]);
        ticks.reset_at(now() + ms(25));
        assert_eq!([simulation.at(ticks.tick().await), simulation.at(ticks.tick().await)], [52.0, 62.0]);
        // A time that has passed is due at once.
        ticks.reset_at(now() - ms(5));
        assert_eq!([simulation.at(ticks.tick().await), simulation.millis()], [57.0, 62.0]);
        ticks.reset_after(Duration::MAX);
        assert!(timeout(HOUR, ticks.tick()).await.is_err(), "no instant is that far away");
    });
}

#[test]
fn a_tick_that_nobody_got_comes_at_the_next_call() {
    watched!();
    simulate(|simulation| async move {
        let mut ticks = interval(ms(10));
        ticks.tick().await;
        // Dropped while it is pending, and when it is due but not yet polled.
        assert!(timeout(ms(4), ticks.tick()).await.is_err());
        let mut due = Box::pin(ticks.tick());
        assert!(poll_once(due.as_mut()).await.is_pending());
        simulation.clockwork().spend(ms(7));
        drop(due);
        assert_eq!(simulation.clockwork().timers(), 1, "it is the interval's");
        assert_eq!((simulation.at(ticks.tick().await), simulation.millis()), (10.0, 11.0));
        assert_eq!(simulation.at(ticks.tick().await), 20.0);
    });
}

#[test]
#[should_panic(expected = "an interval's period must not be zero")]
fn an_interval_of_no_time_panics() {
    interval(Duration::ZERO);
}
