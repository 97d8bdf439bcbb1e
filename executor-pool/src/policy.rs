//! The scheduler's tuning constants, each with its reason. Change one only with the bench rows beside it (`verify/bench`).
//!
//! Under `--cfg polyexec_loom` the repetitions are few: a model shows each order of one round, and more rounds add nothing.

use std::time::Duration;

const IS_MODEL: bool = cfg!(polyexec_loom);

// Fairness: what a worker polls next.

/// Turns between two looks at the injector, so that tasks from outside never starve: as in tokio and Go. One of the turns is a
/// look for events, so 60 are polls.
pub(crate) const INJECTOR_INTERVAL: u32 = 61;

/// The countdown to the injector at which a worker looks for events: halfway between two of those looks.
pub(crate) const EVENTS_AT: u32 = INJECTOR_INTERVAL / 2;

/// Tasks in the injector from which on they are a flood, of which a busy worker takes a share instead of one.
pub(crate) const FLOOD: usize = 8;

/// The share of a flood that a busy worker takes: its own tasks keep at least half of the polls until the next look.
pub(crate) const FLOOD_SHARE: usize = INJECTOR_INTERVAL as usize / 2;

/// Polls in a row from the LIFO slot, before a task of the queue has its turn: tasks that wake each other delay those
/// that wait by at most this many polls each.
pub(crate) const MAX_LIFO_POLLS: u32 = 16;

/// Tasks that a worker takes from the injector at once, and wakers of events that it calls before it notifies the others. Large
/// enough to make locks and notifications rare, small enough to leave work for the others.
pub(crate) const BATCH: usize = 64;

/// Tasks for which an empty injector keeps room. More is given back.
pub(crate) const INJECTOR_ROOM: usize = 4096;

// Searching: spinning for as long as a wake-up costs bounds the loss at a factor of two.

/// Looks at the injector in one search: with the pauses about 30 µs, the cost of a sleep and a wake-up.
pub(crate) const SEARCH_LOOKS: u32 = if IS_MODEL { 2 } else { 240 };

/// Spin-loop hints between two looks.
pub(crate) const LOOK_PAUSES: u32 = 5;

/// Looks between two rounds at the other workers, whose cache lines a searcher should leave alone: about 1 µs. A worker that
/// begins no poll in one round is still in the same poll.
pub(crate) const LOOKS_PER_ROUND: u32 = if IS_MODEL { 1 } else { 8 };

/// Looks between two at the driver, each of which is a system call: about 4 µs.
pub(crate) const LOOKS_PER_EVENTS: u32 = 4 * LOOKS_PER_ROUND;

/// Looks for which a searcher waits for a whole batch in the injector. Taken one by one, each task would be a lock that the
/// spawning thread waits for. Waiting four times as long made `wake_outside` take 13 µs instead of 5.
pub(crate) const LOOKS_FOR_BATCH: u32 = 8;

/// Fruitless searches until the next ones have half as many looks. Spinning may be what keeps the thread that would bring work
/// from this processor.
pub(crate) const SEARCHES_PER_HALVING: u32 = 16;

/// Fruitless searches until a searcher tries for the full time again.
pub(crate) const MAX_FRUITLESS: u32 = 64;

// Stealing.

/// The time that a stolen task must keep the thief busy, with all that follows from it, to be worth stealing: what it costs to
/// move its memory to another processor and back.
pub(crate) const STEAL_COST: Duration = Duration::from_nanos(500);

/// Stolen tasks from whose run time a thief learns.
pub(crate) const STEAL_SAMPLE: u32 = 8;

/// The backoff at which a thief leaves the other workers alone and sleeps first. Each step below doubles its spinning time.
pub(crate) const MAX_STEAL_BACKOFF: u32 = 4;

// Sleeping.

/// The first sleep of a timed sleeper: about what it takes to fall asleep and to wake up.
pub(crate) const MIN_TIMED_SLEEP: Duration = Duration::from_micros(if IS_MODEL { 0 } else { 50 });

/// Its longest sleep, after fruitless ones that each double the time. A task waits for a long poll for twice this at most.
pub(crate) const MAX_TIMED_SLEEP: Duration = Duration::from_millis(1);

// Handoff.

/// Time between two scans of the monitor. A poll that two scans see is long: after ten milliseconds at the latest.
pub(crate) const MONITOR_INTERVAL: Duration = Duration::from_millis(5);

/// Idle scans until the monitor sleeps: 100 ms in all, so that a program with a task now and then doesn't wake it each time.
pub(crate) const MAX_IDLE_SCANS: u32 = 20;

/// How long a poll may compute while tasks wait. A second thread on the same processor then costs little beside that.
pub(crate) const LATE: Duration = Duration::from_millis(100);

/// Threads beyond the workers, by default: as many as tokio allows to block.
pub(crate) const SPARE_THREADS: usize = 512;
