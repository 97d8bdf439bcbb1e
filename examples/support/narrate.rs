//! Prints the polls of a future, in the article's words.

#![allow(dead_code, reason = "each example uses its part of this")]

use polyexec_futures::{Moment, watch};

use super::cli::say;

/// Runs `future`, and prints each of its polls.
pub(crate) async fn narrate<F: Future>(future: F) -> F::Output {
    watch(future, |moment| match moment {
        Moment::Polling => say("polling future"),
        Moment::Pending => {}
        Moment::Ready => say("future is ready"),
    })
    .await
}

/// An observer that prints the value of a Counter.
pub(crate) fn narrate_value(value: u64) {
    say(format_args!("polled with current value: {value}"));
}
