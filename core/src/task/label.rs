//! What a task is called in errors: the place that spawned it, and a name if it was given one. A name makes the cell
//! larger, so only the cells of named tasks have room for it.

use alloc::boxed::Box;
use core::panic::Location;

pub(crate) trait Label: Send + Sync + 'static {
    fn location(&self) -> &'static Location<'static>;
    fn name(&self) -> Option<&str>;
}

impl Label for &'static Location<'static> {
    fn location(&self) -> &'static Location<'static> {
        self
    }

    fn name(&self) -> Option<&str> {
        None
    }
}

pub(crate) struct Named {
    pub(crate) location: &'static Location<'static>,
    pub(crate) name: Box<str>,
}

impl Label for Named {
    fn location(&self) -> &'static Location<'static> {
        self.location
    }

    fn name(&self) -> Option<&str> {
        Some(&self.name)
    }
}
