//! The compiled-in executors, each in a module behind its feature, and the choice among them by name.

#![allow(dead_code, reason = "each example uses its part of this")]

use std::any::Any;
use std::io;
use std::sync::Arc;

use polyexec::Handle;
use polyexec::observe::Observer;

use super::cli::Failure;

#[cfg(feature = "local")]
mod local;
#[cfg(feature = "pool")]
mod pool;
#[cfg(feature = "threaded")]
mod threaded;

/// All of them, in the facade's order of precedence: the first one is the default.
pub(crate) const COMPILED_IN: &[Choice] = &[
    #[cfg(feature = "pool")]
    pool::CHOICE,
    #[cfg(feature = "threaded")]
    threaded::CHOICE,
    #[cfg(feature = "local")]
    local::CHOICE,
];

/// An executor that may be started.
#[derive(Debug)]
pub(crate) struct Choice {
    /// Its name for `--executor`.
    pub(crate) name: &'static str,
    start: fn(Option<Arc<dyn Observer>>) -> io::Result<Running>,
}

impl Choice {
    pub(crate) fn start(&self) -> Result<Running, Failure> {
        self.start_observed(None)
    }

    pub(crate) fn start_observed(&self, observer: Option<Arc<dyn Observer>>) -> Result<Running, Failure> {
        (self.start)(observer)
            .map_err(|error| Failure::failed(format_args!("can't start the executor {}: {error}", self.name)))
    }
}

/// A running executor. Dropping it shuts it down.
pub(crate) struct Running {
    pub(crate) handle: Handle,
    threads: Box<dyn Fn() -> usize>,
    _owner: Box<dyn Any>,
}

impl Running {
    /// The number of threads that have run tasks so far.
    pub(crate) fn threads(&self) -> usize {
        (self.threads)()
    }
}

/// The executor called `name`, or the default one.
pub(crate) fn choose(name: Option<&str>) -> Result<&'static Choice, Failure> {
    let default = default()?;
    let Some(name) = name else { return Ok(default) };
    COMPILED_IN.iter().find(|choice| choice.name == name).ok_or_else(|| {
        let names: Vec<_> = COMPILED_IN.iter().map(|choice| choice.name).collect();
        Failure::usage(format_args!("there is no executor {name:?}; compiled in: {}", names.join(", ")))
    })
}

/// The first compiled-in executor.
pub(crate) fn default() -> Result<&'static Choice, Failure> {
    COMPILED_IN.first().ok_or_else(|| {
        Failure::usage("no executor is compiled in; build with `--features pool`, `threaded` or `local`")
    })
}
