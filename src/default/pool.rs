//! Starts a pool as the default executor.

use std::io;

use polyexec_pool::{Pool, PoolHandle};

pub(super) fn start() -> io::Result<PoolHandle> {
    let pool = Pool::new()?;
    let handle = pool.handle();
    // The process's, for good.
    std::mem::forget(pool);
    Ok(handle)
}
