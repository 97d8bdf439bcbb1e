//! A queue on the main thread.

use polyexec::{Handle, Local};

use super::{Choice, Running};

pub(super) const CHOICE: Choice = Choice {
    name: "local",
    start: || {
        let local = Local::new();
        Ok(Running { handle: Handle::new(local.handle()), threads: Box::new(|| 1), _owner: Box::new(local) })
    },
};
