//! What all sockets have: waits for a side without an operation on it, file descriptors, and the way from `std`'s sockets and
//! back.

/// Waits for a side of a socket with a field `io: Io<_>`.
macro_rules! readiness {
    ($socket:ty) => {
        impl $socket {
            /// Waits until a read may succeed: there is something to read, or an end, or an error.
            ///
            /// Follow it by a `try_` method of this socket, in a loop: another task may be faster, and the system may be
            /// mistaken. See [the example](crate::net#waiting-for-a-side).
            ///
            /// # Errors
            ///
            /// None. What is wrong, the operation says.
            ///
            /// # Cancel safety
            ///
            /// Cancel safe: dropped before it is ready, it leaves no trace.
            pub async fn readable(&self) -> std::io::Result<()> {
                self.io.readable().await;
                Ok(())
            }

            /// Waits until a write may succeed: there is room, or an error.
            ///
            /// Follow it by a `try_` method of this socket, in a loop, as for [`readable`](Self::readable).
            ///
            /// # Errors
            ///
            /// None. What is wrong, the operation says.
            ///
            /// # Cancel safety
            ///
            /// Cancel safe: dropped before it is ready, it leaves no trace.
            pub async fn writable(&self) -> std::io::Result<()> {
                self.io.writable().await;
                Ok(())
            }

            /// As [`readable`](Self::readable), as a poll. The task is woken when the side is ready.
            ///
            /// # Errors
            ///
            /// None.
            pub fn poll_read_ready(&self, cx: &mut std::task::Context<'_>) -> std::task::Poll<std::io::Result<()>> {
                self.io.poll_readable(cx).map(Ok)
            }

            /// As [`writable`](Self::writable), as a poll. The task is woken when the side is ready.
            ///
            /// # Errors
            ///
            /// None.
            pub fn poll_write_ready(&self, cx: &mut std::task::Context<'_>) -> std::task::Poll<std::io::Result<()>> {
                self.io.poll_writable(cx).map(Ok)
            }

            /// Takes the error that the system has kept for this socket, if there is one.
            ///
            /// # Errors
            ///
            /// The system's, if it doesn't say.
            pub fn take_error(&self) -> std::io::Result<Option<std::io::Error>> {
                self.io.get_ref().take_error()
            }
        }
    };
}

/// The way from `std`'s sockets, from descriptors, and back, for a type with a field `io: Io<_>`.
macro_rules! conversions {
    ($socket:ident, $std:ty) => {
        /// A socket of `std`'s, or of `socket2`'s by way of that. It is set not to block.
        impl TryFrom<$std> for $socket {
            type Error = std::io::Error;

            fn try_from(socket: $std) -> std::io::Result<Self> {
                socket.set_nonblocking(true)?;
                Ok(Self { io: Io::new(net::$socket::from_std(socket))? })
            }
        }

        impl $socket {
            /// The socket as one of `std`'s, which doesn't block: `set_nonblocking` changes that.
            ///
            /// Clones go on as they were, and share the socket with the one that is returned.
            ///
            /// # Errors
            ///
            /// The system's: too many open files. For a moment there is one more.
            pub fn into_std(self) -> std::io::Result<$std> {
                #[cfg(unix)]
                let owned = std::os::fd::AsFd::as_fd(&self).try_clone_to_owned()?;
                #[cfg(windows)]
                let owned = std::os::windows::io::AsSocket::as_socket(&self).try_clone_to_owned()?;
                Ok(owned.into())
            }
        }

        /// A descriptor of such a socket, from a parent process, say.
        #[cfg(unix)]
        impl TryFrom<std::os::fd::OwnedFd> for $socket {
            type Error = std::io::Error;

            fn try_from(descriptor: std::os::fd::OwnedFd) -> std::io::Result<Self> {
                <$std>::from(descriptor).try_into()
            }
        }

        /// As `into_std`.
        #[cfg(unix)]
        impl TryFrom<$socket> for std::os::fd::OwnedFd {
            type Error = std::io::Error;

            fn try_from(socket: $socket) -> std::io::Result<Self> {
                socket.into_std().map(Into::into)
            }
        }
    };
}

/// Has other crates use the file descriptor of a type with a field `io`: to set what has no method here, by `socket2` say.
macro_rules! descriptor {
    ($socket:ty) => {
        #[cfg(unix)]
        impl std::os::fd::AsFd for $socket {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.io.get_ref().as_fd()
            }
        }

        #[cfg(unix)]
        impl std::os::fd::AsRawFd for $socket {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                self.io.get_ref().as_raw_fd()
            }
        }

        #[cfg(windows)]
        impl std::os::windows::io::AsSocket for $socket {
            fn as_socket(&self) -> std::os::windows::io::BorrowedSocket<'_> {
                self.io.get_ref().as_socket()
            }
        }

        #[cfg(windows)]
        impl std::os::windows::io::AsRawSocket for $socket {
            fn as_raw_socket(&self) -> std::os::windows::io::RawSocket {
                self.io.get_ref().as_raw_socket()
            }
        }
    };
}

pub(super) use {conversions, descriptor, readiness};
