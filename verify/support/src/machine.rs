//! Describes where and with what a tool ran, since figures compare only within that.

use std::fs;
use std::process::Command;
use std::thread;

/// One line each for the machine, the system, the compiler, and polyexec's commit.
pub fn description() -> Vec<(&'static str, String)> {
    let cores = thread::available_parallelism().map_or("?".into(), |cores| cores.to_string());
    let mut lines = vec![
        ("machine", format!("{}, {cores} cores", processor().unwrap_or_else(|| "unknown processor".into()))),
        ("system", system()),
        ("compiler", env!("COMPILER").into()),
    ];
    lines.extend(commit().map(|commit| ("polyexec", commit)));
    lines
}

/// The version of `dependency` that `package` is built with, according to a `Cargo.lock`.
pub fn version_in<'a>(lock: &'a str, package: &str, dependency: &str) -> Option<&'a str> {
    let packages = || lock.split("[[package]]");
    let field = |entry: &'a str, name: &str| {
        entry.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \"")?.strip_suffix('"'))
    };
    let mut versions =
        packages().filter(|entry| field(entry, "name") == Some(dependency)).filter_map(|entry| field(entry, "version"));
    match (versions.next(), versions.next()) {
        (one, None) => one,
        // If the lock has several versions, the package's entry names its own.
        _ => packages().find(|entry| field(entry, "name") == Some(package))?.lines().find_map(|line| {
            line.trim().strip_prefix('"')?.strip_prefix(dependency)?.strip_prefix(' ')?.strip_suffix("\",")
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

/// The commit, marked if the tree has changed since.
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
    fn of_two_versions_the_package_has_its_own() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n\n[[package]]\nname = \"a\"\nversion = \"2.0.0\"\n\n\
                    [[package]]\nname = \"tool\"\nversion = \"0.0.0\"\ndependencies = [\n \"a 2.0.0\",\n]\n";
        assert_eq!(version_in(lock, "tool", "a"), Some("2.0.0"));
        assert_eq!(version_in(lock, "tool", "b"), None);
    }
}
