//! Where a thread waits for its task to be woken.

use parking_lot::{Condvar, Mutex};
use polyexec_core::Task;

/// Belongs to one thread, which hosts one task at a time: so at most one `Task` is in here.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    slot: Mutex<Slot>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Slot {
    task: Option<Task>,
    closed: bool,
}

impl Mailbox {
    /// Brings the task of this mailbox's thread, which was woken.
    pub(crate) fn put(&self, task: Task) {
        let mut slot = self.slot.lock();
        let before = slot.task.replace(task);
        drop(slot);
        self.changed.notify_one();
        debug_assert!(before.is_none(), "a thread hosts one task, and that is queued once");
    }

    /// Nothing will come any more.
    pub(crate) fn close(&self) {
        self.slot.lock().closed = true;
        self.changed.notify_one();
    }

    /// Waits for the task; `None` if the mailbox was closed.
    pub(crate) fn take(&self) -> Option<Task> {
        let mut slot = self.slot.lock();
        self.changed.wait_while(&mut slot, |slot| slot.task.is_none() && !slot.closed);
        slot.task.take()
    }
}
