//! What an error of `accept` concerns. Does nothing about it.

use std::io::{self, ErrorKind};

/// What an error of `accept` concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Concerns {
    /// One connection, which ended before it was accepted.
    Peer,
    /// The process or the system: files, memory. May pass.
    Shortage,
    /// The listener, which will accept no more.
    Listener,
}

/// The errors are those of accept(2) on Linux, which passes on errors of the network that wait on the new connection.
pub(super) fn concerns(error: &io::Error) -> Concerns {
    use ErrorKind::*;
    match error.kind() {
        ConnectionAborted | ConnectionReset | HostUnreachable | Interrupted | NetworkDown | NetworkUnreachable
        | PermissionDenied | TimedOut => Concerns::Peer,
        InvalidInput => Concerns::Listener,
        _ => concerns_by_number(error),
    }
}

/// For those errors whose kind is none of `std`'s.
#[cfg(unix)]
fn concerns_by_number(error: &io::Error) -> Concerns {
    use rustix::io::Errno;

    match Errno::from_io_error(error) {
        Some(Errno::HOSTDOWN | Errno::NOPROTOOPT | Errno::OPNOTSUPP | Errno::PROTO) => Concerns::Peer,
        #[cfg(any(target_os = "android", target_os = "linux"))]
        Some(Errno::NONET) => Concerns::Peer,
        Some(Errno::BADF | Errno::FAULT | Errno::NOTSOCK) => Concerns::Listener,
        _ => Concerns::Shortage,
    }
}

#[cfg(not(unix))]
fn concerns_by_number(_: &io::Error) -> Concerns {
    Concerns::Shortage
}

#[cfg(all(test, unix))]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn the_errors_of_accept() {
        for (concern, numbers) in [
            (Concerns::Peer, &[Errno::CONNABORTED, Errno::INTR, Errno::PERM, Errno::PROTO, Errno::OPNOTSUPP][..]),
            (Concerns::Peer, &[Errno::NETDOWN, Errno::HOSTDOWN, Errno::HOSTUNREACH, Errno::NETUNREACH]),
            (Concerns::Shortage, &[Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM]),
            (Concerns::Listener, &[Errno::BADF, Errno::INVAL, Errno::NOTSOCK, Errno::FAULT]),
        ] {
            for number in numbers {
                assert_eq!(concerns(&(*number).into()), concern, "{number}");
            }
        }
        assert_eq!(concerns(&io::Error::other("no room in a table")), Concerns::Shortage);
    }
}
