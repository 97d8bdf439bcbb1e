//! The future of every task: does what its plan says, and tells its record. What becomes of its handle is `tracked`'s.

use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use crate::epoch::Epoch;
use crate::faults::Fault;
use crate::foreign::Request;
use crate::outcome::{Output, Planned};
use crate::pair::Pair;
use crate::plan::{Fate, LONG, Pace, Panic, Plan, SHORT};
use crate::record::{Ended, Record};
use crate::role;
use crate::subject::Spawner;
use crate::tracked::Tracked;

/// The future of a task.
///
/// # What dropping does
///
/// Counts, looks at the thread, and panics if that is planned.
pub struct Job<S: Spawner> {
    epoch: Arc<Epoch<S>>,
    index: u32,
    plan: Plan,
    has_begun: bool,
    /// A foreign thread has its waker.
    is_waiting: bool,
    /// Signals of a foreign thread that it has seen.
    seen: u8,
    work: Work<S>,
}

/// What a task does besides what its plan says.
pub(crate) enum Work<S: Spawner> {
    /// Nothing.
    Leaf,
    /// Plays with another one.
    Pair {
        /// What they share.
        pair: Arc<Pair>,
        /// The first one or the other.
        side: usize,
    },
    /// Spawns tasks, and waits for them. Their numbers follow its own.
    Parent {
        /// How many.
        children: u32,
        /// How often their first one does the same, with one child.
        depth: u32,
        /// What it waits for.
        handles: Vec<Tracked<S>>,
    },
    /// Spawns a task, and blocks until it is over.
    Nested,
    /// Blocks its thread without telling the executor.
    Blocked(Arc<Latch>),
}

/// Keeps a thread until it is opened.
#[derive(Debug, Default)]
pub(crate) struct Latch {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Latch {
    /// Releases all threads.
    pub(crate) fn open(&self) {
        *self.is_open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.opened.notify_all();
    }

    fn wait(&self) {
        let is_open = self.is_open.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.opened.wait_while(is_open, |is_open| !*is_open));
    }
}

impl<S: Spawner> Job<S> {
    pub(crate) fn new(epoch: Arc<Epoch<S>>, index: u32, plan: Plan, work: Work<S>) -> Self {
        Self { epoch, index, plan, has_begun: false, is_waiting: false, seen: 0, work }
    }

    fn record(&self) -> &Record {
        self.epoch.log.record(self.index)
    }

    /// The first poll's part that may be done only once.
    fn begin(&mut self, cx: &mut Context<'_>) {
        let Self { epoch, index, plan, .. } = &*self;
        epoch.run_left_abort();
        if plan.stored {
            epoch.store(cx.waker());
        }
        let micros = match plan.pace {
            Pace::Quick => None,
            Pace::Slow => Some(SHORT),
            Pace::VerySlow => Some(LONG),
        };
        if let Some(micros) = micros {
            epoch.log.faults.add(Fault::SlowPoll);
            if plan.pace == Pace::VerySlow {
                epoch.log.faults.add(Fault::VerySlowPoll);
            }
            thread::sleep(Duration::from_micros(micros));
        }
        if plan.panic == Some(Panic::FirstPoll) {
            self.panic();
        }
        let (epoch, index) = (epoch.clone(), *index);
        match &mut self.work {
            Work::Parent { children, depth, handles } => {
                let fault = if *depth > 0 { Fault::JoinChain } else { Fault::ForkJoin };
                epoch.log.faults.add(fault);
                for child in 0..*children {
                    let work = match *depth {
                        0 => Work::Leaf,
                        depth => Work::Parent { children: 1, depth: depth - 1, handles: Vec::new() },
                    };
                    let child = index + 1 + child;
                    epoch.log.record(child).set_joiner(Some(index));
                    handles.extend(epoch.spawn(child, work));
                }
            }
            Work::Nested => {
                epoch.log.faults.add(Fault::NestedJoin);
                if let Some(tracked) = epoch.spawn_as(index + 1, Plan::CALM, Work::Leaf) {
                    tracked.join();
                }
            }
            Work::Blocked(latch) => {
                epoch.log.faults.add(Fault::BlockedWorker);
                latch.wait();
            }
            Work::Leaf | Work::Pair { .. } => {}
        }
    }

