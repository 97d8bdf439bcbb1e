//! Addresses to connect or bind to. Names are looked up on a thread for blocking work.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, ToSocketAddrs as _};

use polyexec_core::task::consume_budget;

use crate::blocking::unblock;

/// Addresses, or a name to look up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// Addresses, in the order in which to try them.
    Known(Vec<SocketAddr>),
    /// A name, to look up.
    Name {
        /// The host, such as `localhost`.
        host: String,
        /// The port, for each address of the host.
        port: u16,
    },
}

/// A value that names one or more addresses. Like [`std::net::ToSocketAddrs`], but doesn't look up names, which would block.
pub trait ToSocketAddrs {
    /// The addresses, or the name to look up.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: the value is neither an address nor a name with a port.
    fn to_addresses(&self) -> io::Result<Addresses>;
}

/// Looks up the addresses of a name. Returns known addresses as they are.
///
/// # Errors
///
/// `InvalidInput`: the value is neither an address nor a name with a port. Or the system's error, such as an unknown name. Or the
/// threads for blocking work were shut down.
///
/// # Cancel safety
///
/// Cancel safe. A lookup that has begun goes on in the background, and its result is dropped.
///
/// # Examples
///
/// ```
/// let addresses = polyexec_core::block_on(polyexec_io::net::resolve("localhost:80"))?;
/// assert!(addresses.iter().all(|address| address.ip().is_loopback()));
/// # Ok::<(), std::io::Error>(())
/// ```
pub async fn resolve(address: impl ToSocketAddrs) -> io::Result<Vec<SocketAddr>> {
    look_up(address.to_addresses()?).await
}

async fn look_up(addresses: Addresses) -> io::Result<Vec<SocketAddr>> {
    match addresses {
        Addresses::Known(addresses) => {
            // Lets other tasks run if the caller binds or connects in a loop, which may never wait.
            consume_budget().await;
            Ok(addresses)
        }
        Addresses::Name { host, port } => {
            let name = host.clone();
            let found = unblock(move || (&*name, port).to_socket_addrs().map(Iterator::collect)).await;
            found.map_err(|cause| io::Error::new(cause.kind(), format!("can't look up {host}: {cause}")))
        }
    }
}

/// Tries one address after another until `attempt` succeeds. Returns the last error.
///
/// `attempt` returns a future that doesn't borrow from it. With an `AsyncFnMut`, whose futures do, a caller's future isn't
/// `Send` (rust-lang/rust#110338).
pub(super) async fn first<T, F>(address: impl ToSocketAddrs, mut attempt: impl FnMut(SocketAddr) -> F) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    let mut failed = io::Error::new(io::ErrorKind::InvalidInput, "no address to try");
    for address in resolve(address).await? {
        match attempt(address).await {
            Ok(value) => return Ok(value),
            Err(cause) => failed = cause,
        }
    }
    Err(failed)
}

fn known(address: impl Into<SocketAddr>) -> io::Result<Addresses> {
    Ok(Addresses::Known(vec![address.into()]))
}

fn named(host: &str, port: u16) -> io::Result<Addresses> {
    match host.parse::<IpAddr>() {
        Ok(address) => known((address, port)),
        Err(_) if host.is_empty() || host.contains(['\0', ':', '/', ' ']) => {
            Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{host:?} is not a host name")))
        }
        Err(_) => Ok(Addresses::Name { host: host.to_owned(), port }),
    }
}

impl ToSocketAddrs for str {
    fn to_addresses(&self) -> io::Result<Addresses> {
        if let Ok(address) = self.parse::<SocketAddr>() {
            return known(address);
        }
        let parts = self.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
        let invalid =
            || io::Error::new(io::ErrorKind::InvalidInput, format!("{self:?} is not an address of the form host:port"));
        let (host, port) = parts.ok_or_else(invalid)?;
        named(host, port)
    }
}

impl ToSocketAddrs for String {
    fn to_addresses(&self) -> io::Result<Addresses> {
        (**self).to_addresses()
    }
}

impl ToSocketAddrs for (&str, u16) {
    fn to_addresses(&self) -> io::Result<Addresses> {
        named(self.0, self.1)
    }
}

impl ToSocketAddrs for (String, u16) {
    fn to_addresses(&self) -> io::Result<Addresses> {
        named(&self.0, self.1)
    }
}

impl ToSocketAddrs for [SocketAddr] {
    fn to_addresses(&self) -> io::Result<Addresses> {
        Ok(Addresses::Known(self.to_vec()))
    }
}

impl<const N: usize> ToSocketAddrs for [SocketAddr; N] {
    fn to_addresses(&self) -> io::Result<Addresses> {
        Ok(Addresses::Known(self.to_vec()))
    }
}

impl ToSocketAddrs for Vec<SocketAddr> {
    fn to_addresses(&self) -> io::Result<Addresses> {
        Ok(Addresses::Known(self.clone()))
    }
}

impl<A: ToSocketAddrs + ?Sized> ToSocketAddrs for &A {
    fn to_addresses(&self) -> io::Result<Addresses> {
        (**self).to_addresses()
    }
}

macro_rules! known {
    ($($address:ty),*) => {$(
        impl ToSocketAddrs for $address {
            fn to_addresses(&self) -> io::Result<Addresses> {
                known(*self)
            }
        }
    )*};
}

known!(SocketAddr, SocketAddrV4, SocketAddrV6, (IpAddr, u16), (Ipv4Addr, u16), (Ipv6Addr, u16));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numeric_addresses_are_known() {
        let v4 = Addresses::Known(vec![SocketAddr::from(([127, 0, 0, 1], 80))]);
        assert_eq!("127.0.0.1:80".to_addresses().unwrap(), v4);
        assert_eq!(("127.0.0.1", 80).to_addresses().unwrap(), v4);
        assert_eq!((Ipv4Addr::LOCALHOST, 80).to_addresses().unwrap(), v4);
        let v6 = Addresses::Known(vec![SocketAddr::from((Ipv6Addr::LOCALHOST, 80))]);
        assert_eq!("[::1]:80".to_addresses().unwrap(), v6);
        assert_eq!(("::1".to_owned(), 80).to_addresses().unwrap(), v6);
    }

    #[test]
    fn names_are_looked_up_later() {
        let name = Addresses::Name { host: "localhost".to_owned(), port: 80 };
        assert_eq!("localhost:80".to_addresses().unwrap(), name);
        assert_eq!(("localhost", 80).to_addresses().unwrap(), name);
    }

    #[test]
    fn anything_else_is_an_error() {
        for wrong in ["", "localhost", "localhost:", "localhost:http", "localhost:65536", "::1", ":80", "a\0b:80"] {
            let error = wrong.to_addresses().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{wrong:?}: {error}");
        }
    }
}
