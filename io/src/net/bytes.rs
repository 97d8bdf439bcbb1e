//! Bytes from a socket and to it, by the shortest way into the system: on Linux that is rustix's, which doesn't go through the C
//! library. There each call is a point at which the thread can be cancelled, and so makes two atomic changes: glibc 2.36 does, for
//! 1 % of a round trip by TCP on one machine.
//!
//! A write to a peer that is gone is an error on every system. On Unix it would also raise `SIGPIPE`, which ends a process that
//! doesn't ignore it: a C program with a library in Rust, say. Each write suppresses that by a flag, and on Apple's systems mio
//! has set an option of the socket.

#[cfg(all(unix, not(target_vendor = "apple")))]
mod way {
    use std::io::{self, IoSlice, IoSliceMut};
    use std::os::fd::AsFd;

    use crate::net::stream::IOV_MAX;
    use rustix::io::readv;
    use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, send, sendmsg};

    pub(in crate::net) fn read(socket: &impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
        let (length, _) = recv(socket, buffer, RecvFlags::empty())?;
        Ok(length)
    }

    pub(in crate::net) fn read_vectored(socket: &impl AsFd, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        Ok(readv(socket, buffers)?)
    }

    pub(in crate::net) fn write(socket: &impl AsFd, bytes: &[u8]) -> io::Result<usize> {
        Ok(send(socket, bytes, SendFlags::NOSIGNAL)?)
    }

    pub(in crate::net) fn write_vectored(socket: &impl AsFd, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        // `writev` takes no flags, and raises the signal.
        let slices = &slices[..slices.len().min(IOV_MAX)];
        Ok(sendmsg(socket, slices, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)?)
    }
}

#[cfg(not(all(unix, not(target_vendor = "apple"))))]
mod way {
    use std::io::{self, IoSlice, IoSliceMut, Read, Write};

    pub(in crate::net) fn read<S>(mut socket: &S, buffer: &mut [u8]) -> io::Result<usize>
    where
        for<'a> &'a S: Read,
    {
        socket.read(buffer)
    }

    pub(in crate::net) fn read_vectored<S>(mut socket: &S, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize>
    where
        for<'a> &'a S: Read,
    {
        socket.read_vectored(buffers)
    }

    pub(in crate::net) fn write<S>(mut socket: &S, bytes: &[u8]) -> io::Result<usize>
    where
        for<'a> &'a S: Write,
    {
        socket.write(bytes)
    }

    pub(in crate::net) fn write_vectored<S>(mut socket: &S, slices: &[IoSlice<'_>]) -> io::Result<usize>
    where
        for<'a> &'a S: Write,
    {
        socket.write_vectored(slices)
    }
}

pub(super) use way::{read, read_vectored, write, write_vectored};
