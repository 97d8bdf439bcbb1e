//! Tasks of a `Local`.

use std::hint::black_box;
use std::rc::Rc;

use polyexec::{Executor, Local};
use polyexec_futures::count;

use super::mailbox::Mailbox;

/// Spawns a task and awaits its output, one after another.
pub(super) fn spawn_join(times: u64) {
    let local = Local::new();
    let handle = local.handle();
    local.block_on(async {
        for n in 0..times {
            assert_eq!(handle.spawn(async move { black_box(n) }).await.unwrap(), n);
        }
    });
}

/// As [`spawn_join`], with a future that need not be `Send`.
pub(super) fn spawn_local_join(times: u64) {
    let local = Local::new();
    let handle = local.handle();
    local.block_on(async {
        for n in 0..times {
            assert_eq!(handle.spawn_local(async move { black_box(n) }).await.unwrap(), n);
        }
    });
}

/// As [`spawn_join`], with a look-up of the executor that runs here.
pub(super) fn spawn_current_join(times: u64) {
    Local::new().block_on(async {
        for n in 0..times {
            assert_eq!(polyexec::spawn(async move { black_box(n) }).await.unwrap(), n);
        }
    });
}

/// One task that wakes itself and is polled again.
pub(super) fn self_wake(times: u64) {
    let local = Local::new();
    let task = local.spawn(count(times));
    assert_eq!(local.block_on(task).unwrap(), times);
}

/// Two tasks that hand a number back and forth: each time, one wakes the other.
pub(super) fn cross_wake(times: u64) {
    let local = Local::new();
    let mailboxes: [Rc<Mailbox>; 2] = Default::default();
    let [mine, yours] = &mailboxes;
    let tasks =
        [(mine, yours), (yours, mine)].map(|(from, to)| local.spawn_local(count_down(from.clone(), to.clone())));
    mine.send(times);
    let receipts = local.block_on(async {
        let [first, second] = tasks;
        first.await.unwrap() + second.await.unwrap()
    });
    // The zero goes to both.
    assert_eq!(receipts, times + 2);
}

/// Receives a number and sends the one before it, down to zero. How often that was.
async fn count_down(from: Rc<Mailbox>, to: Rc<Mailbox>) -> u64 {
    let mut receipts = 0;
    loop {
        let number = from.receive().await;
        receipts += 1;
        to.send(number.saturating_sub(1));
        if number == 0 {
            return receipts;
        }
    }
}
