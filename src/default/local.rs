//! Starts a single-threaded queue as the default executor, on a background thread: so tasks make progress whatever the thread
//! does that spawned them.

use std::future::pending;
use std::sync::mpsc;
use std::{io, thread};

use polyexec_local::{Local, LocalHandle};

pub(super) fn start() -> io::Result<LocalHandle> {
    let (give, take) = mpsc::sync_channel(1);
    thread::Builder::new().name("local".to_owned()).spawn(move || {
        let local = Local::new();
        if give.send(local.handle()).is_ok() {
            local.block_on(pending::<()>());
        }
    })?;
    take.recv().map_err(|_| io::Error::other("the default executor's thread ended before it began"))
}
