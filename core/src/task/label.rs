//! The place that spawned a task, and its name if it has one. Only the cells of named tasks have room for a name.

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
