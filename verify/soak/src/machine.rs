//! Where and with what it ran: the machine, the compiler, the commit.

use std::fs;
use std::process::Command;
use std::thread;

/// The compiler's own words, from the build script.
const RUSTC: &str = env!("SOAK_RUSTC");

/// One line for each thing that the run depends on.
pub(crate) fn description() -> Vec<(&'static str, String)> {
    let cores = thread::available_parallelism().map_or("?".into(), |cores| cores.to_string());
    let mut lines = vec![
        ("machine", format!("{}, {cores} cores", processor().unwrap_or_else(|| "unknown processor".into()))),
        ("system", system()),
        ("compiler", RUSTC.into()),
    ];
    lines.extend(commit().map(|commit| ("polyexec", commit)));
    lines
}

fn processor() -> Option<String> {
    let info = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().into())
}

fn system() -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{} {} {}", std::env::consts::OS, kernel.trim(), std::env::consts::ARCH).replace("  ", " ")
}

/// The library's commit, with a mark if it was changed since.
fn commit() -> Option<String> {
    let out = Command::new("git")
        .args(["describe", "--always", "--dirty=, with changes", "--exclude=*"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .ok()?;
    let commit = String::from_utf8(out.stdout).ok()?;
    (out.status.success() && !commit.trim().is_empty()).then(|| format!("commit {}", commit.trim()))
}
