//! A seat under loom: whoever has it is alone with what belongs to it. Run by `verify/loom`.

use super::*;

use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::thread;
use polyexec_core::modelled::check;

/// What belongs to the seat: a place among the sleepers, say. Loom tells if two are at it at once.
fn use_seat(place: &UnsafeCell<u32>) {
    place.with_mut(|_| ());
}

#[test]
fn a_worker_that_leaves_and_the_monitor_that_relieves_it() {
    check("seat: a worker that leaves and its relief", || {
        let desk = Arc::new(Desk::new(Queue::new_fifo().stealer(), 0));
        let place = Arc::new(UnsafeCell::new(0));
        let worker = {
            let (desk, place) = (desk.clone(), place.clone());
            thread::spawn(move || {
                // It has slept, runs a task, and sleeps again.
                use_seat(&place);
                desk.come();
                let has_seat = desk.leave();
                if has_seat {
                    use_seat(&place);
                }
                has_seat
            })
        };
        let is_relieved = desk.relieve();
        if is_relieved {
            // As the worker that takes the seat.
            use_seat(&place);
        }
        let has_seat = worker.join().unwrap();
        assert_ne!(has_seat, is_relieved);
    });
}
