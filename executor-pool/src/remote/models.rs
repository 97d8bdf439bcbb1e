//! A worker's slot under loom: one worker at a time uses what belongs to it. Run by `verify/loom`.

use super::*;

use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::thread;
use polyexec_core::modelled::check;

/// Uses what belongs to the slot, such as its parker. Loom notices two users at once.
fn use_slot(owned: &UnsafeCell<u32>) {
    owned.with_mut(|_| ());
}

#[test]
fn a_worker_that_stops_and_the_monitor_that_detaches_it() {
    check("slot: a worker that stops and the monitor", || {
        let remote = Arc::new(Remote::new(Queue::new_fifo().stealer(), 0));
        let owned = Arc::new(UnsafeCell::new(0));
        let worker = {
            let (remote, owned) = (remote.clone(), owned.clone());
            thread::spawn(move || {
                // It has slept, runs a task, and sleeps again.
                use_slot(&owned);
                remote.start();
                let has_slot = remote.leave_running();
                if has_slot {
                    use_slot(&owned);
                }
                has_slot
            })
        };
        let is_detached = remote.detach();
        if is_detached {
            // As the worker that takes the slot.
            use_slot(&owned);
        }
        let has_slot = worker.join().unwrap();
        assert_ne!(has_slot, is_detached);
    });
}
