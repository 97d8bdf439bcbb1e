//! Runs a program as a child process: marks its lines, gives it a time limit, and stops it on Ctrl-C. On the executor of your choice.
//!
//! ```sh
//! cargo run --release -p polyexec-network-examples --bin child -- --limit 2 sh -c 'echo working; sleep 5'
//! ```

use std::process::ExitCode;

#[cfg(unix)]
mod supervise;
#[cfg(unix)]
#[path = "../../support.rs"]
mod support;

#[cfg(unix)]
fn main() -> ExitCode {
    supervise::main()
}

#[cfg(not(unix))]
fn main() -> ExitCode {
    eprintln!("child: the feature `process` is for Unix");
    ExitCode::FAILURE
}
