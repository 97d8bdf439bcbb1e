//! A recording as text: a line for each event.

use std::fmt;
use std::time::Duration;

use polyexec_core::observe::{End, PollOutcome, WakeEffect, WorkerEvent};

use super::recording::{Event, EventKind, Recording};
use crate::name::Name;

/// The most columns that a thread's name takes.
const LANE_WIDTH: usize = 16;

impl fmt::Display for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let longest = self.lanes().iter().map(|lane| lane.name().chars().count()).max();
        let width = longest.unwrap_or(0).min(LANE_WIDTH);
        for event in self.events() {
            let lane = self.lanes()[event.lane()].name();
            writeln!(f, "{:>12}  {lane:<width$}  {}", Time(event.at()).to_string(), Line { recording: self, event })?;
        }
        for task in self.tasks() {
            if let Some(since) = task.running_since() {
                let for_now = Time(self.taken_at().saturating_sub(since));
                writeln!(f, "{:>12}  {} is polled since {for_now}", Time(since).to_string(), name_of(self, task.id()))?;
            }
        }
        if self.lost_events() > 0 {
            writeln!(f, "{} earlier events were overwritten", self.lost_events())?;
        }
        Ok(())
    }
}

/// A time, in microseconds until it is long.
struct Time(Duration);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            time if time < Duration::from_secs(1) => write!(f, "{:.1} µs", time.as_nanos() as f64 / 1e3),
            time => write!(f, "{:.3} ms", time.as_nanos() as f64 / 1e6),
        }
    }
}

fn name_of(recording: &Recording, id: u64) -> Name<'_> {
    Name(id, recording.task(id).and_then(|task| task.name()))
}

struct Line<'a> {
    recording: &'a Recording,
    event: &'a Event,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |task| name_of(self.recording, task);
        match self.event.kind() {
            EventKind::Spawned { task } => {
                write!(f, "{} is spawned", name(task))?;
                let Some(task) = self.recording.task(task) else { return Ok(()) };
                if let Some(parent) = task.parent() {
                    write!(f, " by {}", name(parent))?;
                }
                write!(f, " at {}", task.location())
            }
            EventKind::Polled { task, outcome, took } => {
                let outcome = match outcome {
                    PollOutcome::Pending => "it waits",
                    PollOutcome::WokeItself => "it has woken itself, and goes to the queue's end",
                    PollOutcome::Ready => "it is ready",
                    PollOutcome::Panicked => "it panicked",
                    _ => "it has ended",
                };
                write!(f, "{} is polled for {}: {outcome}", name(task), Time(took))
            }
            EventKind::Woken { task, by, effect } => {
                write!(f, "{} is woken", name(task))?;
                if let Some(by) = by {
                    write!(f, " by {}", name(by))?;
                }
                f.write_str(if effect == WakeEffect::Queued { "" } else { ", and wasn't idle" })
            }
            EventKind::Ended { task, end } => {
                let how = match end {
                    End::Ready => "ends",
                    End::Panicked => "ends with a panic",
                    End::Aborted => "ends, aborted",
                    End::ShutDown => "ends with its executor",
                    End::Refused => "is refused",
                    End::Unreachable => "ends, since nothing could wake it",
                    _ => "has ended",
                };
                write!(f, "{} {how}", name(task))
            }
            EventKind::Worker { worker, event } => {
                write!(f, "worker {worker} ")?;
                match event {
                    WorkerEvent::Started => f.write_str("starts"),
                    WorkerEvent::Stopped => f.write_str("stops"),
                    WorkerEvent::Parked => f.write_str("goes to sleep"),
                    WorkerEvent::Unparked => f.write_str("wakes up"),
                    WorkerEvent::Stole { from, tasks } => write!(f, "takes {tasks} from worker {from}"),
                    WorkerEvent::TookShared { tasks } => write!(f, "takes {tasks} from the shared queue"),
                    WorkerEvent::HandedOver => f.write_str("goes on in another thread: this one blocks"),
                    _ => f.write_str("does something new"),
                }
            }
        }
    }
}
