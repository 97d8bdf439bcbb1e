//! The examples as programs: what they print, and how they end. `cargo test` builds them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Brings its own tests.
#[path = "../examples/support/tally.rs"]
mod tally;

/// Those that are compiled in, in the order of precedence.
const EXECUTORS: &[&str] = &[
    #[cfg(feature = "pool")]
    "pool",
    #[cfg(feature = "threaded")]
    "threaded",
    #[cfg(feature = "local")]
    "local",
];

fn run(example: &str, args: &[&str]) -> Output {
    // This test is in `deps`, beside the folder `examples`.
    let mut program = std::env::current_exe().unwrap();
    program.pop();
    program.set_file_name("examples");
    program.push(format!("{example}{}", std::env::consts::EXE_SUFFIX));
    let run = Command::new(&program).args(args).output();
    run.unwrap_or_else(|error| panic!("{}: {error} (`cargo build --examples` builds it)", program.display()))
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The output of a run that must succeed.
#[track_caller]
fn printed(example: &str, args: &[&str]) -> String {
    let output = run(example, args);
    assert!(output.status.success(), "{example} {args:?}: {}\n{}", output.status, stderr(&output));
    assert_eq!(stderr(&output), "", "{example} {args:?}");
    stdout(&output)
}

/// The line on stderr of a run whose input is bad.
#[track_caller]
fn refused(example: &str, args: &[&str]) -> String {
    let output = run(example, args);
    assert_eq!(output.status.code(), Some(2), "{example} {args:?}");
    assert_eq!(stdout(&output), "", "{example} {args:?}");
    let line = stderr(&output);
    assert_eq!(line.lines().count(), 1, "{example} {args:?}: {line}");
    assert!(line.starts_with(&format!("{example}: ")), "{line}");
    line
}

/// What stands behind `name` in a line of its own.
#[track_caller]
fn value(table: &str, name: &str) -> String {
    let line = table.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in:\n{table}")).trim().to_owned()
}

fn number(table: &str, name: &str) -> u64 {
    value(table, name).parse().unwrap()
}

fn lines_with(text: &str, part: &str) -> usize {
    text.lines().filter(|line| line.contains(part)).count()
}

#[test]
fn every_program_helps() {
    for example in ["counters", "compare", "dumb_runtime", "nested", "pipeline", "task_runtime", "wc"] {
        let help = printed(example, &["--help"]);
        assert!(help.contains(&format!("Usage: {example}")), "{help}");
    }
}

#[cfg(all(feature = "local", feature = "time"))]
#[test]
fn frame_loop_runs_tasks_when_some_are_ready() {
    assert!(printed("frame_loop", &["--help"]).contains("Usage: frame_loop"));
    let text = printed("frame_loop", &[]);
    for step in 1..=3 {
        assert_eq!(lines_with(&text, &format!("the animation is at step {step}")), 1, "{text}");
    }
    assert_eq!(number(&text, "pixels"), 256);
    // The spawns, the picture, and the steps: some may coincide.
    assert!((4..=5).contains(&number(&text, "runs of tasks")), "{text}");
}

#[cfg(feature = "pool")]
#[test]
fn pinned_runs_each_worker_on_its_processor() {
    assert!(printed("pinned", &["--help"]).contains("Usage: pinned"));
    let text = printed("pinned", &[]);
    let [first, second] = [0, 1].map(|worker| value(&text, &format!("worker {worker} runs")));
    assert!(!cfg!(target_os = "linux") || first.starts_with("on processor "), "{text}");
    let are_two = std::thread::available_parallelism().is_ok_and(|processors| processors.get() > 1);
    assert!(!are_two || !cfg!(target_os = "linux") || first != second, "{text}");
    assert!(text.ends_with("the squares add up to 385\n"), "{text}");
}

#[test]
fn dumb_runtime_polls_once() {
    assert_eq!(printed("dumb_runtime", &[]), "polling future\nHello, world!\nfuture is ready\n");
    refused("dumb_runtime", &["more"]);
}

#[test]
fn nested_polls_once() {
    assert_eq!(printed("nested", &[]), "polling future\nHello, world! 42\nfuture is ready\n");
    refused("nested", &["--more"]);
}

#[cfg(feature = "threaded")]
#[test]
fn task_runtime_counts_to_10_and_to_23() {
    let text = printed("task_runtime", &[]);
    assert!(text.ends_with("res: 10\nres2: 23\n"), "{text}");
    for (line, times) in [
        ("polling future", 10 + 23),
        ("polled with current value: ", 10 + 23),
        ("polled with current value: 23", 1),
        ("future is ready", 2),
        ("async_fn 10", 1),
        ("async_fn2 23", 1),
    ] {
        assert_eq!(lines_with(&text, line), times, "{line}");
    }
}

#[cfg(not(feature = "threaded"))]
#[test]
fn task_runtime_says_what_it_needs() {
    assert!(refused("task_runtime", &[]).contains("--features threaded"));
}

#[cfg(not(any(feature = "pool", feature = "threaded", feature = "local")))]
#[test]
fn without_an_executor_the_examples_say_so() {
    for (example, args) in [("counters", &[][..]), ("compare", &[]), ("pipeline", &["Cargo.toml"]), ("wc", &["."])] {
        assert!(refused(example, args).contains("no executor is compiled in"));
    }
}

#[test]
fn counters_give_the_same_results_on_every_executor() {
    for executor in EXECUTORS {
        for (args, results, sum) in [
            (&[][..], 1_002, 33 + 100 * 1_000),
            (&["--tasks", "10", "--to", "7"], 12, 33 + 70),
            (&["--tasks", "3", "--to", "0"], 5, 33 + 3),
            (&["--tasks", "0"], 2, 33),
        ] {
            let table = printed("counters", &[&["--executor", executor], args].concat());
            assert_eq!(value(&table, "executor"), *executor);
            assert_eq!(number(&table, "async_fn"), 10);
            assert_eq!(number(&table, "async_fn2"), 23);
            assert_eq!(number(&table, "results"), results);
            assert_eq!(value(&table, "sum of results"), format!("{sum}, as it must be"));
            assert_eq!(number(&table, "polls"), sum);
            assert!(number(&table, "threads") > 0 && number(&table, "polls a second") > 0);
        }
    }
}

#[test]
fn counters_choose_the_first_executor_by_default() {
    if let Some(first) = EXECUTORS.first() {
        assert_eq!(value(&printed("counters", &["--tasks", "1"]), "executor"), *first);
    }
}

#[test]
fn verbose_counters_print_each_poll() {
    for executor in EXECUTORS {
        let text = printed("counters", &["--verbose", "--tasks", "2", "--to", "5", "--executor", executor]);
        let polls = 10 + 23 + 2 * 5;
        assert_eq!(lines_with(&text, "polling future"), polls);
        assert_eq!(lines_with(&text, "polled with current value: "), polls);
        assert_eq!(lines_with(&text, "polled with current value: 5"), 4);
        assert_eq!(lines_with(&text, "future is ready"), 4);
    }
}

/// What each thread did is as much as the Counters count.
#[cfg(feature = "observe")]
#[test]
fn the_text_has_each_poll() {
    for executor in EXECUTORS {
        let text = printed("counters", &["--text", "--tasks", "20", "--to", "5", "--executor", executor]);
        let polls = number(&text, "polls") as usize;
        assert_eq!(polls, 10 + 23 + 20 * 5);
        assert_eq!(lines_with(&text, " is polled for "), polls, "{text}");
        assert_eq!(lines_with(&text, "goes to the queue's end"), polls - 22);
        assert_eq!(lines_with(&text, ": it is ready"), 22);
        assert_eq!(lines_with(&text, " is spawned at "), 22);
        assert_eq!(lines_with(&text, " ends"), 22);
    }
}

#[cfg(not(feature = "observe"))]
#[test]
fn the_text_needs_a_feature() {
    if !EXECUTORS.is_empty() {
        assert!(refused("counters", &["--text"]).contains("--features observe"));
        assert!(refused("wc", &["--text", "."]).contains("--features observe"));
        assert!(refused("pipeline", &["--text", "Cargo.toml"]).contains("--features observe"));
    }
}

#[test]
fn counters_refuse_bad_input() {
    for args in [
        &["--tasks", "many"][..],
        &["--tasks", "-1"],
        &["--tasks"],
        &["--to", "1.5"],
        &["--to", "99999999999999999999"],
        &["--frobnicate"],
        &["--\n"],
        &["more"],
        &["--executor"],
        &["--executor", "two\nlines"],
    ] {
        refused("counters", args);
    }
    let unknown = refused("counters", &["--executor", "tokio"]);
    assert!(EXECUTORS.is_empty() || unknown.contains(&EXECUTORS.join(", ")), "{unknown}");
}

#[test]
fn compare_has_a_row_for_every_executor() {
    if EXECUTORS.is_empty() {
        return;
    }
    for (args, row) in [(&["--tasks", "20", "--to", "3"][..], ["20", "60", "60"]), (&["--tasks", "0"], ["0"; 3])] {
        let table = printed("compare", args);
        let rows: Vec<Vec<_>> = table.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows.iter().map(|row| row[0]).collect::<Vec<_>>(), EXECUTORS);
        assert!(rows.iter().all(|columns| columns[2..5] == row), "{table}");
    }
    refused("compare", &["--executor", "pool"]);
}

