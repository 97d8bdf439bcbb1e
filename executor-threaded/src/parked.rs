//! Where a thread sleeps until its task is woken.

use parking_lot::Mutex;
use polyexec_core::executor::{Parker, Task};

/// One thread's parked slot: receives the thread's task when that is woken.
///
/// A thread has one task at a time, so the slot holds at most one.
#[derive(Debug, Default)]
pub(crate) struct ParkedSlot {
    state: Mutex<State>,
    parker: Parker,
}

#[derive(Debug, Default)]
struct State {
    task: Option<Task>,
    closed: bool,
}

impl ParkedSlot {
    /// Returns the woken task to its thread.
    pub(crate) fn put(&self, task: Task) {
        let before = self.state.lock().task.replace(task);
        self.parker.unpark();
        debug_assert!(before.is_none(), "a thread has one task, and a task is woken once");
    }

    /// Wakes the thread for the shutdown: no task comes any more.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.parker.unpark();
    }

    /// Sleeps until the task is woken. `None` after a shutdown.
    pub(crate) fn take(&self) -> Option<Task> {
        loop {
            {
                let mut state = self.state.lock();
                if state.task.is_some() || state.closed {
                    return state.task.take();
                }
            }
            // May return early: the last task's unpark can outlive that task.
            self.parker.park();
        }
    }
}
