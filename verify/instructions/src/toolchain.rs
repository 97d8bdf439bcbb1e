//! What made the program and what it calls: counts compare only where that is the same.

use std::fmt;
use std::process::Command;

/// A compiler, the target it compiled for, and the C library, whose `malloc` is in the counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Toolchain(String);

impl Toolchain {
    /// The one of this program.
    pub(crate) fn here() -> Self {
        let asked = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
        let version = asked.ok().filter(|output| output.status.success());
        let libc = version.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        Self(format!("{}, {}", env!("COMPILER"), libc.as_deref().unwrap_or("an unknown libc")))
    }
}

impl From<&str> for Toolchain {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
