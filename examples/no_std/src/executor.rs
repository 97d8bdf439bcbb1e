//! A queue of ready tasks, run by the thread that drives it. Leaves sleeps to `clock`.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::task::Wake;
use core::cell::RefCell;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering::AcqRel};
use core::task::{Context, Waker};

use critical_section::Mutex;
use polyexec_core::Executor;
use polyexec_core::executor::{Ran, Rejected, Task};

use crate::clock::Clock;

/// Runs tasks in the order in which they became ready. Each task has a clone of it.
#[derive(Clone)]
pub struct RunQueue(Arc<Shared>);

struct Shared {
    ready: Mutex<RefCell<Ready>>,
    clock: &'static Clock,
    idle: fn(),
}

struct Ready {
    tasks: VecDeque<Task>,
    is_closed: bool,
}

impl RunQueue {
    /// `idle` is called when no task is ready. It sleeps until the next interrupt, and not at all if one came since its last
    /// call: `wfe` of Cortex-M does that.
    pub fn new(clock: &'static Clock, idle: fn()) -> Self {
        let ready = Ready { tasks: VecDeque::new(), is_closed: false };
        Self(Arc::new(Shared { ready: Mutex::new(RefCell::new(ready)), clock, idle }))
    }

    /// Wakes the tasks whose sleep is over, and runs the first one that is ready. Returns whether there was one.
    pub fn run_next(&self) -> bool {
        self.0.clock.wake_sleepers();
        let task = self.with_ready(|ready| ready.tasks.pop_front());
        let ran = task.map(Task::run);
        let ran_one = ran.is_some();
        if let Some(Ran::Again(task)) = ran {
            self.schedule(task);
        }
        ran_one
    }

    /// Refuses tasks from now on, and ends those that are ready. A task that waits ends when it is woken or aborted.
    pub fn close(&self) {
        let tasks = self.with_ready(|ready| {
            ready.is_closed = true;
            core::mem::take(&mut ready.tasks)
        });
        // Outside of the critical section, since it drops the tasks' futures.
        drop(tasks);
    }

    fn with_ready<T>(&self, access: impl FnOnce(&mut Ready) -> T) -> T {
        critical_section::with(|section| access(&mut self.0.ready.borrow_ref_mut(section)))
    }
}

impl Executor for RunQueue {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        // Each task that may be ready at the same time has a clone. With room for all, a wake needs no allocation, and an
        // interrupt handler may wake.
        let clones = Arc::strong_count(&self.0);
        let refused = self.with_ready(|ready| {
            if ready.is_closed {
                return Some(task);
            }
            ready.tasks.reserve(clones);
            ready.tasks.push_back(task);
            None
        });
        refused.map_or(Ok(()), |task| Err(Rejected::shut_down(task)))
    }

    fn schedule(&self, task: Task) {
        let refused = self.with_ready(|ready| {
            if ready.is_closed {
                return Some(task);
            }
            ready.tasks.push_back(task);
            None
        });
        drop(refused);
    }

    fn drive(&self, mut future: Pin<&mut dyn Future<Output = ()>>) {
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let waker = Waker::from(woken.clone());
        loop {
            let ran_one = self.run_next();
            // AcqRel: pairs with the swap in `wake_by_ref`, so that the poll sees what came before the wake.
            if woken.0.swap(false, AcqRel) {
                if future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                    return;
                }
            } else if !ran_one {
                // If an interrupt came since this turn looked, it returns at once.
                (self.0.idle)();
            }
        }
    }
}

/// Whether the future that is driven was woken.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // AcqRel: pairs with the swap in `drive`.
        self.0.swap(true, AcqRel);
    }
}
