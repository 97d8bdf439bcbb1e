//! Starts a single-threaded queue as the default executor: on a thread of its own, so that tasks make progress whatever
//! the thread that spawned them does.

use std::future::pending;
use std::sync::mpsc;
use std::{io, thread};

pub(super) use polyexec_local::{Local as Owner, LocalHandle as Handle};

pub(super) fn start() -> io::Result<Handle> {
    let (give, take) = mpsc::sync_channel(1);
    thread::Builder::new().name("local".to_owned()).spawn(move || {
        let local = Owner::new();
        if give.send(local.handle()).is_ok() {
            local.block_on(pending::<()>());
        }
    })?;
    take.recv().map_err(|_| io::Error::other("the thread of the default executor ended before it began"))
}
