//! A task's handle and its fate: joined, dropped, or used to abort the task. The plan decides which.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use polyexec_core::AbortHandle;

use crate::bad_waker;
use crate::epoch::Epoch;
use crate::faults::Fault;
use crate::foreign::Request;
use crate::log::Log;
use crate::outcome::contain;
use crate::plan::{BadWaker, Fate, Plan};
use crate::record::Custody;
use crate::subject::{Handle, Spawner};

/// A handle, until its fate.
///
/// # What dropping does
///
/// Detaches the task.
pub(crate) struct Tracked<S: Spawner> {
    log: Arc<Log>,
    index: u32,
    fate: Fate,
    /// `None` once it has come to its fate.
    handle: Option<S::Handle>,
}

impl<S: Spawner> Tracked<S> {
    /// Carries out a fate that is due at once. `None`: the handle is gone.
    pub(crate) fn new(epoch: &Epoch<S>, index: u32, plan: Plan, handle: S::Handle) -> Option<Self> {
        let log = &epoch.log;
        log.record(index).set_custody(Custody::Joined);
        let mut tracked = Self { log: log.clone(), index, fate: plan.fate, handle: Some(handle) };
        match plan.fate {
            Fate::DropBefore => {
                log.faults.add(Fault::DropBefore);
                tracked.detach();
            }
            Fate::AbortBySpawner { now: true } => {
                log.faults.add(Fault::AbortBySpawner);
                tracked.abort();
                if plan.coin {
                    tracked.detach();
                }
            }
            Fate::AbortByTask => {
                if let Some(aborter) = tracked.aborter() {
                    epoch.leave_abort(index, aborter);
                }
            }
            Fate::AbortByForeign => {
                if let Some(aborter) = tracked.aborter() {
                    epoch.send(index, Request::Abort(index, aborter));
                }
            }
            Fate::AbortInPoll => {
                if let Some(aborter) = tracked.aborter() {
                    epoch.aborters().insert(index, aborter);
                }
            }
            Fate::JoinBadly(when) => {
                let waker = bad_waker::waker(log.clone(), index, when);
                let _ = tracked.poll_handle(&mut Context::from_waker(&waker));
                contain(|| drop(waker));
            }
            Fate::Join
            | Fate::DropDuring
            | Fate::DropAfter
            | Fate::AbortBySpawner { now: false }
            | Fate::AbortAfter => {}
        }
        tracked.handle.is_some().then_some(tracked)
    }

    /// Carries out the handle's fate. What needs the task to be over is put aside for the end.
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

    /// As [`settle`](Tracked::settle), when the task is over.
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

    fn aborter(&self) -> Option<AbortHandle> {
        self.handle.as_ref().map(Handle::aborter)
    }

    fn abort(&self) {
        if let Some(aborter) = self.aborter() {
            self.log.abort(self.index, &aborter);
        }
    }

    fn detach(&mut self) {
        if let Some(handle) = self.handle.take() {
            self.log.record(self.index).set_custody(Custody::Detached);
            self.log.guard(|| handle.detach());
        }
    }
}

impl<S: Spawner> Drop for Tracked<S> {
    fn drop(&mut self) {
        self.detach();
    }
}
