//! Helpers for any streams of bytes that `futures-lite` and `futures` don't have. They depend on no executor and on no driver.
//!
//! `read_exact`, `write_all`, `lines`, `copy`, `split` and so on are in the extension traits and modules of `futures` and
//! `futures-lite`.

pub use copy::{copy_bidirectional, copy_bidirectional_with_sizes};
pub use duplex::{DuplexStream, duplex};
pub use join::{Join, join};

mod copy;
mod duplex;
mod join;
