//! Runs the program `child` as a process, which runs others: their lines, their ends, and that none is left.

#![cfg(unix)]

mod support;

use std::time::Instant;

use support::{Program, fails, on_every_executor, run};

const CHILD: &str = env!("CARGO_BIN_EXE_child");

on_every_executor! {
    lines_are_marked_and_the_code_is_passed_on
    a_program_that_runs_for_too_long_is_killed
    ctrl_c_stops_the_program
    a_program_that_ignores_that_is_killed
    a_program_killed_from_outside_is_told_apart
}

fn lines(executor: &str, args: &[&str]) -> (Option<i32>, Vec<String>) {
    let output = run(CHILD, &[&["--executor", executor], args].concat());
    let said = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), said.lines().map(str::to_owned).collect())
}

fn lines_are_marked_and_the_code_is_passed_on(executor: &str) {
    let script = "echo one; echo two; echo three >&2; exit 7";
    let (code, lines) = lines(executor, &["--limit", "30", "sh", "-c", script]);
    assert_eq!((code, lines.last().map(String::as_str)), (Some(7), Some("ended: exit status: 7")), "{lines:?}");
    let of = |mark| lines.iter().filter_map(|line| line.strip_prefix(mark)).collect::<Vec<_>>();
    assert_eq!((of("out: "), of("err: ")), (vec!["one", "two"], vec!["three"]));
}

fn a_program_that_runs_for_too_long_is_killed(executor: &str) {
    let begin = Instant::now();
    let (code, lines) = lines(executor, &["--limit", "0.1", "sh", "-c", "echo before; exec sleep 1000"]);
    assert_eq!(code, Some(1));
    let (last, before) = lines.split_last().unwrap();
    assert_eq!(last, "ran for too long: signal: 9 (SIGKILL)");
    // On a slow machine, it has not come to that.
    assert!(before.iter().all(|line| line == "out: before"), "{before:?}");
    assert!(begin.elapsed().as_secs() < 500);
}

fn ctrl_c_stops_the_program(executor: &str) {
    for signal in ["INT", "TERM"] {
        let script = "trap 'echo asked; exit 3' TERM; echo ready; while :; do sleep 0.01; done";
        let mut program = Program::start(CHILD, executor, &["sh", "-c", script]);
        assert_eq!(program.says(), "out: ready");
        program.signal(signal);
        assert_eq!(program.says(), "out: asked");
        assert_eq!(program.says(), "stopped: exit status: 3");
        assert_eq!(program.ends(), 1);
    }
}

fn a_program_that_ignores_that_is_killed(executor: &str) {
    let script = "trap '' TERM; echo ready; exec sleep 1000";
    let mut program = Program::start(CHILD, executor, &["sh", "-c", script]);
    assert_eq!(program.says(), "out: ready");
    program.signal("TERM");
    assert_eq!(program.says(), "stopped: signal: 9 (SIGKILL)");
    assert_eq!(program.ends(), 1);
}

fn a_program_killed_from_outside_is_told_apart(executor: &str) {
    let (code, lines) = lines(executor, &["sh", "-c", "kill -USR1 $$"]);
    assert_eq!((code, lines), (Some(1), vec!["ended: signal: 10 (SIGUSR1)".to_owned()]));
}

#[test]
fn bad_input_is_refused() {
    assert!(fails(CHILD, &[], 2).contains("which program?"));
    assert!(fails(CHILD, &["--limit", "-1", "true"], 2).contains("--limit"));
    assert!(fails(CHILD, &["--what", "true"], 2).contains("--what"));
    assert!(fails(CHILD, &["no-such-program"], 1).contains("can't start \"no-such-program\": "));
    assert!(run(CHILD, &["--help"]).status.success());
}
