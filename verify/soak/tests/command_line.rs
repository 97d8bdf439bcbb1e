//! The program itself: exit codes, what it says of bad input, and short runs on every executor.

use std::process::{Command, Output};

fn soak(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_polyexec-soak")).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn bad_input_is_told_in_a_line_and_is_exit_code_2() {
    let bad: &[&[&str]] = &[
        &["--executor", "tokio"],
        &["--lifecycles", "0"],
        &["--lifecycles", "1e3.5"],
        &["--seed"],
        &["--workers", "none"],
        &["--fast"],
        &["pool"],
        &["--executor", "po\nol"],
    ];
    for args in bad {
        let output = soak(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let told = text(&output.stderr);
        assert!(told.starts_with("polyexec-soak: ") && told.ends_with("(see --help)\n"), "{args:?}: {told}");
        assert_eq!(told.lines().count(), 1, "{args:?}: {told}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn help_is_no_error() {
    let output = soak(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let help = text(&output.stdout);
    assert!(help.contains("--lifecycles") && help.contains("pool, threaded, local"), "{help}");
}

#[test]
fn a_report_that_cannot_be_written_is_told() {
    let output = soak(&["--executor", "local", "--lifecycles", "1", "--epoch", "1", "--report", "/nowhere/at/all"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("can't write /nowhere/at/all"), "{}", text(&output.stderr));
}

fn all_figures_are_zero(executor: &str, more: &[&str]) {
    for seed in ["1", "2"] {
        let args = [&["--executor", executor, "--lifecycles", "2e4", "--epoch", "2000", "--seed", seed], more].concat();
        let output = soak(&args);
        let (table, told) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{executor}, seed {seed}\n{table}\n{told}");
        assert!(table.contains("All figures are zero."), "{table}");
    }
}

#[test]
fn the_pool_is_clean() {
    all_figures_are_zero("pool", &[]);
}

#[test]
fn a_pool_of_one_worker_is_clean() {
    all_figures_are_zero("pool", &["--workers", "1"]);
}

#[test]
fn threads_for_each_task_are_clean() {
    all_figures_are_zero("threaded", &[]);
}

#[test]
fn the_local_queue_is_clean() {
    all_figures_are_zero("local", &[]);
}

#[test]
fn the_report_is_written_where_it_is_wanted() {
    let path = std::env::temp_dir().join(format!("polyexec-soak-{}.md", std::process::id()));
    let output =
        soak(&["--executor", "local", "--lifecycles", "1e3", "--epoch", "100", "--report", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    let report = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    assert_eq!(report.trim(), text(&output.stdout).trim());
    assert!(report.contains("| lost wakes "), "{report}");
}

#[test]
fn without_foreign_threads_a_local_run_repeats_itself() {
    let run = || {
        let args = ["--executor", "local", "--lifecycles", "1e4", "--epoch", "1000", "--seed", "5", "--foreign", "0"];
        let output = soak(&args);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
        let is_time = |line: &&str| ["second", "shutdown", "bytes"].iter().any(|word| line.contains(word));
        text(&output.stdout).lines().filter(|line| !is_time(line)).collect::<Vec<_>>().join("\n")
    };
    let first = run();
    assert!(first.contains("| polls "), "{first}");
    assert_eq!(first, run());
}
