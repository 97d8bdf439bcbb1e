//! Threads that are no executor's: they wake, abort and spawn from outside, most of all while the owner is dropped.

use std::sync::atomic::Ordering::Release;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::Waker;
use std::thread::{self, JoinHandle};

use fastrand::Rng;

use crate::epoch::Epoch;
use crate::faults::Fault;
use crate::job::{Latch, Work};
use crate::role::{self, Role};
use crate::subject::Spawner;
use crate::ward::Reins;

/// Tasks that each foreign thread spawns while the owner is dropped.
pub(crate) const STORM: u32 = 24;

/// How often a task is woken that is over.
const LATE_WAKES: usize = 100;

/// What a foreign thread is to do.
pub(crate) enum Errand<S: Spawner> {
    /// Wake a task.
    Wake {
        /// Which.
        index: u32,
        /// Its waker.
        waker: Waker,
        /// And many times more when it is over.
        late: bool,
    },
    /// Abort a task.
    Abort(u32, Reins<S>),
    /// Spawn a task.
    Spawn(u32),
    /// Spawn, wake and abort, beginning with the task of this number.
    Storm(u32),
    /// Release a thread.
    Open(Arc<Latch>),
}

/// What one foreign thread is to do.
pub(crate) struct Queue<S: Spawner> {
    inbox: Mutex<Inbox<S>>,
    changed: Condvar,
}

struct Inbox<S: Spawner> {
    errands: Vec<Errand<S>>,
    closed: bool,
}

impl<S: Spawner> Default for Queue<S> {
    fn default() -> Self {
        Self { inbox: Mutex::new(Inbox { errands: Vec::new(), closed: false }), changed: Condvar::new() }
    }
}

impl<S: Spawner> Queue<S> {
    /// Queues an errand. After the epoch there is nobody to run it.
    pub(crate) fn send(&self, errand: Errand<S>) {
        let was_empty = {
            let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
            inbox.errands.push(errand);
            inbox.errands.len() == 1
        };
        if was_empty {
            self.changed.notify_one();
        }
    }

    pub(crate) fn close(&self) {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.changed.notify_one();
    }

    /// All that is queued; `None` once it is closed and empty.
    fn take(&self) -> Option<Vec<Errand<S>>> {
        let inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_while(inbox, |inbox| inbox.errands.is_empty() && !inbox.closed);
        let mut inbox = waited.unwrap_or_else(PoisonError::into_inner);
        (!inbox.errands.is_empty()).then(|| std::mem::take(&mut inbox.errands))
    }
}

/// The foreign threads of a run.
///
/// # What dropping does
///
/// Ends and joins them.
pub(crate) struct Foreign<S: Spawner> {
    epochs: Vec<Sender<Arc<Epoch<S>>>>,
    done: Receiver<()>,
    threads: Vec<JoinHandle<()>>,
}

impl<S: Spawner> Foreign<S> {
    pub(crate) fn start(threads: usize) -> std::io::Result<Self> {
        let (done, is_done) = channel();
        let mut foreign = Self { epochs: Vec::new(), done: is_done, threads: Vec::new() };
        for number in 0..threads {
            let (epochs, next) = channel::<Arc<Epoch<S>>>();
            let done = done.clone();
            let body = move || {
                role::set(Role::Foreign);
                for epoch in next {
                    serve(epoch, number);
                    let _ = done.send(());
                }
            };
            foreign.threads.push(thread::Builder::new().name(format!("foreign-{number}")).spawn(body)?);
            foreign.epochs.push(epochs);
        }
        Ok(foreign)
    }

    /// Has them run the errands of `epoch`.
    pub(crate) fn begin(&self, epoch: &Arc<Epoch<S>>) {
        for thread in &self.epochs {
            let _ = thread.send(epoch.clone());
        }
    }

    /// Waits until they have run all, and have forgotten the epoch.
    pub(crate) fn end(&self, epoch: &Epoch<S>) {
        epoch.queues.iter().for_each(Queue::close);
        for _ in &self.threads {
            let _ = self.done.recv();
        }
    }
}

impl<S: Spawner> Drop for Foreign<S> {
    fn drop(&mut self) {
        self.epochs.clear();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Runs one epoch's errands on one foreign thread.
fn serve<S: Spawner>(epoch: Arc<Epoch<S>>, number: usize) {
    let log = epoch.log.clone();
    let mut rng = epoch.planner.rng(1 + number as u64);
    // Tasks to be woken when they are over.
    let mut late = Vec::new();
    while let Some(errands) = epoch.queues[number].take() {
        for errand in errands {
            match errand {
                Errand::Wake { index, waker, late: is_late } => {
                    let record = log.record(index);
                    // In this order: the poll that the wake brings finds the signal.
                    record.signals.fetch_add(1, Release);
                    record.owe();
                    if is_late {
                        log.guard(|| waker.wake_by_ref());
                        late.push((index, waker));
                    } else {
                        log.guard(|| waker.wake());
                    }
                }
                Errand::Abort(index, reins) => {
                    log.faults.add(Fault::AbortByForeign);
                    reins.pull(&log, index);
                }
                Errand::Spawn(index) => {
                    log.faults.add(Fault::ForeignSpawn);
                    if let Some(ward) = epoch.spawn(index, Work::Leaf) {
                        epoch.put_aside(ward);
                    }
                    epoch.abroad.fetch_sub(1, Release);
                }
                Errand::Storm(first) => storm(&epoch, first, &late, &mut rng),
                Errand::Open(latch) => latch.open(),
            }
        }
        late.retain(|(index, waker)| {
            let is_over = log.record(*index).is_over();
            if is_over {
                wake_late(&epoch, waker);
            }
            !is_over
        });
        epoch.wake_keepsake(rng.usize(..));
    }
    // The executor is gone.
    late.iter().for_each(|(_, waker)| wake_late(&epoch, waker));
}

fn wake_late<S: Spawner>(epoch: &Epoch<S>, waker: &Waker) {
    epoch.log.faults.add(Fault::LateWakes);
    (0..LATE_WAKES).for_each(|_| waker.wake_by_ref());
}

/// Spawns, wakes and aborts as fast as it can.
fn storm<S: Spawner>(epoch: &Arc<Epoch<S>>, first: u32, late: &[(u32, Waker)], rng: &mut Rng) {
    for index in first..first + STORM {
        epoch.log.faults.add(Fault::Storm);
        if let Some(ward) = epoch.spawn(index, Work::Leaf) {
            epoch.put_aside(ward);
        }
        epoch.run_errand();
        for (index, waker) in late {
            epoch.log.record(*index).owe();
            waker.wake_by_ref();
        }
        epoch.wake_keepsake(rng.usize(..));
    }
}
