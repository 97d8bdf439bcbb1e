//! Threads outside of the executor that wake, abort and spawn, above all while the owner is dropped.

use std::sync::atomic::Ordering::Release;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::Waker;
use std::thread::{self, JoinHandle};

use fastrand::Rng;
use polyexec_core::AbortHandle;

use crate::epoch::Epoch;
use crate::faults::Fault;
use crate::job::{Latch, Work};
use crate::role::{self, Role};
use crate::subject::Spawner;

/// Tasks that each foreign thread spawns while the owner is dropped.
pub(crate) const STORM: u32 = 24;

/// How often a task is woken that is over.
const LATE_WAKES: usize = 100;

/// What a foreign thread does next.
pub(crate) enum Request {
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
    Abort(u32, AbortHandle),
    /// Spawn a task.
    Spawn(u32),
    /// Spawn, wake and abort, beginning with the task of this number.
    Storm(u32),
    /// Release a thread.
    Open(Arc<Latch>),
}

/// The requests to one foreign thread.
#[derive(Default)]
pub(crate) struct Queue {
    inbox: Mutex<Inbox>,
    changed: Condvar,
}

#[derive(Default)]
struct Inbox {
    requests: Vec<Request>,
    closed: bool,
}

impl Queue {
    /// Queues a request. After the epoch it is dropped unserved.
    pub(crate) fn send(&self, request: Request) {
        let was_empty = {
            let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
            inbox.requests.push(request);
            inbox.requests.len() == 1
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
    fn take(&self) -> Option<Vec<Request>> {
        let inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_while(inbox, |inbox| inbox.requests.is_empty() && !inbox.closed);
        let mut inbox = waited.unwrap_or_else(PoisonError::into_inner);
        (!inbox.requests.is_empty()).then(|| std::mem::take(&mut inbox.requests))
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

    /// Has them run the requests of `epoch`.
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

/// Runs one epoch's requests on one foreign thread.
fn serve<S: Spawner>(epoch: Arc<Epoch<S>>, number: usize) {
    let log = epoch.log.clone();
    let mut rng = epoch.planner.rng(1 + number as u64);
    // Tasks to be woken when they are over.
    let mut late = Vec::new();
    while let Some(requests) = epoch.queues[number].take() {
        for request in requests {
            match request {
                Request::Wake { index, waker, late: is_late } => {
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
                Request::Abort(index, aborter) => {
                    log.faults.add(Fault::AbortByForeign);
                    log.abort(index, &aborter);
                }
                Request::Spawn(index) => {
                    log.faults.add(Fault::ForeignSpawn);
                    if let Some(tracked) = epoch.spawn(index, Work::Leaf) {
                        epoch.put_aside(tracked);
                    }
                    epoch.abroad.fetch_sub(1, Release);
                }
                Request::Storm(first) => storm(&epoch, first, &late, &mut rng),
                Request::Open(latch) => latch.open(),
            }
        }
        late.retain(|(index, waker)| {
            let is_over = log.record(*index).is_over();
            if is_over {
                wake_late(&epoch, waker);
            }
            !is_over
        });
        epoch.wake_stored(rng.usize(..));
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
        if let Some(tracked) = epoch.spawn(index, Work::Leaf) {
            epoch.put_aside(tracked);
        }
        epoch.run_left_abort();
        for (index, waker) in late {
            epoch.log.record(*index).owe();
            waker.wake_by_ref();
        }
        epoch.wake_stored(rng.usize(..));
    }
}
