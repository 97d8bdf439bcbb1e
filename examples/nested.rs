//! The article's second program: a nested `await`. How often is the future polled? Once: `await` happens within the outer
//! future's poll.
//!
//!     cargo run --release --example nested

use std::process::ExitCode;
use std::time::Duration;

use support::cli::{self, say};
use support::narrate::narrate;

mod support {
    pub(crate) mod cli;
    pub(crate) mod narrate;
}

const HELP: &str = "\
Polls a future that awaits another one, with a runtime that knows no wakers.

Usage: nested";

/// How long the article's runtime sleeps after each pending poll.
const INTERVAL: Duration = Duration::from_micros(10);

fn main() -> ExitCode {
    cli::run_without_options(HELP, || {
        polyexec::block_on_polling(narrate(async_main()), INTERVAL);
        Ok(())
    })
}

async fn async_main() {
    let res = async_fn().await;
    say(format_args!("Hello, world! {res}"));
}

async fn async_fn() -> i32 {
    42
}
