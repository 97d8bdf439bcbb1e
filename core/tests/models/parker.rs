//! A parker, its thread, and threads that unpark it.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use polyexec_core::executor::Parker;
use polyexec_core::modelled::check;

use crate::common::flag;

#[test]
fn a_call_ends_the_park() {
    check("a call ends the park", || {
        let parker = Arc::new(Parker::new());
        let data = Arc::new(UnsafeCell::new(0));
        let caller = thread::spawn({
            let (parker, data) = (parker.clone(), data.clone());
            move || {
                // SAFETY: the other thread reads it after the call.
                data.with_mut(|data| unsafe { *data = 7 });
                parker.unpark();
            }
        });
        parker.park();
        // SAFETY: the call has come after it was written.
        assert_eq!(data.with(|data| unsafe { *data }), 7);
        caller.join().unwrap();
    });
}

#[test]
fn each_call_ends_a_park_and_shows_what_came_before() {
    check("each call ends a park and shows what came before", || {
        let parker = Arc::new(Parker::new());
        let flags = [flag(), flag()];
        let callers = flags.clone().map(|flag| {
            let parker = parker.clone();
            thread::spawn(move || {
                flag.store(true, Relaxed);
                parker.unpark();
            })
        });
        while !flags.iter().all(|flag| flag.load(Relaxed)) {
            parker.park();
        }
        callers.into_iter().for_each(|caller| caller.join().unwrap());
    });
}

#[test]
fn a_wait_that_ends_by_itself_loses_no_call() {
    check("a wait that ends by itself loses no call", || {
        let parker = Arc::new(Parker::new());
        let up = flag();
        let caller = thread::spawn({
            let (parker, up) = (parker.clone(), up.clone());
            move || {
                up.store(true, Relaxed);
                parker.unpark();
            }
        });
        if !parker.park_until(Some(Instant::now())) {
            parker.park();
        }
        assert!(up.load(Relaxed));
        caller.join().unwrap();
        assert!(!parker.park_until(Some(Instant::now())), "one call has ended two waits");
    });
}

#[test]
fn a_wait_awake_and_asleep() {
    check("a wait awake and asleep", || {
        let parker = Arc::new(Parker::new());
        let flags = [flag(), flag()];
        let caller = thread::spawn({
            let (parker, flags) = (parker.clone(), flags.clone());
            move || {
                for flag in flags {
                    flag.store(true, Relaxed);
                    parker.unpark();
                }
            }
        });
        // The first one of a thread begins asleep, the second one awake.
        while !flags.iter().all(|flag| flag.load(Relaxed)) {
            parker.spin_then_park();
        }
        caller.join().unwrap();
    });
}
