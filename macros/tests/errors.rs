//! The compiler's errors: their text, and the place they point at.
//!
//! Each file in `errors/` is compiled by itself. A comment below a line at fault has carets, and the message. The macros have
//! no dependency, so that two calls of `rustc` do it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

/// A message, and the line, column and width of what it points at.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    line: usize,
    column: usize,
    width: usize,
    message: String,
}

#[test]
fn they_point_at_what_is_wrong() {
    check("cases", &["pool"]);
}

#[test]
fn those_of_a_body_point_into_it() {
    check("bodies", &["pool"]);
}

#[test]
fn without_executors_all_of_them_is_an_error() {
    check("no_executor", &[]);
}

fn check(case: &str, features: &[&str]) {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(case);
    fs::create_dir_all(&out).unwrap();

    let mut macros = rustc(&out);
    macros.args(["--crate-type", "proc-macro", "--crate-name", "polyexec", "--extern", "proc_macro"]);
    macros.args(features.iter().map(|feature| format!("--cfg=feature=\"{feature}\"")));
    let built = run(macros.arg(package.join("src/lib.rs")));
    assert!(built.status.success(), "{}", stderr(&built));

    let source = package.join("tests/errors").join(case).with_extension("rs");
    let library = format!("polyexec={}", library(&out).display());
    let compiled = run(rustc(&out).args(["--test", "--emit", "metadata", "--extern", &library]).arg(&source));
    assert!(!compiled.status.success(), "{case} compiles");

    let (expected, found) = (expected(&fs::read_to_string(source).unwrap()), found(&stderr(&compiled)));
    assert!(!expected.is_empty(), "{case} expects errors");
    for finding in expected.symmetric_difference(&found) {
        let whose = if found.contains(finding) { "not expected" } else { "expected" };
        println!("{whose}: {case}.rs:{}:{} ({}) {}", finding.line, finding.column, finding.width, finding.message);
    }
    assert!(expected == found, "{}", stderr(&compiled));
}

fn rustc(out: &Path) -> Command {
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.args(["--edition", "2024", "--color", "never", "--out-dir"]).arg(out);
    rustc
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The macros as the compiler named them: `.so`, `.dylib` or `.dll`.
fn library(out: &Path) -> PathBuf {
    out.join(format!("{}polyexec{}", env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX))
}

/// What the comments in `source` say.
fn expected(source: &str) -> BTreeSet<Finding> {
    let lines = source.lines().zip(1..);
    let findings = lines.filter_map(|(text, line)| {
        let comment = text.trim_start().strip_prefix("//")?.trim_start();
        let (carets, message) = comment.split_once(' ').filter(|(carets, _)| carets.starts_with('^'))?;
        let column = text.find('^').expect("it has carets") + 1;
        Some(Finding { line: line - 1, column, width: carets.len(), message: message.to_owned() })
    });
    findings.collect()
}

/// What the compiler wrote: `error: message`, `--> file:line:column`, and carets below the source.
fn found(output: &str) -> BTreeSet<Finding> {
    let mut findings = BTreeSet::new();
    let mut lines = output.lines();
    while let Some(text) = lines.next() {
        let Some((_, message)) = text.split_once(": ").filter(|(kind, _)| kind.starts_with("error")) else { continue };
        let Some((_, place)) = lines.next().and_then(|arrow| arrow.split_once("--> ")) else { continue };
        let mut numbers = place.rsplit(':').map(|number| number.parse().expect("a number"));
        let (column, line) = (numbers.next().unwrap(), numbers.next().unwrap());
        let carets = lines.find(|line| line.contains('^')).expect("the compiler points at something");
        let width = carets.matches('^').count();
        findings.insert(Finding { line, column, width, message: message.to_owned() });
    }
    findings
}
