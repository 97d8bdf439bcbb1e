//! A queue on the main thread.

use polyexec::{Handle, Local};

use super::{Choice, Running};

pub(super) const CHOICE: Choice = Choice {
    name: "local",
    start: |observer| {
        let local = match observer {
            Some(observer) => Local::builder().observer(observer).build(),
            None => Local::new(),
        };
        Ok(Running { handle: Handle::new(local.handle()), threads: Box::new(|| 1), _owner: Box::new(local) })
    },
};
