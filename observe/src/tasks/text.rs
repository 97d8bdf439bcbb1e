//! A dump as text: a line for each task, and one for each that is stuck.

use std::fmt;

use super::dump::{Dump, Stuck, TaskState};
use crate::name::Name;

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |id| Name(id, self.task(id).and_then(|task| task.name()));
        for task in self.tasks() {
            write!(f, "{} (spawned at {}", name(task.id()), task.location())?;
            if let Some(parent) = task.parent() {
                write!(f, " by {}", name(parent))?;
            }
            match task.state() {
                TaskState::Queued { since } => write!(f, "): ready for {since:.1?}")?,
                TaskState::Running { since } => write!(f, "): runs for {since:.1?}")?,
                TaskState::Idle { since } => write!(f, "): waits for {since:.1?}")?,
            }
            let (polls, wakers) = (task.polls(), task.wakers());
            write!(f, "; {polls} {} took {:.1?}", if polls == 1 { "poll" } else { "polls" }, task.busy())?;
            if let Some(by) = task.woken_by() {
                write!(f, "; woken last by {}", name(by))?;
            }
            write!(f, "; {wakers} {}", if wakers == 1 { "waker" } else { "wakers" })?;
            if let Some(by) = task.awaited_by() {
                write!(f, "; awaited by {}", name(by))?;
            }
            writeln!(f)?;
        }
        for stuck in self.stuck() {
            match stuck {
                Stuck::NoWaker { task } => writeln!(f, "stuck: {} waits, and nothing has its waker", name(*task))?,
                Stuck::JoinCycle { tasks } => {
                    write!(f, "stuck: ")?;
                    for (at, task) in tasks.iter().enumerate() {
                        let next = tasks[(at + 1) % tasks.len()];
                        let end = if at + 1 == tasks.len() { "\n" } else { ", and " };
                        write!(f, "{} awaits {}{end}", name(*task), name(next))?;
                    }
                }
            }
        }
        Ok(())
    }
}
