//! What the tasks of one executor share with the threads that spawn, wake and abort them.

use std::collections::HashMap;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use polyexec_core::AbortHandle;

use crate::faults::Fault;
use crate::foreign::{Queue, Request};
use crate::job::{Job, Work};
use crate::log::Log;
use crate::plan::{Plan, Planner};
use crate::role;
use crate::stored_wakers::StoredWakers;
use crate::subject::{LocalJob, Spawner};
use crate::tracked::Tracked;

/// One executor's life.
pub(crate) struct Epoch<S: Spawner> {
    /// What happened.
    pub(crate) log: Arc<Log>,
    /// The plan of the epoch.
    pub(crate) planner: Planner,
    spawner: S,
    /// One for each foreign thread.
    pub(crate) queues: Box<[Queue]>,
    /// For tasks that abort themselves.
    aborters: Mutex<HashMap<u32, AbortHandle>>,
    /// Tasks that the next task is to abort.
    left_aborts: Mutex<Vec<(u32, AbortHandle)>>,
    has_left_aborts: AtomicBool,
    /// Handles that need their task to be over.
    aside: Mutex<Vec<Tracked<S>>>,
    /// Spawns that a foreign thread was told to do, and hasn't.
    pub(crate) abroad: AtomicU32,
    stored_wakers: Arc<StoredWakers>,
}

impl<S: Spawner> Epoch<S> {
    pub(crate) fn new(
        log: Arc<Log>,
        planner: Planner,
        spawner: S,
        foreign: usize,
        stored_wakers: Arc<StoredWakers>,
    ) -> Self {
        Self {
            log,
            planner,
            spawner,
            queues: (0..foreign).map(|_| Queue::default()).collect(),
            aborters: Mutex::default(),
            left_aborts: Mutex::default(),
            has_left_aborts: AtomicBool::new(false),
            aside: Mutex::default(),
            abroad: AtomicU32::new(0),
            stored_wakers,
        }
    }

    /// Spawns the task `index`, as it is planned. `None`: its handle has come to its fate already.
    pub(crate) fn spawn(self: &Arc<Self>, index: u32, work: Work<S>) -> Option<Tracked<S>> {
        self.spawn_as(index, self.planner.plan(index), work)
    }

    /// As [`spawn`](Epoch::spawn), with a plan of its own.
    pub(crate) fn spawn_as(self: &Arc<Self>, index: u32, plan: Plan, work: Work<S>) -> Option<Tracked<S>> {
        self.log.record(index).spawn();
        let job = Job::new(self.clone(), index, plan, work);
        let handle = role::spawning(|| self.spawner.spawn_job(job));
        Tracked::new(self, index, plan, handle)
    }

    /// As [`spawn`](Epoch::spawn), for a future that isn't `Send`.
    pub(crate) fn spawn_local(self: &Arc<Self>, index: u32, work: Work<S>) -> Option<Tracked<S>> {
        self.log.faults.add(Fault::LocalFuture);
        self.log.record(index).spawn();
        let plan = self.planner.plan(index);
        let job = LocalJob::new(Job::new(self.clone(), index, plan, work));
        let handle = role::spawning(|| self.spawner.spawn_local_job(job));
        Tracked::new(self, index, plan, handle)
    }

    /// Tells one of the foreign threads.
    pub(crate) fn send(&self, index: u32, request: Request) {
        self.queues[index as usize % self.queues.len()].send(request);
    }

    /// Tells all of them.
    pub(crate) fn send_all(&self, request: impl Fn(usize) -> Request) {
        for (number, queue) in self.queues.iter().enumerate() {
            queue.send(request(number));
        }
    }

    pub(crate) fn aborters(&self) -> MutexGuard<'_, HashMap<u32, AbortHandle>> {
        lock(&self.aborters)
    }

    /// Has the next task abort the task `index`.
    pub(crate) fn leave_abort(&self, index: u32, aborter: AbortHandle) {
        lock(&self.left_aborts).push((index, aborter));
        self.has_left_aborts.store(true, Release);
    }

    /// Aborts a task that was left to this one.
    pub(crate) fn run_left_abort(&self) {
        if !self.has_left_aborts.load(Acquire) {
            return;
        }
        let left = {
            let mut aborts = lock(&self.left_aborts);
            let left = aborts.pop();
            self.has_left_aborts.store(!aborts.is_empty(), Relaxed);
            left
        };
        if let Some((index, aborter)) = left {
            self.log.faults.add(Fault::AbortByTask);
            self.log.abort(index, &aborter);
        }
    }

    pub(crate) fn put_aside(&self, tracked: Tracked<S>) {
        lock(&self.aside).push(tracked);
    }

    /// What was put aside.
    pub(crate) fn take_aside(&self) -> Vec<Tracked<S>> {
        std::mem::take(&mut *lock(&self.aside))
    }

    /// Keeps a waker for the whole run, if there is room.
    pub(crate) fn store(&self, waker: &Waker) {
        if self.stored_wakers.store(waker) {
            self.log.faults.add(Fault::StoredWaker);
        }
    }

    /// Wakes one of the wakers that are kept for the whole run.
    pub(crate) fn wake_stored(&self, choice: usize) {
        self.stored_wakers.wake(choice);
    }

    /// Forgets what holds on to tasks.
    pub(crate) fn clear(&self) {
        let aborters = std::mem::take(&mut *self.aborters());
        let aborts = std::mem::take(&mut *lock(&self.left_aborts));
        drop((aborters, aborts));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
