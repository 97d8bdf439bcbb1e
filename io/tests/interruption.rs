//! A thread that waits for a late deadline is interrupted for an earlier one. Alone in its process, where no other timer helps.

use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use polyexec_conformance::probe::Gate;
use polyexec_conformance::watched;
use polyexec_core::block_on;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Reports that it was called.
struct Tell(Mutex<Sender<()>>);

impl Wake for Tell {
    fn wake(self: Arc<Self>) {
        let _ = self.0.lock().unwrap().send(());
    }
}

#[test]
fn who_waits_for_later_is_interrupted_for_what_comes_earlier() {
    watched!(Duration::from_secs(60));
    let clock = polyexec_io::clock();
    let late = Instant::now() + HOUR;
    let timer = clock.set(late, Waker::noop());
    let over = Gate::new();
    thread::scope(|threads| {
        // It waits in the driver, for an hour.
        let waiting = threads.spawn(|| block_on(over.opened()));
        let (tell, told) = mpsc::channel();
        let waker = Waker::from(Arc::new(Tell(Mutex::new(tell))));
        for _ in 0..100 {
            let soon = Instant::now() + Duration::from_millis(1);
            clock.set(soon, &waker);
            // Not in the driver.
            told.recv().unwrap();
            assert!(Instant::now() >= soon);
        }
        over.open();
        waiting.join().unwrap();
    });
    clock.cancel(late, timer);
}
