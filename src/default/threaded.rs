//! Starts a thread per task as the default executor. Its threads come with the tasks.

use std::io;

use polyexec_threaded::{Threaded, ThreadedHandle};

pub(super) fn start() -> io::Result<ThreadedHandle> {
    let threaded = Threaded::builder().build()?;
    let handle = threaded.handle();
    // The process's, for good.
    std::mem::forget(threaded);
    Ok(handle)
}
