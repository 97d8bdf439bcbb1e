//! The next wake under loom: a waiter sees a new timer, or its setter learns to interrupt. Run by `verify/loom`.

use super::*;

use loom::sync::Arc;
use loom::thread;
use polyexec_core::executor::Alarm;
use polyexec_core::modelled::{AtomicBool, check};

/// The first tick of one shard, and the next wake.
struct Timers {
    first: AtomicU64,
    next_wake: NextWake,
}

impl Timers {
    fn new() -> Arc<Self> {
        let timers = Self { first: AtomicU64::default(), next_wake: NextWake::default() };
        timers.first.store(NEVER, Relaxed);
        Arc::new(timers)
    }

    /// Sets a timer, as under the shard's lock.
    fn set(&self, due: Tick) -> OnSet {
        self.first.fetch_min(due, Relaxed);
        self.next_wake.on_set(due)
    }

    /// Begins a wait. Returns the tick until which it lasts.
    fn wait(&self) -> Tick {
        self.next_wake.begin();
        let first = self.first.load(Relaxed);
        if first != NEVER {
            self.next_wake.lasts_until(first);
        }
        first
    }
}

fn set_elsewhere(timers: &Arc<Timers>, due: Tick) -> thread::JoinHandle<OnSet> {
    let timers = timers.clone();
    thread::spawn(move || timers.set(due))
}

#[test]
fn who_waits_sees_a_timer_or_is_interrupted() {
    check("next_wake: one waits, and a timer is set", || {
        let timers = Timers::new();
        let setter = set_elsewhere(&timers, 3);
        let until = timers.wait();
        let owed = setter.join().unwrap();
        assert!(until == 3 || owed == OnSet::Interrupt, "waits until {until}, and {owed:?} is owed");
    });
}

#[test]
fn of_two_timers_the_earlier_one_counts() {
    check("next_wake: one waits, and two timers are set", || {
        let timers = Timers::new();
        let setters = [3, 2].map(|due| set_elsewhere(&timers, due));
        let until = timers.wait();
        let owed = setters.map(|setter| setter.join().unwrap());
        assert!(until == 2 || owed.contains(&OnSet::Interrupt), "waits until {until}, and {owed:?} are owed");
    });
}

/// The driver, while a thread leaves it, another sets a timer, and the fallback thread falls asleep.
struct Driver {
    timers: Arc<Timers>,
    is_attended: AtomicBool,
    alarm: Alarm,
    is_awake: AtomicBool,
}

impl Driver {
    fn notice(&self) {
        self.alarm.ring(|| self.is_awake.store(true, SeqCst));
    }
}

#[test]
fn somebody_looks_when_who_has_waited_leaves() {
    check("next_wake: one leaves, a timer is set, and the fallback thread falls asleep", || {
        let driver = Arc::new(Driver {
            timers: Timers::new(),
            is_attended: AtomicBool::new(true),
            alarm: Alarm::default(),
            is_awake: AtomicBool::new(false),
        });
        let setter = thread::spawn({
            let driver = driver.clone();
            move || {
                if driver.timers.set(3) == OnSet::Announce {
                    driver.notice();
                }
            }
        });
        let fallback = thread::spawn({
            let driver = driver.clone();
            move || {
                let is_needed = || driver.timers.first.load(Relaxed) != NEVER;
                driver.alarm.set(|| is_needed() && !driver.is_attended.load(SeqCst))
            }
        });
        driver.timers.wait();
        driver.timers.next_wake.end();
        driver.is_attended.store(false, SeqCst);
        driver.notice();
        setter.join().unwrap();
        let stays_awake = fallback.join().unwrap();
        // The waiter has left, so only the fallback thread can take the timer.
        assert!(stays_awake || driver.is_awake.load(SeqCst), "no thread waits for the timer");
    });
}
