//! What all sockets share: readiness, conversions from and to `std`, and file descriptors.

/// Implements `readable`, `writable` and their polls, for a socket with a field `io: Io<_>`.
macro_rules! readiness {
    ($socket:ty) => {
        impl $socket {
            /// Waits until a read may succeed: there are bytes, an end, or an error.
            ///
            /// Call a `try_` method of this socket next, in a loop: another task may be faster, and the system may be mistaken.
            /// See [the example](crate::net#waiting-for-a-side).
            ///
            /// # Errors
            ///
            /// None. The operation that follows returns any error.
            ///
            /// # Cancel safety
            ///
            /// Cancel safe: dropped early, it leaves no trace.
            pub async fn readable(&self) -> std::io::Result<()> {
                self.io.readable().await;
                Ok(())
            }

            /// Waits until a write may succeed: there is room, or an error.
            ///
            /// Call a `try_` method of this socket next, in a loop, as for [`readable`](Self::readable).
            ///
            /// # Errors
            ///
            /// None. The operation that follows returns any error.
            ///
            /// # Cancel safety
            ///
            /// Cancel safe: dropped early, it leaves no trace.
            pub async fn writable(&self) -> std::io::Result<()> {
                self.io.writable().await;
                Ok(())
            }

            /// [`readable`](Self::readable) as a poll. The task is woken when the socket is ready.
            ///
            /// # Errors
            ///
            /// None.
            pub fn poll_read_ready(&self, cx: &mut std::task::Context<'_>) -> std::task::Poll<std::io::Result<()>> {
                self.io.poll_readable(cx).map(Ok)
            }

            /// [`writable`](Self::writable) as a poll. The task is woken when the socket is ready.
            ///
            /// # Errors
            ///
            /// None.
            pub fn poll_write_ready(&self, cx: &mut std::task::Context<'_>) -> std::task::Poll<std::io::Result<()>> {
                self.io.poll_writable(cx).map(Ok)
            }

            /// Takes the pending error of this socket, if any (`SO_ERROR`).
            ///
            /// # Errors
            ///
            /// The system's, if it can't tell.
            pub fn take_error(&self) -> std::io::Result<Option<std::io::Error>> {
                self.io.get_ref().take_error()
            }
        }
    };
}

/// Implements conversions from and to `std`'s socket, and descriptors, for a type with a field `io: Io<_>`.
macro_rules! conversions {
    ($socket:ident, $std:ty) => {
        /// Registers a socket of `std`, and makes it non-blocking. A socket of `socket2` converts to one of `std` first.
        impl TryFrom<$std> for $socket {
            type Error = std::io::Error;

            fn try_from(socket: $std) -> std::io::Result<Self> {
                socket.set_nonblocking(true)?;
                Ok(Self { io: Io::new(net::$socket::from_std(socket))? })
            }
        }

        impl $socket {
            /// Converts to a socket of `std`. It stays non-blocking: `set_nonblocking` changes that.
            ///
            /// Clones stay registered, and share the socket with the returned one.
            ///
            /// # Errors
            ///
            /// The system's: too many open files, since there is one more for a moment.
            pub fn into_std(self) -> std::io::Result<$std> {
                #[cfg(unix)]
                let owned = std::os::fd::AsFd::as_fd(&self).try_clone_to_owned()?;
                #[cfg(windows)]
                let owned = std::os::windows::io::AsSocket::as_socket(&self).try_clone_to_owned()?;
                Ok(owned.into())
            }
        }

        /// Registers the descriptor of such a socket, such as one from a parent process.
        #[cfg(unix)]
        impl TryFrom<std::os::fd::OwnedFd> for $socket {
            type Error = std::io::Error;

            fn try_from(descriptor: std::os::fd::OwnedFd) -> std::io::Result<Self> {
                <$std>::from(descriptor).try_into()
            }
        }

        /// See `into_std`.
        #[cfg(unix)]
        impl TryFrom<$socket> for std::os::fd::OwnedFd {
            type Error = std::io::Error;

            fn try_from(socket: $socket) -> std::io::Result<Self> {
                socket.into_std().map(Into::into)
            }
        }
    };
}

/// Lends the file descriptor of a type with a field `io`, so that `socket2` can set options that have no method here.
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
