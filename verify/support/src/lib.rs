//! What the bench and the soak share: numbers in arguments, tables, a progress line, and a description of the machine.
//! Measures nothing.

#![forbid(unsafe_code)]

pub mod args;
pub mod machine;
mod progress;
mod table;

pub use progress::Progress;
pub use table::{Table, thousands};
