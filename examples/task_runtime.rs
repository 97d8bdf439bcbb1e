//! The article's last program: two tasks on a runtime with a thread for each, and handles that wait for their results.
//!
//!     cargo run --release --example task_runtime --features threaded

use std::process::ExitCode;

use support::cli::{self, Failure};

mod support {
    pub(crate) mod cli;
    #[cfg(feature = "threaded")]
    pub(crate) mod narrate;
}

const HELP: &str = "\
Counts to 10 and to 23 in two tasks, each on a thread of its own, and prints each poll.

Usage: task_runtime";

fn main() -> ExitCode {
    cli::run_without_options(HELP, program)
}

#[cfg(not(feature = "threaded"))]
fn program() -> Result<(), Failure> {
    Err(Failure::usage("this needs the executor threaded; build with `--features threaded`"))
}

#[cfg(feature = "threaded")]
fn program() -> Result<(), Failure> {
    let runtime = polyexec::Threaded::new();
    let handle_1 = runtime.spawn(article::async_fn());
    let handle_2 = runtime.spawn(article::async_fn2());

    // An error if the task has panicked, or got no thread. The other task isn't affected.
    let res = handle_1.join().map_err(Failure::failed)?;
    let res2 = handle_2.join().map_err(Failure::failed)?;

    cli::say(format_args!("res: {res}"));
    cli::say(format_args!("res2: {res2}"));
    Ok(())
}

#[cfg(feature = "threaded")]
mod article {
    use crate::support::cli::say;
    use crate::support::narrate::{narrate, narrate_value};

    pub(crate) async fn async_fn() -> u64 {
        narrate(async {
            let res = count(10).await;
            say(format_args!("async_fn {res}"));
            res
        })
        .await
    }

    pub(crate) async fn async_fn2() -> u64 {
        narrate(async {
            let res = count(23).await;
            say(format_args!("async_fn2 {res}"));
            res
        })
        .await
    }

    fn count(max: u64) -> impl Future<Output = u64> {
        say("count");
        polyexec_futures::count(max).inspect(narrate_value)
    }
}
