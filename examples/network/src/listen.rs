//! Starts to listen, or explains why it can't. Accepts nothing.

use std::error::Error;
use std::fmt;
use std::io;

use polyexec::net::{self, TcpListener};

/// Why a server can't listen.
#[derive(Debug)]
pub struct ListenError {
    address: String,
    unknown: bool,
    error: io::Error,
}

impl ListenError {
    /// The address is malformed, or unknown. Otherwise it is valid but not available, such as a port in use.
    pub fn is_unknown(&self) -> bool {
        self.unknown
    }
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, unknown, error } = self;
        match unknown {
            true => write!(f, "there is no address {address:?}: {error}"),
            false => write!(f, "can't listen on {address}: {error}"),
        }
    }
}

/// Its text includes the cause, so it has no source.
impl Error for ListenError {}

/// Listens on `address`, of the form host:port. Port 0 is a free one.
///
/// # Errors
///
/// If the address doesn't exist, or isn't available.
pub async fn listen(address: &str) -> Result<TcpListener, ListenError> {
    let error = |unknown, error| ListenError { address: address.to_owned(), unknown, error };
    let addresses = net::resolve(address).await.map_err(|cause| error(true, cause))?;
    if addresses.is_empty() {
        return Err(error(true, io::Error::other("the name has no address")));
    }
    TcpListener::bind(&addresses[..]).await.map_err(|cause| error(false, cause))
}
