//! Runs the program `clock` as a process: no tick and no timeout is early, and each policy handles missed ticks in its way. How
//! late they are depends on the machine.

mod support;

use support::{fails, on_every_executor, run};

const CLOCK: &str = env!("CARGO_BIN_EXE_clock");
const TICKS: usize = 8;

on_every_executor! {
    ticks_are_missed_by_each_policy
}

/// When the ticks of `policy` came, in periods.
fn ticks(output: &str, policy: &str) -> Vec<f64> {
    let lines = output.lines().filter_map(|line| line.strip_prefix(policy)?.strip_prefix(" tick "));
    let (numbers, times): (Vec<usize>, Vec<f64>) = lines
        .map(|line| {
            let (number, rest) = line.split_once(" after ").unwrap();
            (number.parse::<usize>().unwrap(), rest.strip_suffix(" periods").unwrap().parse::<f64>().unwrap())
        })
        .unzip();
    assert_eq!(numbers, (1..=TICKS).collect::<Vec<_>>(), "{policy}: {output}");
    times
}

fn ticks_are_missed_by_each_policy(executor: &str) {
    let output = run(CLOCK, &["--executor", executor, "--period", "0.05"]);
    assert!(output.status.success(), "{output:?}");
    let output = String::from_utf8(output.stdout).unwrap();
    // Written with two digits.
    let no_earlier = |policy, earliest: [f64; TICKS]| {
        for (came, earliest) in ticks(&output, policy).iter().zip(earliest) {
            assert!(*came >= earliest - 0.01, "{policy}: {came} before {earliest}\n{output}");
        }
    };
    // Busy from the second tick for three and a half periods: three ticks are missed, the third to the fifth.
    no_earlier("burst", [0.0, 1.0, 4.5, 4.5, 4.5, 5.0, 6.0, 7.0]);
    no_earlier("delay", [0.0, 1.0, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5]);
    no_earlier("skip", [0.0, 1.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0]);
    let mut timeouts = output.lines().filter(|line| line.starts_with("timeout: "));
    assert!(timeouts.next().unwrap().ends_with("the long sleep was given up"));
    assert_eq!(timeouts.next(), Some("timeout: the short sleep was over in time"));
}

#[test]
fn bad_input_is_refused() {
    assert!(fails(CLOCK, &["--executor", "none"], 2).contains("no executor \"none\""));
    assert!(fails(CLOCK, &["--period", "0"], 2).contains("--period"));
    assert!(fails(CLOCK, &["--period", "nan"], 2).contains("--period"));
    assert!(fails(CLOCK, &["--ticks", "0"], 2).contains("--ticks"));
    assert!(run(CLOCK, &["--help"]).status.success());
}
