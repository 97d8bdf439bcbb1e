//! Wakes a task: its waker, the join waker in one word, and what a wake does. Never touches a future.

use alloc::boxed::Box;
use core::mem::ManuallyDrop;
use core::num::NonZero;
use core::ptr::NonNull;
use core::task::{RawWaker, RawWakerVTable, Waker};

use super::{DropGuard, TaskRef};
use crate::observe::{TaskObserver, Wake, WakeEffect};
use crate::task::transition::OnWake;
use crate::task::{Task, current};

impl TaskRef {
    pub(crate) fn abort(&self) {
        self.enqueue_if(self.state().abort());
    }

    fn wake(&self) {
        if !current::wake(self.address()) {
            self.enqueue_if(self.state().wake());
        }
    }

    /// As `wake`, and tells the task's observer.
    #[inline(never)]
    fn wake_observed(&self) {
        let effect = match current::wake(self.address()) {
            true => WakeEffect::OwnPoll,
            false => match self.state().wake() {
                OnWake::Enqueue => WakeEffect::Queued,
                OnWake::Nothing => WakeEffect::Noted,
            },
        };
        self.tell(|observer| observer.woken(Wake::here(effect)));
        if effect == WakeEffect::Queued {
            self.enqueue();
        }
    }

    #[inline]
    fn enqueue_if(&self, owed: OnWake) {
        if owed == OnWake::Enqueue {
            self.enqueue();
        }
    }

    /// Only after the state has counted the `Task`'s reference.
    #[inline]
    fn enqueue(&self) {
        let task = Task::of(DropGuard::new(Self(self.0)));
        // SAFETY: the functions in a cell's header are those of its types.
        unsafe { (self.vtable().schedule)(self, task) }
    }
}

/// The waker of a task: a reference, as the pointer that it is.
pub(super) static PLAIN: RawWakerVTable = RawWakerVTable::new(
    |cell| {
        // SAFETY: the waker has a reference, and keeps it.
        let task = unsafe { borrow(&cell) };
        task.state().refer();
        RawWaker::new(cell, &PLAIN)
    },
    // SAFETY: the waker had a reference, and gives it away.
    |cell| unsafe { ManuallyDrop::into_inner(borrow(&cell)) }.wake(),
    // SAFETY: the waker has a reference, and keeps it.
    |cell| unsafe { borrow(&cell) }.wake(),
    // SAFETY: the waker had a reference, and gives it away.
    |cell| drop(unsafe { ManuallyDrop::into_inner(borrow(&cell)) }),
);

/// The waker of a task that is observed: tells its observer.
pub(super) static OBSERVED: RawWakerVTable = observed();

/// As [`OBSERVED`], but `will_wake` tells the two apart. Only lent to a poll: its clones are the usual ones.
pub(super) static FRESH: RawWakerVTable = observed();

const fn observed() -> RawWakerVTable {
    RawWakerVTable::new(
        |cell| {
            // SAFETY: the waker has a reference, and keeps it.
            let task = unsafe { borrow(&cell) };
            task.state().refer();
            task.tell(TaskObserver::waker_cloned);
            RawWaker::new(cell, &OBSERVED)
        },
        |cell| {
            // SAFETY: the waker had a reference, and gives it away.
            let task = unsafe { ManuallyDrop::into_inner(borrow(&cell)) };
            task.wake_observed();
            task.tell(TaskObserver::waker_dropped);
        },
        // SAFETY: the waker has a reference, and keeps it.
        |cell| unsafe { borrow(&cell) }.wake_observed(),
        |cell| {
            // SAFETY: the waker had a reference, and gives it away.
            let task = unsafe { ManuallyDrop::into_inner(borrow(&cell)) };
            task.tell(TaskObserver::waker_dropped);
        },
    )
}

/// # Safety
///
/// `cell` must come from a [`TaskRef`] that outlives the use of this.
unsafe fn borrow(cell: &*const ()) -> ManuallyDrop<TaskRef> {
    // SAFETY: references are never null. A waker keeps the pointer as it was.
    ManuallyDrop::new(TaskRef(unsafe { NonNull::new_unchecked(cell.cast_mut()) }.cast()))
}

/// Whether this is the waker of a task, of any types, and no [`FRESH`] one.
fn is_of_a_task(waker: &Waker) -> bool {
    core::ptr::eq(waker.vtable(), &PLAIN) || core::ptr::eq(waker.vtable(), &OBSERVED)
}

/// The waker that a handle leaves, in one word: a task's is its reference, any other is in a box.
///
/// Most handles are awaited by tasks, and every waiting task has room for this.
pub(super) struct JoinWaker(NonNull<()>);

impl JoinWaker {
    /// Set in the address of a box: both boxes of wakers and headers have a larger alignment.
    const BOXED: usize = 1;

    pub(super) fn new(waker: &Waker) -> Self {
        let waker = waker.clone();
        if is_of_a_task(&waker) {
            let task = ManuallyDrop::new(waker).data().cast_mut();
            return Self(NonNull::new(task).expect("references are never null"));
        }
        let boxed = NonNull::from(Box::leak(Box::new(waker)));
        Self(boxed.cast().map_addr(|address| address | Self::BOXED))
    }

    /// The box, if this is one.
    fn boxed(&self) -> Option<NonNull<Waker>> {
        let address = NonZero::new(self.0.addr().get() & !Self::BOXED)?;
        (address != self.0.addr()).then(|| self.0.with_addr(address).cast())
    }

    pub(super) fn will_wake(&self, waker: &Waker) -> bool {
        match self.boxed() {
            // SAFETY: it is this one's box; `with_addr` has kept where the pointer comes from.
            Some(boxed) => unsafe { boxed.as_ref() }.will_wake(waker),
            None => is_of_a_task(waker) && waker.data() == self.0.as_ptr().cast_const(),
        }
    }

    pub(super) fn into_waker(self) -> Waker {
        let this = ManuallyDrop::new(self);
        match this.boxed() {
            // SAFETY: as above, and this is gone.
            Some(boxed) => *unsafe { Box::from_raw(boxed.as_ptr()) },
            None => {
                let task = this.0.as_ptr().cast_const();
                // SAFETY: it was a task's waker.
                let is_observed = unsafe { borrow(&task) }.state().is_observed();
                // SAFETY: as above, and this is gone.
                unsafe { Waker::new(task, if is_observed { &OBSERVED } else { &PLAIN }) }
            }
        }
    }
}

impl Drop for JoinWaker {
    fn drop(&mut self) {
        // This one isn't used after this.
        drop(Self(self.0).into_waker());
    }
}

/// Looks at the task that this thread is polling; of nested ones, the innermost.
#[cfg(feature = "std")]
pub(crate) fn with_current<T>(look: impl FnOnce(&TaskRef) -> T) -> Option<T> {
    let cell = NonNull::new(current::task().cast_mut())?.cast();
    // `run` has lent this pointer, and keeps the `Task`'s reference until the poll has ended. This thread is still in that poll.
    // The reference isn't given back here.
    let task = ManuallyDrop::new(TaskRef(cell));
    Some(look(&task))
}
