//! A handle in somebody's custody, and what it is to come to: joined, dropped, or used to abort its task. The plan
//! decides which.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::bad_waker;
use crate::epoch::Epoch;
use crate::faults::Fault;
use crate::foreign::Errand;
use crate::log::Log;
use crate::outcome::contain;
use crate::plan::{BadWaker, Fate, Plan};
use crate::record::Custody;
use crate::subject::{Handle, Spawner};

/// Somebody's handle.
///
/// # What dropping does
///
/// Detaches the task.
pub(crate) struct Ward<S: Spawner> {
    log: Arc<Log>,
    index: u32,
    fate: Fate,
    /// `None` once it has come to its fate.
    handle: Option<S::Handle>,
}

/// What can abort a task.
pub(crate) enum Reins<S: Spawner> {
    /// It, and nothing else.
    Aborter(Box<dyn Fn() + Send>),
    /// The handle, where only that can.
    Handle(S::Handle),
}

impl<S: Spawner> Reins<S> {
    /// Aborts the task `index`.
    pub(crate) fn pull(self, log: &Log, index: u32) {
        let abort = || match self {
            Self::Aborter(abort) => abort(),
            Self::Handle(handle) => handle.abort(),
        };
        log.record(index).abort(|| {
            log.guard(abort);
        });
    }
}

impl<S: Spawner> Ward<S> {
    /// Does at once what is to be done at once. `None`: the handle is gone already.
    pub(crate) fn new(epoch: &Epoch<S>, index: u32, plan: Plan, handle: S::Handle) -> Option<Self> {
        let log = &epoch.log;
        log.record(index).set_custody(Custody::Joined);
        let mut ward = Self { log: log.clone(), index, fate: plan.fate, handle: Some(handle) };
        match plan.fate {
            Fate::DropBefore => {
                log.faults.add(Fault::DropBefore);
                ward.detach();
            }
            Fate::AbortBySpawner { now: true } => {
                log.faults.add(Fault::AbortBySpawner);
                ward.abort();
                if plan.coin {
                    ward.detach();
                }
            }
            Fate::AbortByTask => {
                if let Some(reins) = ward.reins() {
                    epoch.leave_errand(index, reins);
                }
            }
            Fate::AbortByForeign => {
                if let Some(reins) = ward.reins() {
                    epoch.send(index, Errand::Abort(index, reins));
                }
            }
            Fate::AbortInPoll => {
                if let Some(reins) = ward.reins() {
                    epoch.aborters().insert(index, reins);
                }
            }
            Fate::JoinBadly(when) => {
                let waker = bad_waker::waker(log.clone(), index, when);
                let _ = ward.poll_handle(&mut Context::from_waker(&waker));
                contain(|| drop(waker));
            }
            Fate::Join
            | Fate::DropDuring
            | Fate::DropAfter
            | Fate::AbortBySpawner { now: false }
            | Fate::AbortAfter => {}
        }
        ward.handle.is_some().then_some(ward)
    }

    /// Sees to it that the handle comes to its fate. What needs the task to be over is put aside for the end.
    pub(crate) fn settle(&mut self, epoch: &Epoch<S>, cx: &mut Context<'_>) -> Poll<()> {
        match self.fate {
            Fate::DropDuring => {
                self.log.faults.add(Fault::DropDuring);
                self.detach();
            }
            Fate::AbortBySpawner { now: false } => {
                self.log.faults.add(Fault::AbortBySpawner);
                self.fate = Fate::Join;
                self.abort();
            }
            Fate::DropAfter | Fate::AbortAfter | Fate::JoinBadly(BadWaker::Wake) => {
                self.log.record(self.index).set_joiner(None);
                epoch.put_aside(Self { log: self.log.clone(), handle: self.handle.take(), ..*self });
            }
            _ => {}
        }
        self.poll_handle(cx)
    }

    /// As [`settle`](Ward::settle), when the task is over.
    pub(crate) fn settle_at_last(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let is_over = self.log.record(self.index).is_over();
        match self.fate {
            Fate::DropAfter if is_over => {
                self.log.faults.add(Fault::DropAfter);
                self.detach();
            }
            Fate::AbortAfter if is_over => {
                self.log.faults.add(Fault::AbortAfter);
                self.fate = Fate::Join;
                self.abort();
            }
            _ => {}
        }
        self.poll_handle(cx)
    }

    /// Blocks until the task is over, in a task.
    pub(crate) fn join(mut self) {
        if let Some(handle) = self.handle.take() {
            self.log.resolve(self.index, handle.join());
        }
    }

    /// Leaves the handle unresolved, for good.
    pub(crate) fn give_up(mut self) {
        self.handle = None;
    }

    fn poll_handle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(handle) = &mut self.handle else { return Poll::Ready(()) };
        let mut poll = || Pin::new(&mut *handle).poll(cx);
        let polled = match self.fate {
            // The bad waker of the poll before is dropped in this one.
            Fate::JoinBadly(_) => contain(&mut poll).or_else(|| self.log.guard(poll)),
            _ => self.log.guard(poll),
        };
        let Some(Poll::Ready(outcome)) = polled else { return Poll::Pending };
        self.log.resolve(self.index, outcome);
        let resolved = self.handle.take();
        self.log.guard(|| drop(resolved));
        Poll::Ready(())
    }

    fn reins(&mut self) -> Option<Reins<S>> {
        match self.handle.as_ref()?.aborter() {
            Some(aborter) => Some(Reins::Aborter(aborter)),
            None => {
                self.log.record(self.index).set_custody(Custody::Detached);
                self.handle.take().map(Reins::Handle)
            }
        }
    }

    fn abort(&mut self) {
        if let Some(reins) = self.reins() {
            reins.pull(&self.log, self.index);
        }
    }

    fn detach(&mut self) {
        if let Some(handle) = self.handle.take() {
            self.log.record(self.index).set_custody(Custody::Detached);
            self.log.guard(|| handle.detach());
        }
    }
}

impl<S: Spawner> Drop for Ward<S> {
    fn drop(&mut self) {
        self.detach();
    }
}
