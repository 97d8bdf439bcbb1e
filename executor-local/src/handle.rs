//! The queue, and the handle through which tasks come to it from anywhere. Runs tasks on the home thread only.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use futures_task::{FutureObj, SpawnError as SpawnObjError};
use parking_lot::Mutex;
use polyexec_core::{
    Driver, Executor, Handle, Home, JoinHandle, LiveTasks, Ran, Rejected, Task, block_on, context, park_on,
};

/// Spawns tasks on a [`Local`](crate::Local), from any thread.
///
/// # What dropping does
///
/// Nothing to the executor. A handle that outlives it refuses tasks.
#[derive(Clone)]
pub struct LocalHandle(Arc<Shared>);

struct Shared {
    home: Home,
    /// The tasks that are ready, in order.
    queue: Mutex<Queue>,
    live: LiveTasks,
    driver: Driver,
}

#[derive(Default)]
struct Queue {
    ready: VecDeque<Task>,
    closed: bool,
}

impl LocalHandle {
    /// An executor whose home is this thread.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared {
            home: Home::here(),
            queue: Mutex::default(),
            live: LiveTasks::new(),
            driver: Driver::new(),
        }))
    }

    /// Spawns `future`, which need not be `Send`: it is polled and dropped on the home thread only.
    ///
    /// # Panics
    ///
    /// On any thread but the executor's own, where `future` could neither be run nor handed over.
    #[track_caller]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        assert!(self.0.home.is_here(), "`spawn_local` was called on another thread than the `Local`'s own");
        let (task, handle) = Task::new_local(future, self.clone());
        // Refused, the task is dropped here, at home, and its handle resolves as shut down.
        drop(self.submit(task));
        handle
    }

    /// Whether this is the thread that runs the tasks.
    pub fn is_home(&self) -> bool {
        self.0.home.is_here()
    }

    /// Runs the task that is ready first, if there is one. For the home thread only.
    pub(crate) fn run_one(&self) -> bool {
        let ready = self.0.queue.lock().ready.pop_front();
        let Some(task) = ready else { return false };
        if let Ran::Again(task) = self.0.live.run(task) {
            self.schedule(task);
        }
        true
    }

    /// Runs tasks until none is ready. For the home thread only.
    pub(crate) fn run_until_stalled(&self) {
        let _context = context::reside(Handle::new(self.clone()));
        while self.run_one() {}
    }

    /// Ends every task. For the home thread only.
    pub(crate) fn shut_down(&self) {
        self.0.live.close();
        let left = {
            let mut queue = self.0.queue.lock();
            queue.closed = true;
            std::mem::take(&mut queue.ready)
        };
        drop(left);
    }
}

impl Executor for LocalHandle {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        let task = self.0.live.admit(task, ())?;
        self.schedule(task);
        Ok(())
    }

    fn schedule(&self, task: Task) {
        let mut queue = self.0.queue.lock();
        if queue.closed {
            drop(queue);
            // It has ended with the executor.
            drop(task);
            return;
        }
        queue.ready.push_back(task);
        drop(queue);
        self.0.driver.notify();
    }

    /// On the home thread this runs the tasks. Elsewhere they make progress only if the home thread is driven, too.
    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        if self.0.home.is_here() {
            let _context = context::reside(Handle::new(self.clone()));
            self.wait(future);
        } else {
            let _context = context::enter(Handle::new(self.clone()));
            block_on(future);
        }
    }

    /// There is no other thread to run the other tasks, so this one does, inside the task that waits.
    fn wait(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        if self.0.home.is_here() {
            self.0.driver.drive(future, || self.run_one());
        } else {
            park_on(future);
        }
    }
}

impl futures_task::Spawn for LocalHandle {
    fn spawn_obj(&self, future: FutureObj<'static, ()>) -> Result<(), SpawnObjError> {
        context::spawn_obj(self, future)
    }
}

impl fmt::Debug for LocalHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ready = self.0.queue.lock().ready.len();
        f.debug_struct("LocalHandle").field("ready", &ready).field("live", &self.0.live).finish()
    }
}
