//! The conformance suite as a program: every property, on every compiled-in executor.
//!
//!     cargo run --example conformance --all-features
//!     cargo run --example conformance -- --executor pool --property p26
//!     cargo run --profile abort --example conformance --all-features
//!
//! The last command is for programs in which a panic ends the process. Properties that need unwinding are left out, and printed;
//! all others must hold. (Tests can't be built that way: their harness needs unwinding.)
//!
//! Each property runs in a process of its own. So a crash or a hang is reported, and the other properties still run.

use std::process::{Command, ExitCode, Stdio};

use lexopt::{Arg, Parser};
use polyexec_conformance::{Outcome, Property, Subject, check, properties};

use support::cli::{self, Failure, say};

mod support {
    pub(crate) mod cli;
}

const HELP: &str = "\
Checks the properties of executors, on every compiled-in executor.

Usage: conformance [--executor NAME] [--property pNN]

  --executor NAME  only this executor: pool, threaded or local, if compiled in
  --property pNN   only the property with this number, or this name
  --here           check the one property in this process: for the program's own use
  --help           print this

Exit code: 0 if every property holds or is left out for a reason, 1 if one doesn't hold, 2 if the options are invalid.";

/// Starts this program again, for a property that measures its whole process.
type Relaunch = Box<dyn Fn() -> Command + Send + Sync>;

/// A compiled-in executor.
struct Tested {
    name: &'static str,
    subject: fn(Relaunch) -> Subject,
    /// Properties that can't apply to it, and why.
    without: &'static [(&'static str, &'static str)],
}

const TESTED: &[Tested] = &[
    #[cfg(feature = "pool")]
    pool::TESTED,
    #[cfg(feature = "threaded")]
    threaded::TESTED,
    #[cfg(feature = "local")]
    local::TESTED,
];

/// Two workers: fewer than most machines have cores, and enough to steal.
#[cfg(feature = "pool")]
mod pool {
    use polyexec::Pool;
    use polyexec_conformance::{Fixture, Subject, ThreadOptions};

    use super::Tested;

    pub(super) const TESTED: Tested = Tested {
        name: "pool",
        subject: |relaunch| {
            let start = || fixture(Pool::builder().worker_threads(2).build().expect("a pool"));
            Subject::new(start, relaunch).with_threads(|options| {
                let ThreadOptions { name, stack_size, on_start, on_stop } = options;
                let builder = Pool::builder().worker_threads(2).thread_name(name).stack_size(stack_size);
                builder.on_thread_start(move || on_start()).on_thread_stop(move || on_stop()).build().map(fixture)
            })
        },
        without: &[
            ("p65_a_task_that_wakes_itself_delays_others_by_64_polls_at_most", "its tasks run at the same time"),
            ("p66_two_tasks_that_wake_each_other_delay_others_by_64_polls_at_most", "its tasks run at the same time"),
            ("p67_a_task_from_outside_waits_for_64_polls_at_most", "its tasks run at the same time"),
            ("p79_what_is_always_ready_delays_others_by_128_operations_at_most", "its tasks run at the same time"),
        ],
    };

    fn fixture(pool: Pool) -> Fixture {
        let handle = pool.handle();
        Fixture::new(pool, handle)
    }
}

#[cfg(feature = "threaded")]
mod threaded {
    use polyexec::Threaded;
    use polyexec_conformance::{Fixture, Subject, ThreadOptions};

    use super::Tested;

    pub(super) const TESTED: Tested = Tested {
        name: "threaded",
        subject: |relaunch| {
            Subject::new(|| fixture(Threaded::new()), relaunch).with_threads(|options| {
                let ThreadOptions { name, stack_size, on_start, on_stop } = options;
                let builder = Threaded::builder().thread_name(name).stack_size(stack_size);
                builder.on_thread_start(move || on_start()).on_thread_stop(move || on_stop()).build().map(fixture)
            })
        },
        without: &[
            ("p65_a_task_that_wakes_itself_delays_others_by_64_polls_at_most", "its tasks run at the same time"),
            ("p66_two_tasks_that_wake_each_other_delay_others_by_64_polls_at_most", "its tasks run at the same time"),
            ("p67_a_task_from_outside_waits_for_64_polls_at_most", "its tasks run at the same time"),
            ("p79_what_is_always_ready_delays_others_by_128_operations_at_most", "its tasks run at the same time"),
            ("p75_a_million_live_tasks_complete", "no system has a million threads"),
            ("p77_a_chain_of_100_000_handles_is_dropped", "few systems have 100,000 threads"),
        ],
    };

    fn fixture(threaded: Threaded) -> Fixture {
        let handle = threaded.handle();
        Fixture::new(threaded, handle)
    }
}

#[cfg(feature = "local")]
mod local {
    use polyexec::Local;
    use polyexec_conformance::{Fixture, Subject};

    use super::Tested;

