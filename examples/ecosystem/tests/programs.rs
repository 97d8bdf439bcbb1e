//! Runs each program on every executor, and its twin on tokio. All print the same.

use std::path::Path;
use std::process::{Command, Stdio};

const EXECUTORS: [&str; 3] = ["pool", "threaded", "local"];

/// Generates a test for each program.
macro_rules! programs {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            polyexec_conformance::watched!();
            same_output(
                env!(concat!("CARGO_BIN_EXE_", stringify!($name))),
                env!(concat!("CARGO_BIN_EXE_", stringify!($name), "_on_tokio")),
            );
        }
    )*};
}

programs! { axum_hyper axum_serve grpc https_client proxy sqlite tls_echo websocket }

fn same_output(program: &str, on_tokio: &str) {
    let expected = output(Command::new(on_tokio));
    assert!(!expected.is_empty(), "{on_tokio} prints nothing");
    for executor in EXECUTORS {
        let mut command = Command::new(program);
        command.env("POLYEXEC_EXECUTOR", executor);
        assert_eq!(output(command), expected, "{program} on {executor} (left) and on tokio (right)");
    }
}

fn output(mut command: Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (told, complaints) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{told}{complaints}", output.status);
    told.into_owned()
}

/// The lines of code of a file.
fn lines(file: &Path) -> usize {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}

#[test]
fn the_readmes_table_is_true() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut programs: Vec<_> = std::fs::read_dir(here.join("src/bin"))
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|file| {
            let lines = ["bin", "on_tokio"].map(|folder| lines(&here.join("src").join(folder).join(&file)).to_string());
            let name = file.trim_end_matches(".rs");
            (format!("[`{name}`](src/bin/{name}.rs)"), lines)
        })
        .collect();
    programs.sort();
    let readme = std::fs::read_to_string(here.join("README.md")).unwrap();
    let row = |line: &str| {
        let [_, name, _, ours, tokios, _] = &line.split('|').map(str::trim).collect::<Vec<_>>()[..] else {
            return None;
        };
        name.starts_with('[').then(|| ((*name).to_owned(), [*ours, *tokios].map(str::to_owned)))
    };
    let mut table: Vec<_> = readme.lines().filter_map(row).collect();
    table.sort();
    assert_eq!(table, programs, "the table of README.md (left), and the lines of the sources (right)");
}
