//! The alarm: its thread doesn't sleep while there is work.

use std::sync::atomic::Ordering::Relaxed;

use loom::sync::Arc;
use loom::thread;
use polyexec_core::executor::{Alarm, Parker};
use polyexec_core::modelled::{AtomicBool, check};

/// Ends only if the sleeper is awake when there is work.
fn sleeps_until_there_is_work(name: &str, workers: usize) {
    check(name, move || {
        let (alarm, parker) = (Arc::new(Alarm::default()), Arc::new(Parker::new()));
        let is_due = Arc::new(AtomicBool::new(false));
        let threads: Vec<_> = (0..workers)
            .map(|_| {
                let (alarm, parker, is_due) = (alarm.clone(), parker.clone(), is_due.clone());
                thread::spawn(move || {
                    is_due.store(true, Relaxed);
                    alarm.ring(|| parker.unpark());
                })
            })
            .collect();
        while !alarm.set(|| is_due.load(Relaxed)) {
            parker.park();
        }
        alarm.unset();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn a_sleeper_and_work() {
    sleeps_until_there_is_work("alarm: a sleeper and work", 1);
}

#[test]
fn a_sleeper_and_work_from_two() {
    sleeps_until_there_is_work("alarm: a sleeper and work from two", 2);
}
