//! A task, as people call it.

use std::fmt;

/// An id, and a name if there is one. A name is text of the user's, so what would end the line is escaped.
pub(crate) struct Name<'a>(pub(crate) u64, pub(crate) Option<&'a str>);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(id, name) = self;
        match name {
            Some(name) => write!(f, "task {id} `{}`", name.escape_debug()),
            None => write!(f, "task {id}"),
        }
    }
}
