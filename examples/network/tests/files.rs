//! Runs the program `files` as a process: its counts, and its reports of unreadable files.

#![cfg(unix)]

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use support::{fails, on_every_executor, run};

const FILES: &str = env!("CARGO_BIN_EXE_files");

on_every_executor! {
    counts_what_is_there
    says_what_it_cannot_read
}

/// The value of the line `name`.
#[track_caller]
fn number(table: &str, name: &str) -> usize {
    let line = table.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in:\n{table}")).trim().parse().unwrap()
}

/// Makes a folder of many small files and a large one. Returns its lines, words and bytes.
fn fill(folder: &Path) -> (usize, usize, usize) {
    let (mut lines, mut words, mut bytes) = (0, 0, 0);
    let mut write = |path: &str, text: String| {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        lines += text.matches('\n').count();
        words += text.split_ascii_whitespace().count();
        bytes += text.len();
        fs::write(path, text).unwrap();
    };
    write("empty", String::new());
    write("large", "some words in a line\n".repeat(200_000));
    for n in 0..300 {
        write(&format!("{}/{n}.txt", n % 7), format!("file {n}\n").repeat(n));
    }
    (lines, words, bytes)
}

fn counts_what_is_there(executor: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (lines, words, bytes) = fill(folder.path());
    symlink("large", folder.path().join("link")).unwrap();
    symlink(".", folder.path().join("around")).unwrap();
    assert!(Command::new("mkfifo").arg(folder.path().join("pipe")).status().unwrap().success());
    for in_flight in ["1", "64"] {
        let path = folder.path().to_str().unwrap();
        let output = run(FILES, &["--executor", executor, "--in-flight", in_flight, path]);
        assert!(output.status.success(), "{output:?}");
        let table = String::from_utf8(output.stdout).unwrap();
        assert!(table.contains(&format!("executor        {executor}\n")), "{table}");
        assert_eq!(number(&table, "files"), 302);
        assert_eq!(number(&table, "lines"), lines);
        assert_eq!(number(&table, "words"), words);
        assert_eq!(number(&table, "bytes"), bytes);
        assert_eq!(number(&table, "unreadable"), 0);
    }
}

fn says_what_it_cannot_read(executor: &str) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("good"), "two words\n").unwrap();
    symlink("nowhere", folder.path().join("bad")).unwrap();
    let output = run(FILES, &["--executor", executor, folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let table = String::from_utf8(output.stdout).unwrap();
    assert_eq!((number(&table, "files"), number(&table, "words"), number(&table, "unreadable")), (1, 2, 1));
    let reported = String::from_utf8(output.stderr).unwrap();
    assert!(reported.lines().next().unwrap().contains("bad: broken link: "), "{reported}");
    assert!(reported.ends_with("files: 1 could not be read, all else is counted\n"), "{reported}");
}

#[test]
fn bad_input_is_refused() {
    assert!(fails(FILES, &[], 2).contains("which folder?"));
    assert!(fails(FILES, &["/no/such/folder"], 2).contains("/no/such/folder: "));
    assert!(fails(FILES, &[FILES], 2).contains(": "));
    assert!(fails(FILES, &["--in-flight", "0", "."], 2).contains("--in-flight"));
    assert!(fails(FILES, &["--executor", "none", "."], 2).contains("no executor \"none\""));
    assert!(run(FILES, &["--help"]).status.success());
}