    pub(super) const TESTED: Tested = Tested {
        name: "local",
        subject: |relaunch| {
            let start = || {
                let local = Local::new();
                let handle = local.handle();
                Fixture::new_local(local, handle)
            };
            Subject::new_local(start, relaunch)
        },
        without: &[
            ("p07_failure_to_get_a_thread_leaves_the_executor_usable", "it has no threads of its own"),
            ("p63_one_task_that_blocks_leaves_the_others_running", "one thread runs all its tasks"),
            ("p68_a_task_just_woken_runs_though_its_waker_blocks", "one thread runs all its tasks"),
            ("p69_names_stack_sizes_and_hooks", "it has no threads of its own"),
        ],
    };
}

fn main() -> ExitCode {
    cli::run(program)
}

fn program(parser: &mut Parser) -> Result<(), Failure> {
    let (mut executor, mut property, mut here) = (None, None, false);
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("executor") => executor = Some(parser.value()?.to_string_lossy().into_owned()),
            Arg::Long("property") => property = Some(parser.value()?.to_string_lossy().into_owned()),
            Arg::Long("here") => here = true,
            Arg::Long("help") | Arg::Short('h') => {
                say(HELP);
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let tested = tested(executor.as_deref())?;
    let chosen = chosen(property.as_deref())?;
    match (here, &*tested, &*chosen) {
        (false, ..) => all(&tested, &chosen),
        (true, [tested], [property]) => {
            check_here(tested, property);
            Ok(())
        }
        (true, ..) => Err(Failure::usage("--here takes one --executor and one --property")),
    }
}

/// The executors that `name` stands for.
fn tested(name: Option<&str>) -> Result<Vec<&'static Tested>, Failure> {
    let tested: Vec<_> = TESTED.iter().filter(|tested| name.is_none_or(|name| name == tested.name)).collect();
    if tested.is_empty() {
        let names: Vec<_> = TESTED.iter().map(|tested| tested.name).collect();
        let missing = name.map_or_else(|| "no executor".to_owned(), |name| format!("no executor {name:?}"));
        return Err(Failure::usage(format_args!("{missing} is compiled in, but these: [{}]", names.join(", "))));
    }
    Ok(tested)
}

/// The properties that `name` stands for. A number may stand for several.
fn chosen(name: Option<&str>) -> Result<Vec<&'static Property>, Failure> {
    let is_meant = |property: &&Property| {
        name.is_none_or(|name| {
            property.name.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
        })
    };
    let chosen: Vec<_> = properties().iter().filter(is_meant).collect();
    match name {
        Some(name) if chosen.is_empty() => Err(Failure::usage(format_args!("there is no property {name:?}"))),
        _ => Ok(chosen),
    }
}

/// Checks each property on each executor, and prints the outcomes.
fn all(tested: &[&Tested], chosen: &[&Property]) -> Result<(), Failure> {
    let (mut held, mut left_out, mut failed) = (0, 0, 0);
    for tested in tested {
        for property in chosen {
            let outcome = match check_elsewhere(tested, property)? {
                Ok(Outcome::Held) => {
                    held += 1;
                    "held".to_owned()
                }
                Ok(Outcome::LeftOut(reason)) => {
                    left_out += 1;
                    format!("{LEFT_OUT}{reason}")
                }
                Err(told) => {
                    failed += 1;
                    format!("FAILED\n{told}")
                }
            };
            say(format_args!("{:<8} {} ... {outcome}", tested.name, property.name));
        }
    }
    say(format_args!("{held} held, {left_out} left out, {failed} failed"));
    if failed == 0 { Ok(()) } else { Err(Failure::failed(format_args!("{failed} properties don't hold"))) }
}

/// Printed by a process whose property was left out, before the reason.
const LEFT_OUT: &str = "left out: ";

/// Checks a property in this process, which fails if it doesn't hold.
fn check_here(tested: &Tested, property: &Property) {
    let (executor, name) = (tested.name, property.name);
    let relaunch = move || command(executor, name);
    if let Outcome::LeftOut(reason) = check(name, (tested.subject)(Box::new(relaunch)), tested.without) {
        say(format_args!("{LEFT_OUT}{reason}"));
    }
}

/// Checks a property in another process. If it doesn't hold, the inner error is that process's output.
fn check_elsewhere(tested: &Tested, property: &Property) -> Result<Result<Outcome, String>, Failure> {
    let output = command(tested.name, property.name)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failure::failed(format_args!("can't start this program again: {error}")))?;
    let (told, complaints) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        return Ok(Err(format!("{}\n{told}{complaints}", output.status)));
    }
    let reason = told.lines().find_map(|line| line.strip_prefix(LEFT_OUT));
    Ok(Ok(reason.map_or(Outcome::Held, |reason| Outcome::LeftOut(reason.to_owned()))))
}

fn command(executor: &str, property: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("the path of this program"));
    command.args(["--executor", executor, "--property", property, "--here"]);
    command
}
