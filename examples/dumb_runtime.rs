//! The article's first program: a `block_on` with a waker that does nothing, which sleeps between polls.
//!
//!     cargo run --release --example dumb_runtime

use std::process::ExitCode;
use std::time::Duration;

use support::cli::{self, say};
use support::narrate::narrate;

mod support {
    pub(crate) mod cli;
    pub(crate) mod narrate;
}

const HELP: &str = "\
Polls a future that is ready at once, with a runtime that knows no wakers.

Usage: dumb_runtime";

/// How long the article's runtime sleeps after each pending poll.
const INTERVAL: Duration = Duration::from_micros(10);

fn main() -> ExitCode {
    cli::run_without_options(HELP, || {
        polyexec::block_on_polling(narrate(async_main()), INTERVAL);
        Ok(())
    })
}

async fn async_main() {
    say("Hello, world!");
}
