//! An event that an interrupt handler raises, and that one task waits for.

use core::cell::RefCell;
use core::future::poll_fn;
use core::task::{Poll, Waker};

use critical_section::Mutex;

/// Remembers whether it was raised, and the task that waits for it.
pub struct Signal(Mutex<RefCell<State>>);

struct State {
    is_raised: bool,
    /// Stays here when it is called, so that no interrupt handler frees memory.
    waker: Option<Waker>,
}

impl Signal {
    /// Not raised.
    #[expect(clippy::new_without_default, reason = "a signal is a static")]
    pub const fn new() -> Self {
        Self(Mutex::new(RefCell::new(State { is_raised: false, waker: None })))
    }

    /// For an interrupt handler: neither allocates nor frees. Raised twice before the task looks, it counts once.
    pub fn raise(&self) {
        critical_section::with(|section| {
            let mut state = self.0.borrow_ref_mut(section);
            state.is_raised = true;
            // A task's waker only queues the task.
            if let Some(waker) = &state.waker {
                waker.wake_by_ref();
            }
        });
    }

    /// Waits until it is raised, and lowers it. One task at a time: another one takes the place of the first.
    pub async fn raised(&self) {
        poll_fn(|cx| {
            let waker = cx.waker().clone();
            let (is_raised, unused) = critical_section::with(|section| {
                let mut state = self.0.borrow_ref_mut(section);
                match core::mem::take(&mut state.is_raised) {
                    true => (true, [state.waker.take(), Some(waker)]),
                    false => (false, [state.waker.replace(waker), None]),
                }
            });
            drop(unused);
            if is_raised { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}
