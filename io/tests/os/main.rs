//! What the operating system has beside sockets and timers: blocking calls, signals, processes, standard streams. And copies.
#![cfg(unix)]

mod blocking;
mod copies;
#[cfg(target_os = "linux")]
mod processes;
mod signals;
mod standard_streams;

/// An environment variable: the test for which a process was started.
const CHILD: &str = "POLYEXEC_TEST_OS";

/// Runs the calling `test` again in a process of its own.
fn alone(test: &str, body: impl FnOnce()) {
    const DONE: &str = "the test has run in a process of its own";
    if std::env::var_os(CHILD).is_some() {
        body();
        println!("{DONE}");
        return;
    }
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    let output = command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(CHILD, test).output().unwrap();
    let told = [output.stdout, output.stderr].map(|told| String::from_utf8_lossy(&told).into_owned()).concat();
    assert!(output.status.success() && told.contains(DONE), "{told}");
}
