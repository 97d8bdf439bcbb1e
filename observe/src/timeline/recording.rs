//! What a timeline has recorded: events in the order of their times, the threads, and the tasks.

use std::collections::HashMap;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use polyexec_core::observe::{End, PollOutcome, WakeEffect, WorkerEvent};

use super::Shared;
use super::record::Record;
use super::ring::Ring;
use super::tasks::{Kept, Task};

/// What a [`Timeline`](super::Timeline) had recorded at one moment.
///
/// Its [`Display`](std::fmt::Display) is the text: a line for each event.
#[derive(Debug)]
pub struct Recording {
    events: Vec<Event>,
    lanes: Vec<Lane>,
    tasks: Vec<TaskSummary>,
    lost_events: u64,
    forgotten_tasks: u64,
    taken_at: Duration,
}

/// A thread, in a [`Recording`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    name: String,
}

/// A task, in a [`Recording`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskSummary {
    id: u64,
    name: Option<Box<str>>,
    location: &'static Location<'static>,
    parent: Option<u64>,
    running_since: Option<Duration>,
}

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    at: Duration,
    lane: usize,
    kind: EventKind,
}

/// What happened. Tasks are numbered as by [`TaskId::get`](polyexec_core::TaskId::get).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// A task was spawned.
    Spawned {
        /// The new task.
        task: u64,
    },
    /// A poll began, and has ended.
    Polled {
        /// The task.
        task: u64,
        /// How the poll ended.
        outcome: PollOutcome,
        /// How long it took; to four significant digits at least.
        took: Duration,
    },
    /// A task was woken, other than by itself during its poll.
    Woken {
        /// The task.
        task: u64,
        /// The task that called the waker. `None`: there was none, or its poll is running still.
        by: Option<u64>,
        /// What came of it.
        effect: WakeEffect,
    },
    /// A task ended.
    Ended {
        /// The task.
        task: u64,
        /// How.
        end: End,
    },
    /// A worker did something.
    Worker {
        /// Its number in its executor.
        worker: usize,
        /// What it did. Of a worker from which tasks were stolen, numbers above 254 are shown as 255.
        event: WorkerEvent,
    },
}

impl Recording {
    /// The events, in the order of their times. A poll has the time of its begin.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The threads that have recorded an event. [`Event::lane`] counts them from zero.
    pub fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// The tasks that live, and those that ended last, in the order of their ids.
    pub fn tasks(&self) -> &[TaskSummary] {
        &self.tasks
    }

    /// The task with this id. `None`: there was none, or it ended long ago.
    pub fn task(&self, id: u64) -> Option<&TaskSummary> {
        self.tasks.binary_search_by_key(&id, |task| task.id).ok().map(|at| &self.tasks[at])
    }

    /// How many events were overwritten: those of each thread that were its oldest.
    pub fn lost_events(&self) -> u64 {
        self.lost_events
    }

    /// How many ended tasks were forgotten. Their events may still be here.
    pub fn forgotten_tasks(&self) -> u64 {
        self.forgotten_tasks
    }

    /// When the recording was taken, since the timeline was made.
    pub fn taken_at(&self) -> Duration {
        self.taken_at
    }
}

impl Lane {
    /// The thread's name, or its number if it has none.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl TaskSummary {
    /// The task's id.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The task's name, if it has one. Of a long one, the first 200 characters.
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

    /// When the poll began that was running as the recording was taken, since the timeline was made.
    pub fn running_since(&self) -> Option<Duration> {
        self.running_since
    }
}

impl Event {
    /// When it happened, since the timeline was made.
    pub fn at(&self) -> Duration {
        self.at
    }

    /// On which thread: its place in [`Recording::lanes`].
    pub fn lane(&self) -> usize {
        self.lane
    }

    /// What happened.
    pub fn kind(&self) -> EventKind {
        self.kind
    }
}

pub(super) fn read(timeline: &Shared) -> Recording {
    let rings: Vec<_> = timeline.threads.rings().iter().map(|ring: &Arc<Ring>| ring.read()).collect();
    // After the events, so that these are of tasks that are here.
    let Kept { tasks, forgotten } = timeline.tasks.kept();
    let now = timeline.now();
    let mut lanes = Lanes { by_thread: HashMap::new(), lanes: Vec::new(), timeline };
    let mut events = Vec::new();
    let mut lost_events = 0;
    for (words, lost) in rings {
        lost_events += lost;
        let records: Vec<_> = words.into_iter().filter_map(|words| Record::unpack(words, now)).collect();
        events_of(&records, &mut lanes, &mut events);
    }
    events.sort_by_key(|event| event.at);
    let summary = |(task, began): (Arc<Task>, Option<u64>)| TaskSummary {
        id: task.id,
        name: task.name.clone(),
        location: task.location,
        parent: task.parent,
        running_since: began.map(|began| timeline.duration(began)),
    };
    let tasks = tasks.into_iter().map(summary).collect();
    Recording {
        events,
        lanes: lanes.lanes,
        tasks,
        lost_events,
        forgotten_tasks: forgotten,
        taken_at: timeline.duration(now),
    }
}

struct Lanes<'a> {
    /// The lane of each thread's number.
    by_thread: HashMap<Option<u64>, usize>,
    lanes: Vec<Lane>,
    timeline: &'a Shared,
}

impl Lanes<'_> {
    /// `None`: a thread whose first event was overwritten, in a ring that no other has had since.
    fn of(&mut self, thread: Option<u64>) -> usize {
        let Self { by_thread, lanes, timeline } = self;
        *by_thread.entry(thread).or_insert_with(|| {
            let name = thread.and_then(|number| timeline.threads.name(number));
            lanes.push(Lane { name: name.unwrap_or_else(|| "a thread that ended".to_owned()) });
            lanes.len() - 1
        })
    }
}

/// Adds the events of one ring, whose records are in the order in which they were written: a poll comes after what happened in it.
fn events_of(records: &[(u64, Record)], lanes: &mut Lanes<'_>, events: &mut Vec<Event>) {
    // Backwards, so that each poll comes before what happened in it. These are the polls around the record, the innermost last.
    let mut around: Vec<(u64, u64)> = Vec::new();
    let mut kinds = Vec::with_capacity(records.len());
    for &(at, record) in records.iter().rev() {
        while around.last().is_some_and(|(began, _)| *began > at) {
            around.pop();
        }
        let kind = match record {
            Record::Spawned { task } => EventKind::Spawned { task },
            Record::Polled { task, outcome, ticks } => {
                around.push((at, task));
                EventKind::Polled { task, outcome, took: lanes.timeline.duration(ticks) }
            }
            Record::Woken { task, effect } => {
                EventKind::Woken { task, by: around.last().map(|(_, task)| *task), effect }
            }
            Record::Ended { task, end } => EventKind::Ended { task, end },
            Record::Worker { worker, event } => EventKind::Worker { worker: worker as usize, event },
            Record::Thread { .. } => {
                around.clear();
                continue;
            }
        };
        kinds.push((at, kind));
    }
    let mut kinds = kinds.into_iter().rev();
    let mut thread = None;
    for (_, record) in records {
        match record {
            Record::Thread { number } => thread = Some(*number),
            _ => {
                let Some((at, kind)) = kinds.next() else { break };
                events.push(Event { at: lanes.timeline.duration(at), lane: lanes.of(thread), kind });
            }
        }
    }
}
