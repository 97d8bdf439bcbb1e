//! Room for one number, for which one task waits: as little between two tasks as there can be.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

#[derive(Default)]
pub(super) struct Mailbox {
    number: Cell<Option<u64>>,
    waiting: RefCell<Option<Waker>>,
}

impl Mailbox {
    /// Puts `number` there, and wakes the task that waits.
    pub(super) fn send(&self, number: u64) {
        self.number.set(Some(number));
        let waiting = self.waiting.take();
        if let Some(waker) = waiting {
            waker.wake();
        }
    }

    /// Waits for a number.
    pub(super) async fn receive(&self) -> u64 {
        poll_fn(|cx| match self.number.take() {
            Some(number) => Poll::Ready(number),
            None => {
                self.waiting.replace(Some(cx.waker().clone()));
                Poll::Pending
            }
        })
        .await
    }
}
