//! Where a thread waits for its task to be woken.

use parking_lot::Mutex;
use polyexec_core::executor::{Parker, Task};

/// Belongs to one thread, which hosts one task at a time: so at most one `Task` is in here.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    slot: Mutex<Slot>,
    parker: Parker,
}

#[derive(Debug, Default)]
struct Slot {
    task: Option<Task>,
    closed: bool,
}

impl Mailbox {
    /// Brings the task of this mailbox's thread, which was woken.
    pub(crate) fn put(&self, task: Task) {
        let before = self.slot.lock().task.replace(task);
        self.parker.unpark();
        debug_assert!(before.is_none(), "a thread hosts one task, and that is queued once");
    }

    /// Nothing will come any more.
    pub(crate) fn close(&self) {
        self.slot.lock().closed = true;
        self.parker.unpark();
    }

    /// Waits for the task; `None` if the mailbox was closed.
    pub(crate) fn take(&self) -> Option<Task> {
        loop {
            {
                let mut slot = self.slot.lock();
                if slot.task.is_some() || slot.closed {
                    return slot.task.take();
                }
            }
            // Returns if there was a call since, and perhaps for one that came with the task before.
            self.parker.park();
        }
    }
}
