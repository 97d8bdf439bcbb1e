//! Where and with what it ran: the machine, the compiler, the commit, and the peers' versions.

use std::fs;
use std::process::Command;
use std::thread;

/// What this program was built with: the versions in here are those that run.
const LOCK: &str = include_str!("../Cargo.lock");

/// The compiler's own words, from the build script.
const RUSTC: &str = env!("BENCH_RUSTC");

/// The peers, as the report lists them.
const PEERS: [&str; 9] =
    ["tokio", "async-executor", "async-io", "async-net", "blocking", "futures", "futures-lite", "nexosim", "pollster"];

/// One line for each thing that the numbers depend on.
pub fn description() -> Vec<(&'static str, String)> {
    let cores = thread::available_parallelism().map_or("?".into(), |cores| cores.to_string());
    let mut lines = vec![
        ("machine", format!("{}, {cores} cores", processor().unwrap_or_else(|| "unknown processor".into()))),
        ("system", system()),
        ("compiler", RUSTC.into()),
    ];
    lines.extend(commit().map(|commit| ("polyexec", commit)));
    let peers = PEERS.map(|peer| format!("{peer} {}", version(peer).unwrap_or("?")));
    lines.push(("peers", peers.join(", ")));
    lines
}

/// The version of a package that this program was built with; none of what isn't in Cargo.lock.
pub fn version(package: &str) -> Option<&'static str> {
    version_in(LOCK, package)
}

fn version_in<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let packages = || lock.split("[[package]]");
    let field = |entry: &'a str, name: &str| {
        entry.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \"")?.strip_suffix('"'))
    };
    let mut versions =
        packages().filter(|entry| field(entry, "name") == Some(package)).filter_map(|entry| field(entry, "version"));
    match (versions.next(), versions.next()) {
        (one, None) => one,
        // Of several versions, this program's own dependency is the one that its entry names with a number.
        _ => packages().find(|entry| field(entry, "name") == Some(env!("CARGO_PKG_NAME")))?.lines().find_map(|line| {
            line.trim().strip_prefix('"')?.strip_prefix(package)?.strip_prefix(' ')?.strip_suffix("\",")
        }),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_has_a_version() {
        for peer in PEERS {
            assert!(version(peer).is_some(), "{peer}");
        }
    }

    #[test]
    fn of_two_versions_it_is_our_own() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n\n[[package]]\nname = \"a\"\nversion = \"2.0.0\"\n\n\
                    [[package]]\nname = \"polyexec-bench\"\nversion = \"0.0.0\"\ndependencies = [\n \"a 2.0.0\",\n]\n";
        assert_eq!(version_in(lock, "a"), Some("2.0.0"));
        assert_eq!(version_in(lock, "b"), None);
    }
}
