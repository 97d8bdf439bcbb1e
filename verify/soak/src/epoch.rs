//! What the tasks of one executor's life share with those that spawn, wake and abort them.

use std::collections::HashMap;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use crate::faults::Fault;
use crate::foreign::{Errand, Queue};
use crate::job::{Job, Work};
use crate::keepsakes::Keepsakes;
use crate::log::Log;
use crate::plan::{Plan, Planner};
use crate::role;
use crate::subject::{LocalJob, Spawner};
use crate::ward::{Reins, Ward};

/// One executor's life.
pub(crate) struct Epoch<S: Spawner> {
    /// What happened.
    pub(crate) log: Arc<Log>,
    /// What is to happen.
    pub(crate) planner: Planner,
    spawner: S,
    /// One for each foreign thread.
    pub(crate) queues: Box<[Queue<S>]>,
    /// For tasks that abort themselves.
    aborters: Mutex<HashMap<u32, Reins<S>>>,
    /// Tasks that the next task is to abort.
    errands: Mutex<Vec<(u32, Reins<S>)>>,
    has_errands: AtomicBool,
    /// Handles that need their task to be over.
    aside: Mutex<Vec<Ward<S>>>,
    /// Spawns that a foreign thread was told to do, and hasn't.
    pub(crate) abroad: AtomicU32,
    keepsakes: Arc<Keepsakes>,
}

impl<S: Spawner> Epoch<S> {
    pub(crate) fn new(log: Arc<Log>, planner: Planner, spawner: S, foreign: usize, keepsakes: Arc<Keepsakes>) -> Self {
        Self {
            log,
            planner,
            spawner,
            queues: (0..foreign).map(|_| Queue::default()).collect(),
            aborters: Mutex::default(),
            errands: Mutex::default(),
            has_errands: AtomicBool::new(false),
            aside: Mutex::default(),
            abroad: AtomicU32::new(0),
            keepsakes,
        }
    }

    /// Spawns the task `index`, as it is planned. `None`: its handle has come to its fate already.
    pub(crate) fn spawn(self: &Arc<Self>, index: u32, work: Work<S>) -> Option<Ward<S>> {
        self.spawn_as(index, self.planner.plan(index), work)
    }

    /// As [`spawn`](Epoch::spawn), with a plan of its own.
    pub(crate) fn spawn_as(self: &Arc<Self>, index: u32, plan: Plan, work: Work<S>) -> Option<Ward<S>> {
        self.log.record(index).spawn();
        let job = Job::new(self.clone(), index, plan, work);
        let handle = role::spawning(|| self.spawner.spawn(job));
        Ward::new(self, index, plan, handle)
    }

    /// As [`spawn`](Epoch::spawn), for a future that isn't `Send`.
    pub(crate) fn spawn_local(self: &Arc<Self>, index: u32, work: Work<S>) -> Option<Ward<S>> {
        self.log.faults.add(Fault::LocalFuture);
        self.log.record(index).spawn();
        let plan = self.planner.plan(index);
        let job = LocalJob::new(Job::new(self.clone(), index, plan, work));
        let handle = role::spawning(|| self.spawner.spawn_local(job));
        Ward::new(self, index, plan, handle)
    }

    /// Tells one of the foreign threads.
    pub(crate) fn send(&self, index: u32, errand: Errand<S>) {
        self.queues[index as usize % self.queues.len()].send(errand);
    }

    /// Tells all of them.
    pub(crate) fn send_all(&self, errand: impl Fn(usize) -> Errand<S>) {
        for (number, queue) in self.queues.iter().enumerate() {
            queue.send(errand(number));
        }
    }

    pub(crate) fn aborters(&self) -> MutexGuard<'_, HashMap<u32, Reins<S>>> {
        lock(&self.aborters)
    }

    /// Has the next task abort the task `index`.
    pub(crate) fn leave_errand(&self, index: u32, reins: Reins<S>) {
        lock(&self.errands).push((index, reins));
        self.has_errands.store(true, Release);
    }

    /// Aborts a task that was left to this one.
    pub(crate) fn run_errand(&self) {
        if !self.has_errands.load(Acquire) {
            return;
        }
        let errand = {
            let mut errands = lock(&self.errands);
            let errand = errands.pop();
            self.has_errands.store(!errands.is_empty(), Relaxed);
            errand
        };
        if let Some((index, reins)) = errand {
            self.log.faults.add(Fault::AbortByTask);
            reins.pull(&self.log, index);
        }
    }

    pub(crate) fn put_aside(&self, ward: Ward<S>) {
        lock(&self.aside).push(ward);
    }

    /// What was put aside.
    pub(crate) fn take_aside(&self) -> Vec<Ward<S>> {
        std::mem::take(&mut *lock(&self.aside))
    }

    /// Keeps a waker for the whole run, if there is room.
    pub(crate) fn store(&self, waker: &Waker) {
        if self.keepsakes.store(waker) {
            self.log.faults.add(Fault::StoredWaker);
        }
    }

    /// Wakes one of the wakers that are kept for the whole run.
    pub(crate) fn wake_keepsake(&self, choice: usize) {
        self.keepsakes.wake(choice);
    }

    /// Forgets what holds on to tasks.
    pub(crate) fn clear(&self) {
        let aborters = std::mem::take(&mut *self.aborters());
        let errands = std::mem::take(&mut *lock(&self.errands));
        drop((aborters, errands));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
