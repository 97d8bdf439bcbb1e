//! What the programs' command lines share, with each other and with the facade's examples.

#![allow(dead_code, reason = "each program uses its part of this")]

use std::time::Duration;

use lexopt::Parser;

use cli::Failure;

#[path = "../../support/cli.rs"]
pub(crate) mod cli;
#[path = "../../support/executors/mod.rs"]
pub(crate) mod executors;

/// A year of seconds: more is a mistake.
const FOREVER: f64 = 365.0 * 24.0 * 3600.0;

/// There is no option called `name`.
pub(crate) fn unknown(name: &str) -> Failure {
    Failure::usage(format_args!("invalid option '--{name}' (see --help)"))
}

/// The value of an option, a text.
pub(crate) fn text(parser: &mut Parser) -> Result<String, Failure> {
    let value = parser.value()?;
    value.into_string().map_err(|value| Failure::usage(format_args!("{value:?} is no text")))
}

/// The value of `option`, a time in seconds, with a fraction or without.
pub(crate) fn seconds(parser: &mut Parser, option: &str) -> Result<Duration, Failure> {
    let value = parser.value()?;
    let seconds = value.to_str().and_then(|value| value.parse::<f64>().ok());
    match seconds.filter(|seconds| (0.0..=FOREVER).contains(seconds)) {
        Some(seconds) => Ok(Duration::from_secs_f64(seconds)),
        None => Err(Failure::usage(format_args!("{option} takes a number of seconds, up to a year, not {value:?}"))),
    }
}
