//! Tells the program which compiler made it: counts of different ones don't compare.

use std::env;
use std::error::Error;
use std::process::Command;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let version = Command::new(env::var("RUSTC")?).arg("--version").output()?;
    println!("cargo::rustc-env=COMPILER={}, {}", String::from_utf8(version.stdout)?.trim(), env::var("TARGET")?);
    Ok(())
}
