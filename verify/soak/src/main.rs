//! The program: every executor of this workspace. What it does is in the library.

use std::process::ExitCode;

const COMMAND: &str = "cargo run --release -p polyexec-soak --";

fn main() -> ExitCode {
    polyexec_soak::program(COMMAND, std::env::args_os().skip(1), &polyexec_soak::subjects::all()).into()
}
