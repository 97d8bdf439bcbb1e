//! The fallback thread serves even the waker that it calls. Alone in its process, so that no other test's thread polls.

use std::sync::{Arc, Mutex, mpsc};
use std::task::{Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use polyexec_conformance::watched;
use polyexec_core::executor::Parker;
use polyexec_io::clock;
use polyexec_pool::Pool;

/// When called, waits for a timer on the calling thread.
struct Waits(Mutex<mpsc::Sender<Option<String>>>);

impl Wake for Waits {
    fn wake(self: Arc<Self>) {
        let parker = Arc::new(Parker::new());
        let deadline = clock().now() + Duration::from_millis(5);
        let waker = futures_task::waker(parker.clone());
        clock().set(deadline, &waker);
        parker.park();
        let name = thread::current().name().map(str::to_owned);
        self.0.lock().unwrap().send(name).unwrap();
    }
}

#[test]
fn a_waker_may_wait_for_an_event_that_only_the_fallback_thread_sees() {
    watched!();
    // Its workers fall asleep before there is a driver, and so outside of it.
    let pool = Pool::builder().worker_threads(2).build().unwrap();
    pool.spawn(async {}).join().unwrap();
    let rest = Instant::now() + Duration::from_millis(100);
    Parker::new().park_until(Some(rest));

    let (waited, has_waited) = mpsc::channel();
    let waits = Waker::from(Arc::new(Waits(Mutex::new(waited))));
    clock().set(clock().now() + Duration::from_millis(20), &waits);
    // If a worker calls it, the test proves less, but must not hang either.
    println!("called by {:?}", has_waited.recv().unwrap());
}
