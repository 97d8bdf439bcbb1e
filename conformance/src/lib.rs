//! The properties that every executor must have, as a test suite. One line runs it on yours.
//!
//! ```ignore
//! polyexec_conformance::suite!(|| MyExecutor::new());
//! ```
//!
//! The closure starts a new executor, and returns its owner: any type whose `handle()` returns a [`polyexec_core::Executor`],
//! and whose drop shuts the executor down. Each property becomes a test, whose name begins with its number, such as
//! `p26_completion_against_poll_never_loses_the_join_wake`.
//!
//! If the threads of an executor can be configured, `start_with` says how. Then the properties about threads apply, too. A
//! property that can't apply is left out by name, with the reason. Its test prints that, and passes:
//! ```ignore
//! polyexec_conformance::suite! {
//!     start: || MyExecutor::new(),
//!     start_with: |options: ThreadOptions| MyExecutor::builder().thread_name(options.name) /* … */ .build(),
//!     without: { p20_idle_costs_nothing: "it polls a device" },
//! }
//! ```
//!
//! If an executor runs its tasks on the thread that made it, then its owner isn't `Send`: use `start_local` in place of `start`.
//! The properties about local futures apply then. The owner is dropped in one of its tasks without leaving the thread.
//!
//! Tests compare traces of events, and order nothing by sleeping. A property that hangs fails by name after [`PATIENCE`].
//!
//! An executor's own tests begin with [`watched!`], and so fail by name if they hang.
//!
//! The suite counts allocations, so it brings the test program's global allocator. A program with the suite can't set another
//! one.

#![forbid(unsafe_code)]

pub use observed::LegalOrder;
pub use run::{Needs, Outcome, PATIENCE, Property, check, properties};
pub use subject::{Fixture, Subject, ThreadOptions};
pub use watchdog::{SOON, Watchdog};

mod list;
mod observed;
pub mod probe;
pub mod properties;
mod run;
#[cfg(target_os = "linux")]
pub mod scarce;
mod subject;
mod watchdog;

/// The command that runs only the test `name` of this test program. `module` is the test's module, ending in `::`.
#[doc(hidden)]
pub fn __relaunch(module: &str, name: &str) -> std::process::Command {
    // The first part is the crate, which the path of a test omits.
    let within = module.split_once("::").map_or("", |(_, within)| within);
    let mut command = std::process::Command::new(std::env::current_exe().expect("the path of this program"));
    command.args(["--exact", &format!("{within}{name}"), "--nocapture", "--test-threads=1"]);
    command
}
