//! The properties that every executor must hold, run on yours in one line.
//!
//! ```ignore
//! polyexec_conformance::suite!(|| MyExecutor::new());
//! ```
//!
//! The closure starts a fresh executor and returns its owner: any type whose `handle()` gives a
//! [`polyexec_core::Executor`], and whose drop shuts the executor down. Each property becomes a test of its own, whose
//! name begins with its number: `p26_completion_against_poll_never_loses_the_join_wake`.
//!
//! An executor whose threads can be configured says how, and so takes part in the properties about threads. A
//! property that can't apply is left out by name, with the reason; its test says so and passes:
//!
//! ```ignore
//! polyexec_conformance::suite! {
//!     start: || MyExecutor::new(),
//!     start_with: |options: ThreadOptions| MyExecutor::builder().thread_name(options.name) /* … */ .build(),
//!     without: { p20_idle_costs_nothing: "it polls a device" },
//! }
//! ```
//!
//! An executor that runs its tasks on the thread that made it, and whose owner is therefore not `Send`, says
//! `start_local` in place of `start`. It takes part in the properties about local futures, and its owner is dropped
//! in its own task without leaving the thread.
//!
//! Events are compared as traces, and nothing is ordered by sleeping. A property that hangs fails after
//! [`PATIENCE`], by name.
//!
//! A test of an executor's own begins with [`watched!`], and fails by name if it hangs.
//!
//! The suite counts allocations, so it brings the test program's global allocator, and a program that takes the suite
//! can't set one of its own.

#![forbid(unsafe_code)]

pub use run::{Needs, Outcome, PATIENCE, Property, check, properties};
pub use subject::{Fixture, Subject, ThreadOptions};
pub use watchdog::{SOON, Watchdog};

mod list;
pub mod probe;
pub mod properties;
mod run;
#[cfg(target_os = "linux")]
pub mod scarce;
mod subject;
mod watchdog;

/// The command that runs the test `name` of this test program alone; `module` is where the test is, ending in `::`.
#[doc(hidden)]
pub fn __relaunch(module: &str, name: &str) -> std::process::Command {
    // The first part is the crate, which a test's path leaves out.
    let within = module.split_once("::").map_or("", |(_, within)| within);
    let mut command = std::process::Command::new(std::env::current_exe().expect("the path of this program"));
    command.args(["--exact", &format!("{within}{name}"), "--nocapture", "--test-threads=1"]);
    command
}
