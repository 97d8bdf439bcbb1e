//! Runs the program `crowd` as a process: five thousand connections at once, and an error if there can't be as many.

#![cfg(target_os = "linux")]

mod support;

use std::process::Command;

use polyexec_conformance::probe::{file_limits, leave_out};
use support::{Program, fails, on_every_executor, run};

const CROWD: &str = env!("CARGO_BIN_EXE_crowd");
const ECHO: &str = env!("CARGO_BIN_EXE_echo");

/// The value of a line of the output.
#[track_caller]
fn said(args: &[&str], name: &str) -> String {
    let output = run(CROWD, args);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{args:?}: {out}{err}");
    print!("{out}");
    let line = out.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name}: {out}")).trim().to_owned()
}

/// Whether a run may open this many files, which the program requests by itself. If not, the test is left out.
#[track_caller]
fn may_open(files: u64) -> bool {
    let most = file_limits().map_or(u64::MAX, |(_, most)| most);
    if most < files {
        leave_out(format_args!("it takes {files} open files, and {most} are allowed"));
    }
    most >= files
}

#[test]
fn five_thousand_connections_at_once_on_the_pool() {
    polyexec_conformance::watched!();
    if !may_open(10_064) {
        return;
    }
    let args = ["--executor", "pool", "--connections", "5000", "--rounds", "4"];
    assert!(said(&args, "round trips").starts_with("20000, "));
}

on_every_executor! {
    some_hundreds
    a_server_of_others_that_ends
}

fn some_hundreds(executor: &str) {
    if !may_open(664) {
        return;
    }
    // `Threaded` has two threads per connection.
    let args = ["--executor", executor, "--connections", "300", "--rounds", "10"];
    assert!(said(&args, "round trips").starts_with("3000, "));
}

fn a_server_of_others_that_ends(executor: &str) {
    // Nothing else listens on this address of the loopback, so no other test's server takes over the port.
    let own = match executor {
        "pool" => "127.0.77.1:0",
        "threaded" => "127.0.77.2:0",
        _ => "127.0.77.3:0",
    };
    let server = Program::start(ECHO, executor, &["--idle", "1", "--listen", own]);
    let address = server.address().to_string();
    let files = server.files();
    let args = ["--executor", executor, "--connect", &address, "--connections", "50"];
    assert!(said(&args, "round trips").starts_with("500, "));
    // The clients are gone, but the server may not have noticed yet.
    server.has_files_again(files);
    server.stops_well();
    let line = fails(CROWD, &args, 1);
    assert!(line.contains("50 of 50 connections failed") && line.contains("refused"), "{line}");
}

#[test]
fn too_few_files_are_seen_before_anything_is_opened() {
    let limited = "ulimit -n 100 && exec \"$0\" \"$@\"";
    let output = Command::new("sh").args(["-c", limited, CROWD, "--connections", "50"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let line = String::from_utf8_lossy(&output.stderr);
    assert!(line.contains("50 connections take 164 open files, and 100 are allowed"), "{line}");
}

#[test]
fn bad_input_is_refused() {
    assert!(fails(CROWD, &["--connections", "0"], 2).contains("--connections takes a whole number"));
    assert!(fails(CROWD, &["--connections", "1", "--connect", "nowhere"], 2).contains("host:port"));
    assert!(fails(CROWD, &["--patience", "much"], 2).contains("--patience"));
    assert!(run(CROWD, &["--help"]).status.success());
}
