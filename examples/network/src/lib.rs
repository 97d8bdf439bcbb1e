//! What these servers share: they explain why they can't listen, and stop on a signal. Speaks no protocol, and parses no
//! options.

#![forbid(unsafe_code)]

pub use listen::{ListenError, listen};
pub use stop::on_signal;

mod listen;
mod stop;

/// The programs in the README, as tests.
#[cfg(all(doctest, feature = "pool", feature = "threaded", feature = "local"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// Those in the README of the whole, which need what only this package needs.
#[cfg(all(doctest, feature = "pool", feature = "threaded", feature = "local"))]
#[doc = include_str!("../../../README.md")]
struct ReadmeOfAll;
