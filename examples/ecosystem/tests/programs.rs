//! Runs each program on every executor, and its twin on tokio. All print the same.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use redis_server::RedisServer;

#[path = "programs/redis_server.rs"]
mod redis_server;

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
                &[],
            );
        }
    )*};
}

programs! { axum_hyper axum_serve child grpc https_client pipeline proxy sqlite tls_echo websocket }

/// An example of the facade's, on `Local` alone. How many frames there are depends on the machine.
#[test]
fn frame_loop() {
    polyexec_conformance::watched!();
    let programs = [env!("CARGO_BIN_EXE_frame_loop"), env!("CARGO_BIN_EXE_frame_loop_on_tokio")];
    let [ours, tokios] = programs.map(|program| {
        let output = output(Command::new(program));
        let (same, _) = output.split_once("\nframes ").unwrap_or_else(|| panic!("{program}: {output}"));
        same.to_owned()
    });
    assert_eq!(ours, tokios);
}

#[test]
fn redis_client() {
    polyexec_conformance::watched!();
    let Some(server) = RedisServer::start() else { return };
    let programs = [env!("CARGO_BIN_EXE_redis_client"), env!("CARGO_BIN_EXE_redis_client_on_tokio")];
    same_output(programs[0], programs[1], &[&server.url()]);
}

fn same_output(program: &str, on_tokio: &str, args: &[&str]) {
    let mut command = Command::new(on_tokio);
    command.args(args);
    let expected = output(command);
    assert!(!expected.is_empty(), "{on_tokio} prints nothing");
    for executor in EXECUTORS {
        let mut command = Command::new(program);
        command.args(args).env("POLYEXEC_EXECUTOR", executor);
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

/// A row of README's table: the program, where it is, and the lines of it and of its twin.
type Row<'a> = [&'a str; 4];

fn row(line: &str) -> Option<Row<'_>> {
    let [_, link, _, ours, tokios, _] = line.split('|').map(str::trim).collect::<Vec<_>>()[..] else { return None };
    let (name, path) = link.strip_prefix("[`")?.strip_suffix(')')?.split_once("`](")?;
    Some([name, path, ours, tokios])
}

#[test]
fn the_readmes_table_is_true() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(here.join("README.md")).unwrap();
    let table: Vec<_> = readme.lines().filter_map(row).collect();
    for [name, path, ours, tokios] in &table {
        let counted = [here.join(path), twin(name)].map(|file| lines(&file).to_string());
        assert_eq!([*ours, *tokios], counted, "the lines of {name} in README.md (left), and in the sources (right)");
    }
    let mut twins: Vec<_> =
        std::fs::read_dir(here.join("src/on_tokio")).unwrap().map(|twin| twin.unwrap().path()).collect();
    twins.sort();
    assert_eq!(
        table.iter().map(|[name, ..]| twin(name)).collect::<Vec<_>>(),
        twins,
        "README.md has a row for each twin"
    );
}

fn twin(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/on_tokio").join(name).with_extension("rs")
}
