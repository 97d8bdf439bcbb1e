//! A parker, its thread, and threads that unpark it.

use std::slice::from_ref;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use polyexec_core::executor::Parker;
use polyexec_core::modelled::check;

use crate::common::{flag, raise, wait_for_two_calls};

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
        let callers = flags.each_ref().map(|flag| {
            let parker = parker.clone();
            raise(from_ref(flag), move || parker.unpark())
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
        let caller = raise(from_ref(&up), {
            let parker = parker.clone();
            move || parker.unpark()
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
    // The first one of a thread begins asleep, the second one awake.
    check("a wait awake and asleep", || wait_for_two_calls(Parker::new(), Parker::spin_then_park));
}
