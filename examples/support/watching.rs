//! The options that show what the executor did: `--text`. They need the feature `observe`.

#![allow(dead_code, reason = "each example uses its part of this")]

use std::sync::Arc;

use polyexec::observe::Observer;

use super::cli::Failure;

/// What the user wants to see.
#[derive(Default)]
pub(crate) struct Watching {
    #[cfg(feature = "observe")]
    text: Option<polyexec::observe::Timeline>,
}

#[cfg(feature = "observe")]
impl Watching {
    /// `--text`.
    pub(crate) fn text(&mut self) -> Result<(), Failure> {
        self.text = Some(polyexec::observe::Timeline::new());
        Ok(())
    }

    /// For the executor, before it starts.
    pub(crate) fn observer(&self) -> Option<Arc<dyn Observer>> {
        self.text.clone().map(|timeline| Arc::new(timeline) as _)
    }

    /// Prints what the user wants to see. Call it when the executor has shut down.
    pub(crate) fn report(&self) {
        if let Some(timeline) = &self.text {
            super::cli::say(format_args!("\n{}", timeline.snapshot().to_string().trim_end()));
        }
    }
}

#[cfg(not(feature = "observe"))]
impl Watching {
    pub(crate) fn text(&mut self) -> Result<(), Failure> {
        Err(Failure::usage("--text needs a build with `--features observe`"))
    }

    pub(crate) fn observer(&self) -> Option<Arc<dyn Observer>> {
        None
    }

    pub(crate) fn report(&self) {}
}
