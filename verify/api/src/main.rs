//! Lists the public API of each published package, and compares it with the committed list, `verify/api/PACKAGE.txt`.
//!
//!     cargo run --manifest-path verify/api/Cargo.toml              # fails and shows the difference
//!     cargo run --manifest-path verify/api/Cargo.toml -- --bless   # writes the lists
//!
//! rustdoc's JSON is unstable, so `RUSTC_BOOTSTRAP` is set for it. A toolchain whose JSON can't be read is skipped aloud.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

use public_api::PublicItem;

const PACKAGES: &[&str] = &[
    "polyexec",
    "polyexec-conformance",
    "polyexec-core",
    "polyexec-futures",
    "polyexec-io",
    "polyexec-local",
    "polyexec-observe",
    "polyexec-pool",
    "polyexec-smol",
    "polyexec-threaded",
    "polyexec-threads",
    "polyexec-tokio",
];

fn main() -> ExitCode {
    let bless = match env::args().nth(1).as_deref() {
        None => false,
        Some("--bless") => true,
        Some(other) => {
            eprintln!("what is {other}? There is --bless");
            return ExitCode::from(2);
        }
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = folder.parent().and_then(Path::parent).expect("the workspace's root");
    let mut changed = 0;
    for package in PACKAGES {
        let items = match list(root, package) {
            Ok(items) => items,
            Err(why) => {
                println!("SKIPPED: the API of {package} can't be listed with this toolchain: {why}");
                return ExitCode::SUCCESS;
            }
        };
        let path = folder.join(package).with_extension("txt");
        if bless {
            fs::write(&path, items.join("\n") + "\n").expect("the list can be written");
            println!("{package}: {} items written", items.len());
            continue;
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        let differences = compare(&committed, &items);
        println!("{package}: {} items, {} differences", items.len(), differences.len());
        differences.iter().for_each(|line| println!("    {line}"));
        changed += differences.len();
    }
    if changed == 0 {
        return ExitCode::SUCCESS;
    }
    eprintln!(
        "the public API isn't as committed; if that is meant: cargo run --manifest-path verify/api/Cargo.toml -- --bless"
    );
    ExitCode::FAILURE
}

/// The package's public items with all features, a line each, sorted.
fn list(root: &Path, package: &str) -> Result<Vec<String>, String> {
    let json = document(root, package)?;
    let api = public_api::Builder::from_rustdoc_json(json)
        .omit_auto_derived_impls(true)
        .omit_auto_trait_impls(true)
        .omit_blanket_impls(true)
        .build()
        .map_err(|error| error.to_string())?;
    // The functions of a trait's implementation are those of the trait.
    let (functions, others): (Vec<_>, Vec<_>) = api.items().partition(|item| item.to_string().contains(" fn "));
    let of_traits = others.iter().filter(|item| is_of_trait(&item.to_string())).map(|item| item.id());
    let of_traits: HashSet<_> = of_traits.collect();
    let is_own = |item: &&PublicItem| item.parent_id().is_none_or(|parent| !of_traits.contains(&parent));
    let functions = functions.into_iter().filter(is_own);
    let mut items: Vec<_> = others.iter().copied().chain(functions).map(ToString::to_string).collect();
    items.sort();
    items.dedup();
    Ok(items)
}

/// Whether an item is the implementation of a trait.
fn is_of_trait(item: &str) -> bool {
    item.starts_with("impl") && item.contains(" for ")
}

/// Where rustdoc has put the package's JSON.
fn document(root: &Path, package: &str) -> Result<PathBuf, String> {
    let target = root.join("target/api");
    let output = Command::new("cargo")
        .args(["rustdoc", "--quiet", "--package", package, "--lib", "--all-features", "--target-dir"])
        .arg(&target)
        .args(["--", "-Zunstable-options", "--output-format", "json", "--cap-lints", "allow"])
        .env("RUSTC_BOOTSTRAP", "1")
        .current_dir(root)
        .output()
        .map_err(|error| format!("cargo can't be run: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    Ok(target.join("doc").join(package.replace('-', "_")).with_extension("json"))
}

/// What was added and removed.
fn compare(committed: &str, items: &[String]) -> Vec<String> {
    let committed: BTreeSet<_> = committed.lines().collect();
    let items: BTreeSet<_> = items.iter().map(String::as_str).collect();
    let removed = committed.difference(&items).map(|item| format!("- {item}"));
    removed.chain(items.difference(&committed).map(|item| format!("+ {item}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_and_removed_is_told() {
        let items = ["b", "c"].map(String::from);
        assert_eq!(compare("a\nb\n", &items), ["- a", "+ c"]);
        assert!(compare("b\nc\n", &items).is_empty());
    }
}