    fn panic(&self) -> ! {
        self.epoch.log.faults.add(Fault::PanicInPoll);
        self.record().end(Ended::Panicked);
        Planned::panic(self.index)
    }

    /// Whether there is nothing left to wait for.
    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.has_begun {
            self.has_begun = true;
            self.begin(cx);
        }
        if self.plan.fate == Fate::AbortInPoll && self.abort_itself(cx).is_pending() {
            return Poll::Pending;
        }
        let worked = match &mut self.work {
            Work::Pair { pair, side } => pair.play(&self.epoch.log, *side, cx.waker()),
            Work::Parent { handles, .. } => {
                handles.retain_mut(|tracked| tracked.settle(&self.epoch, cx).is_pending());
                if handles.is_empty() { Poll::Ready(()) } else { Poll::Pending }
            }
            Work::Leaf | Work::Nested | Work::Blocked(_) => Poll::Ready(()),
        };
        if worked.is_pending() {
            return Poll::Pending;
        }
        if self.plan.self_wakes > 0 {
            self.plan.self_wakes -= 1;
            self.wake_itself(cx);
            return Poll::Pending;
        }
        self.wait_for_a_foreign_thread(cx)
    }

    /// Wakes itself by value or by reference, as planned.
    fn wake_itself(&self, cx: &mut Context<'_>) {
        self.record().owe();
        let (waker, by_value) = (cx.waker(), self.plan.coin);
        if by_value {
            let waker = waker.clone();
            waker.wake();
        } else {
            waker.wake_by_ref();
        }
    }

    fn abort_itself(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let aborter = self.epoch.aborters().remove(&self.index);
        let Some(aborter) = aborter else {
            // Its spawner is about to store it.
            thread::yield_now();
            self.wake_itself(cx);
            return Poll::Pending;
        };
        self.epoch.log.faults.add(Fault::AbortInPoll);
        self.epoch.log.abort(self.index, &aborter);
        self.plan.fate = Fate::Join;
        // Ready all the same, or at the mercy of the executor.
        if self.plan.coin { Poll::Ready(()) } else { Poll::Pending }
    }

    fn wait_for_a_foreign_thread(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        use std::sync::atomic::Ordering::Acquire;
        if self.is_waiting {
            if self.record().signals.load(Acquire) == self.seen {
                return Poll::Pending;
            }
            self.seen += 1;
            self.is_waiting = false;
        }
        if self.plan.foreign_wakes == 0 {
            return Poll::Ready(());
        }
        self.plan.foreign_wakes -= 1;
        self.is_waiting = true;
        let late = self.plan.late_wakes && self.plan.foreign_wakes == 0;
        self.epoch.log.faults.add(Fault::ForeignWake);
        self.epoch.send(self.index, Request::Wake { index: self.index, waker: cx.waker().clone(), late });
        Poll::Pending
    }
}

impl<S: Spawner> Future for Job<S> {
    type Output = Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Output> {
        let this = &mut *self;
        if !this.record().begin_poll() {
            return Poll::Pending;
        }
        let epoch = this.epoch.clone();
        // A panic ends the poll, too.
        let _polling = Polling(epoch.log.record(this.index));
        if this.advance(cx).is_pending() {
            return Poll::Pending;
        }
        if this.plan.panic == Some(Panic::LastPoll) {
            this.panic();
        }
        this.record().end(Ended::Ready);
        let drop_panics = this.plan.panic == Some(Panic::OutputDrop);
        Poll::Ready(Output::new(epoch.log.clone(), this.index, drop_panics))
    }
}

struct Polling<'a>(&'a Record);

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        self.0.end_poll();
    }
}

impl<S: Spawner> Drop for Job<S> {
    fn drop(&mut self) {
        use std::sync::atomic::Ordering::{Relaxed, Release};
        let log = &self.epoch.log;
        let record = log.record(self.index);
        if !role::may_drop(log.is_local) {
            record.wrong_thread.store(1, Relaxed);
        }
        if let Work::Pair { pair, side } = &self.work {
            pair.leave(log, *side);
        }
        let panics = self.plan.panic == Some(Panic::FutureDrop) && !thread::panicking();
        if panics {
            record.drop_panicked.store(1, Relaxed);
        }
        record.future_drops.fetch_add(1, Release);
        if panics {
            log.faults.add(Fault::PanicInFutureDrop);
            Planned::panic(self.index);
        }
    }
}