/// A folder that is empty and belongs to one test.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// More than a block, so that it is read with interruptions.
fn large() -> Vec<u8> {
    (0..1_000_000_u32).map(|n| b"abc de\n\xff"[(n.wrapping_mul(2_654_435_761) >> 29) as usize]).collect()
}

/// Lines, words and bytes.
fn plainly(text: &[u8]) -> [u64; 3] {
    let is_space = |byte: &u8| b" \t\n\x0b\x0c\r".contains(byte);
    let words = text.split(is_space).filter(|word| !word.is_empty()).count();
    [text.iter().filter(|byte| **byte == b'\n').count(), words, text.len()].map(|count| count as u64)
}

#[test]
fn wc_counts_every_file_once() {
    let folder = folder("wc_counts");
    let large = large();
    let texts: [(&str, &[u8]); 7] = [
        ("empty", b""),
        ("one", b"one line\n"),
        ("no-end", b"no newline at the end"),
        ("spaces", b" \t\x0b\x0c\r\n \n"),
        ("deep/er/binary", b"\0\x01 \xff\n\xfe"),
        ("deep/large", &large),
        ("with space and \u{e4}", b"x y z\n"),
    ];
    let mut sums = [0; 3];
    for (name, text) in texts {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        sums = std::array::from_fn(|i| sums[i] + plainly(text)[i]);
    }
    for executor in EXECUTORS {
        for in_flight in ["1", "3", "256"] {
            let args = ["--executor", executor, "--in-flight", in_flight, folder.to_str().unwrap()];
            let table = printed("wc", &args);
            assert_eq!(number(&table, "files"), texts.len() as u64);
            assert_eq!(["lines", "words", "bytes"].map(|name| number(&table, name)), sums);
            assert_eq!(number(&table, "unreadable"), 0);
        }
    }
}

