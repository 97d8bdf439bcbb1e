//! The soak of polyexec's executors, and of their peers: the same program with further subjects.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use polyexec_soak::run::Entry;

mod async_executor;
mod caught;
mod futures;
mod tokio;

const COMMAND: &str = "cargo run --release --manifest-path verify/soak/peers/Cargo.toml --";

/// What this program was built with: the versions in here are those that run.
const LOCK: &str = include_str!("../Cargo.lock");

fn main() -> ExitCode {
    let mut subjects = polyexec_soak::subjects::ours();
    subjects.push(Entry::of_a_peer::<tokio::Tokio>(version("tokio")));
    subjects.push(Entry::of_a_peer::<async_executor::AsyncExecutor>(version("async-executor")));
    subjects.push(Entry::of_a_peer::<futures::FuturesPool>(version("futures")));
    polyexec_soak::program(COMMAND, std::env::args_os().skip(1), &subjects).into()
}

/// A package's name and version.
fn version(package: &str) -> String {
    let field = |entry: &'static str, name: &str| {
        entry.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \"")?.strip_suffix('"'))
    };
    let entry = LOCK.split("[[package]]").find(|entry| field(entry, "name") == Some(package));
    format!("{package} {}", entry.and_then(|entry| field(entry, "version")).unwrap_or("?"))
}
