//! A task without an executor to speak of: what core costs.

use std::hint::black_box;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use polyexec::executor::{Ran, Rejected, Task};
use polyexec::{Executor, block_on};

/// Holds the one task that is ready.
#[derive(Clone)]
struct Slot(Arc<Mutex<Option<Task>>>);

impl Slot {
    fn take(&self) -> Option<Task> {
        self.0.lock().unwrap().take()
    }
}

impl Executor for Slot {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        self.schedule(task);
        Ok(())
    }

    fn schedule(&self, task: Task) {
        *self.0.lock().unwrap() = Some(task);
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        block_on(future);
    }
}

/// Spawns a task, runs it, and drops its handle.
pub(super) fn spawn_run_drop(times: u64) {
    let slot = Slot(Arc::default());
    for n in 0..times {
        let handle = slot.spawn(async move { black_box(n) });
        let task = slot.take().expect("it was spawned");
        assert!(matches!(task.run(), Ran::Finished));
        drop(handle);
    }
}
