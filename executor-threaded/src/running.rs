//! Which task each thread runs, so that a shutdown can name those that still run. Never polls or ends a task.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use polyexec_core::executor::Task;
use polyexec_core::{AbortHandle, TaskInfo};

/// The running slots of all threads, by the threads' numbers.
#[derive(Debug, Default)]
pub(crate) struct RunningSlots(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    slots: HashMap<usize, Arc<Slot>>,
    /// Numbers below the table's largest that no thread has.
    free: Vec<usize>,
}

#[derive(Debug, Default)]
struct Slot(Mutex<Option<AbortHandle>>);

/// One thread's running slot: the task that the thread polls to its end, even while that task is parked.
///
/// # What dropping does
///
/// Removes the slot from the table.
pub(crate) struct RunningSlot<'a> {
    table: &'a RunningSlots,
    slot: Arc<Slot>,
    number: usize,
}

impl RunningSlots {
    /// Adds a slot for the calling thread.
    pub(crate) fn add(&self) -> RunningSlot<'_> {
        let slot = Arc::<Slot>::default();
        let mut table = self.0.lock();
        // Without a free one, the slots have all numbers up to theirs.
        let number = table.free.pop().unwrap_or(table.slots.len());
        table.slots.insert(number, slot.clone());
        RunningSlot { table: self, slot, number }
    }

    /// The tasks that have a thread and have not ended.
    ///
    /// Checks each task itself: a thread may not know yet that its parked task was ended.
    pub(crate) fn unfinished(&self) -> Vec<TaskInfo> {
        let slots: Vec<_> = self.0.lock().slots.values().cloned().collect();
        let unfinished = |slot: &Arc<Slot>| {
            let task = slot.0.lock();
            task.as_ref().filter(|task| !task.is_finished()).map(AbortHandle::task)
        };
        slots.iter().filter_map(unfinished).collect()
    }
}

impl RunningSlot<'_> {
    /// Notes that the thread runs `task`. A task that has as many handles as possible stays unnamed.
    pub(crate) fn set(&self, task: &Task) {
        let running = task.try_abort_handle();
        let before = std::mem::replace(&mut *self.slot.0.lock(), running);
        drop(before);
    }

    /// Notes that the thread runs no task.
    pub(crate) fn clear(&self) {
        let before = self.slot.0.lock().take();
        drop(before);
    }

    /// Tells the executor's threads apart while they run.
    pub(crate) fn number(&self) -> usize {
        self.number
    }
}

impl Drop for RunningSlot<'_> {
    fn drop(&mut self) {
        let mut table = self.table.0.lock();
        table.slots.remove(&self.number);
        table.free.push(self.number);
    }
}
