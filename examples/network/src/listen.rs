//! Begins to listen, or says what is wrong. Accepts nothing.

use std::error::Error;
use std::fmt;
use std::io;

use polyexec::net::{self, TcpListener};

/// Why there is nothing to listen on.
#[derive(Debug)]
pub struct ListenError {
    address: String,
    unknown: bool,
    error: io::Error,
}

impl ListenError {
    /// Whether the address is none, or nobody knows it. Otherwise it is known, but not to be had: somebody else listens
    /// there, say.
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

/// Its text tells the cause, so it has no source.
impl Error for ListenError {}

/// Listens on `address`, a host and a port, with a colon between them. Port 0 is a free one.
///
/// # Errors
///
/// If there is no such address, or it is not to be had.
pub async fn listen(address: &str) -> Result<TcpListener, ListenError> {
    let error = |unknown, error| ListenError { address: address.to_owned(), unknown, error };
    let addresses = net::resolve(address).await.map_err(|cause| error(true, cause))?;
    if addresses.is_empty() {
        return Err(error(true, io::Error::other("the name has no address")));
    }
    TcpListener::bind(&addresses[..]).await.map_err(|cause| error(false, cause))
}
