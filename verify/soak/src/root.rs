//! Spawns an epoch's tasks on the driver's thread, a window's worth ahead of the task that it waits for.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::task::Poll;

use fastrand::Rng;

use crate::epoch::Epoch;
use crate::faults::Fault;
use crate::foreign::Request;
use crate::job::{Latch, Work};
use crate::log::Phase;
use crate::pair::Pair;
use crate::plan::Plan;
use crate::subject::Spawner;
use crate::tracked::Tracked;

/// The most tasks that one unit of work takes.
pub(crate) const LARGEST_UNIT: u32 = 17;

/// Spawns an epoch's tasks, and waits for them.
pub(crate) struct Root<S: Spawner> {
    epoch: Arc<Epoch<S>>,
    rng: Rng,
    /// The number of the next task.
    pub(crate) next: u32,
    window: VecDeque<Tracked<S>>,
    blocked: Option<Arc<Latch>>,
    waits_for_blocked: Option<Tracked<S>>,
}

/// What an epoch is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// How many tasks.
    pub(crate) tasks: u32,
    /// After this number of tasks, it spawns one that blocks its worker.
    pub(crate) blocked_at: Option<u32>,
    /// Whether the owner is dropped when all are over, or in the middle of it.
    pub(crate) drains: bool,
    /// How far to spawn ahead.
    pub(crate) window: usize,
}

/// The tasks that are left just before the owner is dropped.
pub(crate) struct Left<S: Spawner> {
    /// Handles that are still to resolve.
    pub(crate) handles: Vec<Tracked<S>>,
    /// Blocks a worker until it is opened.
    pub(crate) blocked: Option<Arc<Latch>>,
    /// The number of the next task.
    pub(crate) next: u32,
}

impl<S: Spawner> Root<S> {
    pub(crate) fn new(epoch: Arc<Epoch<S>>) -> Self {
        let rng = epoch.planner.rng(0);
        Self { epoch, rng, next: 0, window: VecDeque::new(), blocked: None, waits_for_blocked: None }
    }

    /// Spawns, and waits. Gives up if nothing goes on any more.
    pub(crate) async fn run(mut self, shape: Shape) -> Left<S> {
        let log = self.epoch.log.clone();
        log.enter(Phase::Working);
        {
            let mut work = pin!(self.work(shape));
            poll_fn(|cx| {
                log.watch(cx.waker());
                if log.is_stalled() { Poll::Ready(()) } else { work.as_mut().poll(cx) }
            })
            .await;
        }
        log.unwatch();
        let Self { next, window, blocked, waits_for_blocked, .. } = self;
        Left { handles: window.into_iter().chain(waits_for_blocked).collect(), blocked, next }
    }

    async fn work(&mut self, shape: Shape) {
        while self.next < shape.tasks {
            if self.blocked.is_none() && shape.blocked_at.is_some_and(|at| self.next >= at) {
                self.block_a_worker();
            }
            self.spawn_unit();
            while self.window.len() > shape.window {
                self.settle_first().await;
            }
        }
        if shape.drains {
            self.epoch.log.enter(Phase::Draining);
            self.drain().await;
        }
    }

    fn spawn_unit(&mut self) {
        let (epoch, index) = (self.epoch.clone(), self.next);
        let has = |fault| epoch.planner.has(fault);
        let (tasks, work) = match self.rng.u32(0..1000) {
            0..60 if has(Fault::ForkJoin) => {
                let children = self.rng.u32(2..LARGEST_UNIT);
                (1 + children, Work::Parent { children, depth: 0, handles: Vec::with_capacity(children as usize) })
            }
            60..100 if has(Fault::JoinChain) => {
                let depth = self.rng.u32(1..5);
                (2 + depth, Work::Parent { children: 1, depth, handles: Vec::new() })
            }
            100..150 if has(Fault::PingPong) => {
                epoch.log.faults.add(Fault::PingPong);
                let pair = Arc::new(Pair::new(index, self.rng.u8(1..12)));
                self.window.extend(epoch.spawn(index, Work::Pair { pair: pair.clone(), side: 0 }));
                self.window.extend(epoch.spawn(index + 1, Work::Pair { pair, side: 1 }));
                self.next += 2;
                return;
            }
            150 if has(Fault::NestedJoin) => (2, Work::Nested),
            151..161 if has(Fault::ForeignSpawn) && !epoch.queues.is_empty() => {
                epoch.abroad.fetch_add(1, Relaxed);
                epoch.send(index, Request::Spawn(index));
                self.next += 1;
                return;
            }
            161..261 if has(Fault::LocalFuture) => {
                self.window.extend(epoch.spawn_local(index, Work::Leaf));
                self.next += 1;
                return;
            }
            _ => (1, Work::Leaf),
        };
        self.window.extend(epoch.spawn(index, work));
        self.next += tasks;
    }

    fn block_a_worker(&mut self) {
        let latch = Arc::new(Latch::default());
        self.waits_for_blocked = self.epoch.spawn_as(self.next, Plan::CALM, Work::Blocked(latch.clone()));
        self.blocked = Some(latch);
        self.next += 1;
    }

    async fn settle_first(&mut self) {
        poll_fn(|cx| match self.window.front_mut() {
            Some(tracked) => tracked.settle(&self.epoch, cx),
            None => Poll::Ready(()),
        })
        .await;
        self.window.pop_front();
    }

    /// Waits until every task is over.
    async fn drain(&mut self) {
        while !self.window.is_empty() {
            self.settle_first().await;
        }
        if let Some(latch) = self.blocked.take() {
            latch.open();
        }
        if let Some(mut tracked) = self.waits_for_blocked.take() {
            poll_fn(|cx| tracked.settle(&self.epoch, cx)).await;
        }
        let epoch = self.epoch.clone();
        until(|| epoch.abroad.load(Acquire) == 0).await;
        // Those whose handles were dropped. A task that was never spawned belonged to one that is over.
        for record in &epoch.log.records[..self.next as usize] {
            until(|| !record.is_spawned() || record.is_over()).await;
        }
        self.window.extend(epoch.take_aside());
        while let Some(tracked) = self.window.front_mut() {
            poll_fn(|cx| tracked.settle_at_last(cx)).await;
            self.window.pop_front();
        }
    }
}

/// Yields to the executor until a condition holds. Polls it, since no waker reports it.
async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        let mut has_yielded = false;
        poll_fn(|cx| {
            if has_yielded {
                return Poll::Ready(());
            }
            has_yielded = true;
            cx.waker().wake_by_ref();
            std::thread::yield_now();
            Poll::Pending
        })
        .await;
    }
}
