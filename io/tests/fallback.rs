//! The attendant serves even the waker that it calls. In a process of its own: no other test's threads are to step in.

use std::sync::{Arc, Mutex, mpsc};
use std::task::{Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use polyexec_conformance::watched;
use polyexec_core::executor::Parker;
use polyexec_io::clock;
use polyexec_pool::Pool;

/// Waits for a timer when it is called, on the thread that calls it.
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
fn a_waker_may_wait_for_what_only_the_attendant_sees() {
    watched!();
    // Its workers fall asleep before there is a driver, and so outside of it.
    let pool = Pool::builder().worker_threads(2).build().unwrap();
    pool.spawn(async {}).join().unwrap();
    let rest = Instant::now() + Duration::from_millis(100);
    Parker::new().park_until(Some(rest));

    let (waited, has_waited) = mpsc::channel();
    let waits = Waker::from(Arc::new(Waits(Mutex::new(waited))));
    clock().set(clock().now() + Duration::from_millis(20), &waits);
    // Were it a worker, there would be nothing to see here: all the same, nobody hangs.
    println!("called by {:?}", has_waited.recv().unwrap());
}
