//! What the programs of this package share with their twins on tokio. The programs are its binaries; README.md lists them.

pub mod greeter;
pub mod https;

/// The examples of the page on `select!` and `join!`.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/select-and-join.md")]
mod select_and_join {}
