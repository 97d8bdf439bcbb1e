//! Starts a thread per task as the default executor. Its threads come with the tasks.

use std::io;

pub(super) use polyexec_threaded::{Threaded as Owner, ThreadedHandle as Handle};

pub(super) fn start() -> io::Result<Handle> {
    let threaded = Owner::builder().build()?;
    let handle = threaded.handle();
    // The process's, for good.
    std::mem::forget(threaded);
    Ok(handle)
}
