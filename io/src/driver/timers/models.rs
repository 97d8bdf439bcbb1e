//! Timers under loom: a timer that is reset is called once, at its new time. Run by `verify/loom`.

use super::*;

use std::sync::Arc as StdArc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::Wake;

use loom::sync::Arc;
use loom::thread;
use polyexec_core::modelled::check;

/// Counts its calls. Orders nothing.
#[derive(Default)]
struct Calls(AtomicUsize);

impl Wake for Calls {
    fn wake(self: StdArc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// The time that many ticks after the timers were made. A timer of that time is due one tick later: the first tick is 1.
fn at(timers: &Timers, ticks: u32) -> Instant {
    timers.begin + ticks * Duration::from_nanos(TICK)
}

/// Takes what is due by that tick, and calls it.
fn look(timers: &Timers, ticks: u32) {
    let mut woken = Vec::new();
    timers.take_due(|| at(timers, ticks), &mut woken);
    woken.into_iter().for_each(Waker::wake);
}

/// Moves a timer from one shard to the other, as a thread does that has not set it.
fn reset(timers: &Timers, from: u32, number: u64, to: u32) -> Option<OnSet> {
    let waker = timers.cancel(at(timers, from), number)?;
    Some(timers.set_in(1, at(timers, to), waker).1)
}

#[test]
fn who_waits_sees_the_new_time_or_is_interrupted() {
    check("timers: one waits, and a timer is reset to sooner", || {
        let timers = Arc::new(Timers::new());
        let (number, _) = timers.set_in(0, at(&timers, 5), Waker::noop().clone());
        let other = thread::spawn({
            let timers = timers.clone();
            move || reset(&timers, 5, number, 3)
        });
        let time = timers.begin_wait(|| timers.begin);
        let owed = other.join().unwrap().expect("nothing was due");
        let sees = time.is_some_and(|time| time <= at(&timers, 3) - timers.begin);
        assert!(sees || owed == OnSet::Interrupt, "waits for {time:?}, and {owed:?} is owed");
    });
}

/// A timer is reset while a thread takes what is due by tick 3. It is called once, by that look or the next.
fn reset_while_one_looks(from: u32, to: u32) {
    let timers = Arc::new(Timers::new());
    let calls = StdArc::new(Calls::default());
    // Another timer that is due in the same shard, so that the look takes its lock.
    let _ = timers.set_in(0, at(&timers, 3), Waker::noop().clone());
    let (number, _) = timers.set_in(0, at(&timers, from), calls.clone().into());
    let other = thread::spawn({
        let timers = timers.clone();
        move || reset(&timers, from, number, to).is_some()
    });
    look(&timers, 3);
    let is_reset = other.join().unwrap();
    assert!(is_reset || calls.0.load(SeqCst) == 1, "neither reset nor called");
    look(&timers, from.max(to));
    assert_eq!(calls.0.load(SeqCst), 1);
    assert_eq!(StdArc::strong_count(&calls), 1);
}

#[test]
fn a_timer_that_goes_off_is_reset_to_later() {
    check("timers: one goes off, and is reset to later", || reset_while_one_looks(3, 4));
}

#[test]
fn a_timer_that_goes_off_is_reset_to_a_time_that_has_passed() {
    check("timers: one goes off, and is reset to a time that has passed", || reset_while_one_looks(3, 2));
}

#[test]
fn a_timer_is_reset_to_a_time_that_passes() {
    check("timers: one is reset to a time that passes", || {
        reset_while_one_looks(4, 3);
        reset_while_one_looks(4, 2);
    });
}
