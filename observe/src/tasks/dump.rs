//! Reads all live tasks, and finds those that wait for what can't come.

use std::collections::{HashMap, HashSet};
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::{Shared, Watched};

/// The tasks that lived at one moment. Its [`Display`](std::fmt::Display) is a line for each, and one for each that is stuck.
#[derive(Clone, Debug)]
pub struct Dump {
    tasks: Vec<LiveTask>,
    stuck: Vec<Stuck>,
}

/// A task, in a [`Dump`]. Tasks are numbered as by [`TaskId::get`](polyexec_core::TaskId::get).
#[derive(Clone, Debug)]
pub struct LiveTask {
    id: u64,
    name: Option<Box<str>>,
    location: &'static Location<'static>,
    parent: Option<u64>,
    age: Duration,
    state: TaskState,
    polls: u64,
    busy: Duration,
    wakes: u64,
    woken_by: Option<u64>,
    wakers: u64,
    awaited_by: Option<u64>,
}

/// What a task was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskState {
    /// It is ready to run, and waits for its turn.
    Queued {
        /// For this long.
        since: Duration,
    },
    /// A thread polls it.
    Running {
        /// For this long.
        since: Duration,
    },
    /// It waits to be woken.
    Idle {
        /// For this long.
        since: Duration,
    },
}

/// Tasks that nothing in the program can bring on, unless they are aborted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stuck {
    /// The task is idle, and there is no waker of it: whatever it waits for has lost the waker.
    NoWaker {
        /// The task.
        task: u64,
    },
    /// Each of these tasks awaits the handle of the next, and the last one that of the first. (One that waits for something else at
    /// the same time may go on.)
    JoinCycle {
        /// The tasks. One task: it awaits its own handle.
        tasks: Vec<u64>,
    },
}

impl Dump {
    /// The tasks, in the order of their ids.
    pub fn tasks(&self) -> &[LiveTask] {
        &self.tasks
    }

    /// The task with this id, if it lived.
    pub fn task(&self, id: u64) -> Option<&LiveTask> {
        self.tasks.binary_search_by_key(&id, |task| task.id).ok().map(|at| &self.tasks[at])
    }

    /// What can't go on.
    ///
    /// A task without a waker is one for certain if it is here again in a later dump with as many polls: a poll may have ended just
    /// now, whose waker had just been called.
    pub fn stuck(&self) -> &[Stuck] {
        &self.stuck
    }
}

impl LiveTask {
    /// The task's id.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The task's name, if it has one.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The place in the source that spawned it.
    pub fn location(&self) -> &'static Location<'static> {
        self.location
    }

    /// The task that spawned it; `None`: it was spawned outside of tasks.
    pub fn parent(&self) -> Option<u64> {
        self.parent
    }

    /// The time since it was spawned.
    pub fn age(&self) -> Duration {
        self.age
    }

    /// What it was doing, and for how long.
    pub fn state(&self) -> TaskState {
        self.state
    }

    /// The polls that have begun.
    pub fn polls(&self) -> u64 {
        self.polls
    }

    /// The time that its polls took, with the one that was running.
    pub fn busy(&self) -> Duration {
        self.busy
    }

    /// How often its waker was called, by itself or by others.
    pub fn wakes(&self) -> u64 {
        self.wakes
    }

    /// The task that woke it last. `None`: it wasn't woken, or the waker was called outside of tasks.
    pub fn woken_by(&self) -> Option<u64> {
        self.woken_by
    }

    /// The clones of its waker that there were.
    pub fn wakers(&self) -> u64 {
        self.wakers
    }

    /// The task that awaits its handle, and was idle. `None`: no task does.
    pub fn awaited_by(&self) -> Option<u64> {
        self.awaited_by
    }
}

pub(super) fn read(shared: &Shared) -> Dump {
    let mut watched: Vec<Arc<Watched>> = Vec::new();
    for shard in shared.live.all() {
        watched.extend(shard.lock().values().cloned());
    }
    watched.sort_unstable_by_key(|task| task.id);
    // After the list, so that no time of a task is later.
    let mut tasks: Vec<_> = watched.iter().map(|task| live(shared, task)).collect();
    let is_idle = |id: u64| {
        let at = watched.binary_search_by_key(&id, |task| task.id).ok()?;
        matches!(tasks[at].state, TaskState::Idle { .. }).then(|| &watched[at])
    };
    // A handle that a task polled in an earlier poll only is one that it doesn't wait for now.
    let awaited_by = |task: &Watched| {
        let by = is_idle(task.awaited_by.load(Relaxed))?;
        let awaited = task.awaited.load(Relaxed);
        (awaited != 0 && awaited >= by.began.load(Relaxed)).then_some(by.id)
    };
    let awaited_by: Vec<_> = watched.iter().map(|task| awaited_by(task)).collect();
    tasks.iter_mut().zip(awaited_by).for_each(|(task, by)| task.awaited_by = by);
    let stuck = stuck(&tasks);
    Dump { tasks, stuck }
}

fn live(shared: &Shared, task: &Watched) -> LiveTask {
    let (queued, began, ended) = (task.queued.load(Relaxed), task.began.load(Relaxed), task.ended.load(Relaxed));
    let (polls, busy, wakes) = (task.polls.load(Relaxed), task.busy.load(Relaxed), task.wakes.load(Relaxed));
    let now = shared.now();
    let since = |then: u64| shared.duration(now.saturating_sub(then));
    let state = if began != 0 && ended == 0 {
        TaskState::Running { since: since(began) }
    } else if queued != 0 {
        TaskState::Queued { since: since(queued) }
    } else {
        TaskState::Idle { since: since(ended) }
    };
    let running = if let TaskState::Running { since } = state { since } else { Duration::ZERO };
    LiveTask {
        id: task.id,
        name: task.name.clone(),
        location: task.location,
        parent: task.parent,
        age: since(task.spawned),
        state,
        polls,
        busy: shared.duration(busy) + running,
        wakes,
        woken_by: Some(task.woken_by.load(Relaxed)).filter(|by| *by != 0),
        wakers: task.wakers.load(Relaxed),
        awaited_by: None,
    }
}

impl Shared {
    fn duration(&self, ticks: u64) -> Duration {
        Duration::from_nanos(self.clock.delta_as_nanos(0, ticks))
    }
}

fn stuck(tasks: &[LiveTask]) -> Vec<Stuck> {
    let is_lost = |task: &&LiveTask| task.wakers == 0 && matches!(task.state, TaskState::Idle { .. });
    let lost = tasks.iter().filter(is_lost).map(|task| Stuck::NoWaker { task: task.id });
    lost.chain(join_cycles(tasks)).collect()
}

/// Each task is awaited by one other at most, so a walk from one to the next finds every cycle.
fn join_cycles(tasks: &[LiveTask]) -> Vec<Stuck> {
    let awaited_by: HashMap<u64, u64> = tasks.iter().filter_map(|task| Some((task.id, task.awaited_by?))).collect();
    let mut seen = HashSet::new();
    let mut cycles = Vec::new();
    for first in tasks {
        let mut walk = Vec::new();
        let mut next = Some(first.id);
        while let Some(task) = next
            && seen.insert(task)
        {
            walk.push(task);
            next = awaited_by.get(&task).copied();
        }
        // Back in this walk; else in an earlier one.
        if let Some(start) = next.and_then(|task| walk.iter().position(|walked| *walked == task)) {
            // The walk goes from the awaited to the one that awaits it.
            cycles.push(Stuck::JoinCycle { tasks: walk[start..].iter().rev().copied().collect() });
        }
    }
    cycles
}
