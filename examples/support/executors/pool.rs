//! A work-stealing pool with a worker per core.

use polyexec::{Handle, Pool};

use super::{Choice, Running};

pub(super) const CHOICE: Choice = Choice {
    name: "pool",
    start: |observer| {
        let pool = match observer {
            Some(observer) => Pool::builder().observer(observer).build()?,
            None => Pool::new()?,
        };
        let workers = pool.worker_threads();
        Ok(Running { handle: Handle::new(pool.handle()), threads: Box::new(move || workers), _owner: Box::new(pool) })
    },
};
