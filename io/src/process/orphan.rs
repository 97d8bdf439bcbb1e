//! Waits for a child whose owner is gone, without a task: the thread that polls the driver calls the child's waker, which polls it.

use std::pin::pin;
use std::process::Child;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use parking_lot::Mutex;
use polyexec_core::task::unconstrained;

use super::exit::Exit;

/// A child without an owner. Kept alive by its waker, which the driver has.
struct Orphan(Mutex<Option<(Child, Exit)>>);

/// Takes the status of `child` from the system once it has ended.
pub(super) fn reap(child: Child, exit: Exit) {
    Arc::new(Orphan(Mutex::new(Some((child, exit))))).wake();
}

impl Wake for Orphan {
    fn wake(self: Arc<Self>) {
        let waker = Waker::from(self.clone());
        // Not called while this is locked: a poll wakes only others' wakers, and the budget, which would wake this one, is no
        // orphan's.
        let mut orphan = self.0.lock();
        let Some((child, exit)) = &mut *orphan else { return };
        let is_over = {
            let exited = pin!(unconstrained(std::future::poll_fn(|cx| exit.poll(cx, child))));
            // Or it is an error: it isn't this process's child any more.
            exited.poll(&mut Context::from_waker(&waker)).is_ready()
        };
        let over = if is_over { orphan.take() } else { None };
        drop(orphan);
        // Not under the lock: the driver drops the waker.
        drop(over);
    }
}
