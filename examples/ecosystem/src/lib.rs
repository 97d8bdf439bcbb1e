//! What the programs of this package share with their twins on tokio. The programs are its binaries; README.md lists them.

pub mod greeter;
pub mod https;