#[test]
fn wc_of_an_empty_folder_is_nothing() {
    for executor in EXECUTORS {
        let table = printed("wc", &["--executor", executor, folder(&format!("wc_empty_{executor}")).to_str().unwrap()]);
        assert_eq!(["files", "lines", "words", "bytes", "unreadable"].map(|name| number(&table, name)), [0; 5]);
    }
}

#[cfg(unix)]
#[test]
fn wc_reports_what_it_cannot_read_and_counts_the_rest() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let folder = folder("wc_unreadable");
    fs::write(folder.join("first"), "1\n").unwrap();
    fs::create_dir(folder.join("sub")).unwrap();
    fs::write(folder.join("sub/last"), "2\n").unwrap();
    symlink("nowhere", folder.join("broken")).unwrap();
    symlink("loop", folder.join("loop")).unwrap();
    symlink("first", folder.join("link-to-a-file")).unwrap();
    symlink("..", folder.join("sub/link-to-a-folder")).unwrap();
    let locked = folder.join("locked");
    fs::write(&locked, "3\n").unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    // Root may read it nevertheless.
    let root = fs::read(&locked).is_ok();
    let (files, unreadable) = if root { (3, 2) } else { (2, 3) };
    for executor in EXECUTORS {
        let output = run("wc", &["--executor", executor, folder.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        let table = stdout(&output);
        assert_eq!(number(&table, "files"), files);
        assert_eq!(number(&table, "lines"), files);
        assert_eq!(number(&table, "unreadable"), unreadable);
        let reports = stderr(&output);
        assert_eq!(lines_with(&reports, "broken: broken link"), 1, "{reports}");
        assert_eq!(lines_with(&reports, "loop: broken link"), 1, "{reports}");
        assert_eq!(lines_with(&reports, "locked: "), usize::from(!root), "{reports}");
        assert_eq!(lines_with(&reports, &format!("{unreadable} could not be read")), 1, "{reports}");
    }
}

#[test]
fn wc_refuses_bad_input() {
    if EXECUTORS.is_empty() {
        return;
    }
    let folder = folder("wc_refuses");
    let file = folder.join("file");
    fs::write(&file, "").unwrap();
    let [folder, file] = [&folder, &file].map(|path| path.to_str().unwrap());
    let missing = format!("{folder}/missing");
    assert!(refused("wc", &[&missing]).contains(&missing));
    assert!(refused("wc", &[file]).contains("not a folder"));
    for args in [
        &[][..],
        &[folder, folder],
        &["--in-flight", "0", folder],
        &["--in-flight", "x", folder],
        &["--executor", "x", folder],
        &["--nope", folder],
    ] {
        refused("wc", args);
    }
}

#[test]
fn pipeline_factors_every_number_whatever_the_limit() {
    let file = folder("pipeline_factors").join("numbers");
    let numbers: String = (2..=1_000).map(|number| format!("{number}\n")).collect();
    fs::write(&file, numbers).unwrap();
    for executor in EXECUTORS {
        for in_flight in ["1", "3", "4000"] {
            let table =
                printed("pipeline", &["--executor", executor, "--in-flight", in_flight, file.to_str().unwrap()]);
            assert_eq!(["numbers", "primes", "prime factors"].map(|name| number(&table, name)), [999, 168, 2_877]);
        }
    }
}

/// The first number would take minutes.
#[test]
fn pipeline_ends_at_the_first_error() {
    let file = folder("pipeline_ends").join("numbers");
    fs::write(&file, "18446744073709551557\n6\nseven\n").unwrap();
    for executor in EXECUTORS {
        let output = run("pipeline", &["--executor", executor, "--in-flight", "3", file.to_str().unwrap()]);
        assert_eq!((output.status.code(), stdout(&output)), (Some(1), String::new()));
        assert_eq!(stderr(&output), "pipeline: line 3: \"seven\" is no such number\n");
    }
}

#[test]
fn pipeline_refuses_bad_input() {
    if EXECUTORS.is_empty() {
        return;
    }
    assert!(refused("pipeline", &["nowhere"]).contains("nowhere"));
    for args in [&[][..], &["--in-flight", "0", "Cargo.toml"], &["--executor", "x", "Cargo.toml"], &["a", "b"]] {
        refused("pipeline", args);
    }
}
