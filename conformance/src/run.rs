//! Runs one property on one subject: under a watchdog, or in a process of its own.

use std::process::{Output, Stdio};
use std::time::Duration;

use crate::Subject;
use crate::watchdog::Watchdog;

/// How long a property may take before it counts as hung. Generous, since a loaded machine is slow. (The longest property is a
/// chain of a million spawns, each with a fresh thread. It takes minutes on two cores, and runs on request.)
pub const PATIENCE: Duration = Duration::from_secs(900);

/// An environment variable: the property for which a process was started.
const CHILD: &str = "POLYEXEC_CONFORMANCE_CHILD";

/// A property: its name, which begins with its number, and its check, which panics if it doesn't hold.
#[derive(Clone, Copy)]
pub struct Property {
    /// For example `p02_spawn_never_polls_inline`.
    pub name: &'static str,
    /// What the check needs.
    pub needs: Needs,
    /// Panics if the property doesn't hold.
    pub check: fn(&Subject),
}

/// What the check of a property needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Any build, and any executor.
    Nothing,
    /// Panics that unwind.
    Unwinding,
    /// An executor that runs its tasks on one thread, and so takes local futures.
    LocalTasks,
}

impl Needs {
    /// What `subject` or this build lacks.
    fn missing(self, subject: &Subject) -> Option<&'static str> {
        match self {
            Self::Unwinding if cfg!(panic = "abort") => Some("it needs panics that unwind"),
            Self::LocalTasks if !subject.is_local() => Some("it needs tasks that stay on one thread"),
            _ => None,
        }
    }
}

/// The outcome of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The property holds.
    Held,
    /// The property was left out, for this reason.
    LeftOut(String),
}

/// All properties, in the order of their numbers.
pub fn properties() -> &'static [Property] {
    crate::list::ALL
}

/// Checks the property called `name`, unless `without` leaves it out.
///
/// # Panics
///
/// If the property doesn't hold, if there is no such property, or if `without` names an unknown one. If the property hangs, this
/// ends the process, since a thread that hangs can't be ended.
pub fn check(name: &str, subject: Subject, without: &[(&str, &str)]) -> Outcome {
    for (left_out, _) in without {
        assert!(properties().iter().any(|property| property.name == *left_out), "no property is called {left_out}");
    }
    let property = properties()
        .iter()
        .find(|property| property.name == name)
        .unwrap_or_else(|| panic!("no property is called {name}"));
    if let Some((_, reason)) = without.iter().find(|(left_out, _)| *left_out == name) {
        return Outcome::LeftOut((*reason).to_owned());
    }
    if let Some(missing) = property.needs.missing(&subject) {
        return Outcome::LeftOut(missing.to_owned());
    }
    let _watchdog = Watchdog::new(name, PATIENCE);
    (property.check)(&subject);
    Outcome::Held
}

/// Runs `body` in a process of its own, for measurements per process: threads, memory, time.
///
/// # Panics
///
/// If the process fails.
pub(crate) fn isolated(subject: &Subject, name: &str, body: impl FnOnce()) {
    if let Some(output) = in_child(subject, name, body) {
        assert!(output.status.success(), "{name} failed in its own process\n{}", told(&output));
    }
}

/// Runs `body` in a process of its own, and returns how that ended. Returns `None` in that process itself.
pub(crate) fn in_child(subject: &Subject, name: &str, body: impl FnOnce()) -> Option<Output> {
    if std::env::var_os(CHILD).is_some_and(|child| child == name) {
        body();
        return None;
    }
    let output = subject
        .relaunch()
        .env(CHILD, name)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{name}: can't start this program again: {error}"));
    Some(output)
}

/// What a process printed.
pub(crate) fn told(output: &Output) -> String {
    format!("{}\n{}{}", output.status, String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
