//! A check of loom itself: it leaves no order out.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{AcqRel, Relaxed, SeqCst};

use loom::sync::Arc;
use loom::thread;
use polyexec_core::modelled::{AtomicU64, check};

/// A load of one thread must be tried on either side of a write that the other loads for.
#[test]
fn every_order_of_a_load_and_an_update_is_tried() {
    static SEEN: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];
    check("every order of a load and an update is tried", || {
        let word = Arc::new(AtomicU64::new(0));
        let other = thread::spawn({
            let word = word.clone();
            move || {
                let now = word.load(Relaxed);
                word.compare_exchange_weak(now, now + 1, AcqRel, Relaxed).unwrap();
            }
        });
        SEEN[word.load(Relaxed) as usize].fetch_add(1, SeqCst);
        other.join().unwrap();
    });
    assert!(SEEN.iter().all(|seen| seen.load(SeqCst) > 0), "an order was left out");
}
