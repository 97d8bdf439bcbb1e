//! Programs on polyexec and well-known libraries. They are the binaries of this package; README.md lists them.

/// The examples of the page on `select!` and `join!`.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/select-and-join.md")]
mod select_and_join {}
