//! Starts a pool as the default executor.

use std::io;

pub(super) use polyexec_pool::{Pool as Owner, PoolHandle as Handle};

pub(super) fn start() -> io::Result<Handle> {
    let pool = Owner::new()?;
    let handle = pool.handle();
    // The process's, for good.
    std::mem::forget(pool);
    Ok(handle)
}
