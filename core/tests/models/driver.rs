//! Threads that wait in a driver, and threads that unpark them: no call is lost, whichever thread polls the driver.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::task::Waker;

use futures_task::{ArcWake, waker};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use polyexec_core::executor::Parker;
use polyexec_core::executor::driver::{Driver, Polled, Priority, ReadyWakers};
use polyexec_core::modelled::{AtomicBool, check};

use crate::common::{flag, wait_for_two_calls};

/// A driver that one thread at a time polls. An event is a waker.
#[derive(Default)]
struct Modelled {
    /// Not a lock: loom's `try_lock` waits where another thread takes the lock at that moment.
    is_locked: AtomicBool,
    system: Mutex<System>,
    changed: Condvar,
}

#[derive(Default)]
struct System {
    is_interrupted: bool,
    events: Vec<Waker>,
}

impl Modelled {
    fn bring(&self, event: Waker) {
        self.system.lock().unwrap().events.push(event);
        self.changed.notify_one();
    }
}

impl Driver for Modelled {
    fn poll(&self, _: Priority, begin: &mut dyn FnMut() -> bool) -> Polled {
        if self.is_locked.swap(true, Acquire) {
            return Polled::Refused;
        }
        let mut woken = ReadyWakers::new();
        if begin() {
            let mut system = self.system.lock().unwrap();
            while !system.is_interrupted && system.events.is_empty() {
                system = self.changed.wait(system).unwrap();
            }
            system.is_interrupted = false;
            woken.wakers().append(&mut system.events);
        }
        self.is_locked.store(false, Release);
        Polled::Done(woken)
    }

    fn look(&self, _: Priority) -> ReadyWakers {
        ReadyWakers::default()
    }

    fn is_left_to_fallback(&self) -> bool {
        false
    }

    fn interrupt(&self) {
        self.system.lock().unwrap().is_interrupted = true;
        self.changed.notify_one();
    }
}

/// Unparks a thread that waits for a flag.
struct Event {
    flag: std::sync::Arc<AtomicBool>,
    parker: std::sync::Arc<Parker>,
}

impl ArcWake for Event {
    fn wake_by_ref(event: &std::sync::Arc<Self>) {
        event.flag.store(true, Relaxed);
        event.parker.unpark();
    }
}

fn parker(driver: &std::sync::Arc<Modelled>) -> Arc<Parker> {
    Arc::new(Parker::with_driver(driver.clone()))
}

#[test]
fn a_call_gets_a_thread_out() {
    check("a call gets a thread out of the driver", || {
        wait_for_two_calls(Parker::with_driver(std::sync::Arc::<Modelled>::default()), Parker::park);
    });
}

#[test]
fn of_two_that_wait_each_has_its_call() {
    check("of two that wait, each has its call", || {
        let driver = std::sync::Arc::default();
        let parkers = [parker(&driver), parker(&driver)];
        let other = thread::spawn({
            let [one, other] = parkers.clone();
            move || {
                one.unpark();
                other.park();
            }
        });
        let [one, other_parker] = parkers;
        one.park();
        other_parker.unpark();
        other.join().unwrap();
    });
}

#[test]
fn an_event_wakes_the_thread_that_has_waited_for_it() {
    check("an event wakes the thread that has waited for it", || {
        let driver: std::sync::Arc<Modelled> = std::sync::Arc::default();
        let parker = std::sync::Arc::new(Parker::with_driver(driver.clone()));
        let event = std::sync::Arc::new(Event { flag: std::sync::Arc::default(), parker: parker.clone() });
        let system = thread::spawn({
            let (driver, event) = (driver.clone(), waker(event.clone()));
            move || driver.bring(event)
        });
        while !event.flag.load(Relaxed) {
            parker.park();
        }
        system.join().unwrap();
    });
}

#[test]
fn an_event_and_a_call_at_once_are_both_handled() {
    check("an event and a call at once are both handled", || {
        let driver: std::sync::Arc<Modelled> = std::sync::Arc::default();
        let [parker, another] = [(); 2].map(|()| std::sync::Arc::new(Parker::with_driver(driver.clone())));
        let event = std::sync::Arc::new(Event { flag: std::sync::Arc::default(), parker: another });
        let is_called = flag();
        let caller = thread::spawn({
            let (driver, event, parker) = (driver.clone(), waker(event.clone()), parker.clone());
            let is_called = is_called.clone();
            move || {
                driver.bring(event);
                is_called.store(true, Relaxed);
                parker.unpark();
            }
        });
        while !is_called.load(Relaxed) {
            parker.park();
        }
        caller.join().unwrap();
        // If the driver was polled, the waker was called. Else the event is still there.
        assert!(event.flag.load(Relaxed) || !driver.system.lock().unwrap().events.is_empty(), "the event was lost");
    });
}
