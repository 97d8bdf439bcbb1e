//! A thread per task; threads are reused.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use polyexec::{Handle, Threaded};

use super::{Choice, Running};

pub(super) const CHOICE: Choice = Choice {
    name: "threaded",
    start: |observer| {
        let started = Arc::new(AtomicUsize::new(0));
        let one_more = {
            let started = started.clone();
            move || {
                started.fetch_add(1, Relaxed);
            }
        };
        let builder = Threaded::builder().on_thread_start(one_more);
        let threaded = match observer {
            Some(observer) => builder.observer(observer).build()?,
            None => builder.build()?,
        };
        Ok(Running {
            handle: Handle::new(threaded.handle()),
            threads: Box::new(move || started.load(Relaxed)),
            _owner: Box::new(threaded),
        })
    },
};
