//! Reads and writes of bytes, by the shortest way into the system. On Linux, rustix makes the system calls itself: in the C
//! library, `recv` and `send` are points where a thread can be cancelled. With glibc 2.36 that costs two atomic changes a call,
//! 1 % of a TCP round trip on one machine.
//!
//! A write to a peer that is gone returns an error on every system. On Unix it would also raise `SIGPIPE`, which ends a process
//! that doesn't ignore it, such as a C program with a Rust library. So each write passes a flag against that. On Apple's
//! systems, mio sets a socket option instead.

#[cfg(all(unix, not(target_vendor = "apple")))]
mod calls {
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
        // Not `writev`: it takes no flags, and raises the signal.
        let slices = &slices[..slices.len().min(IOV_MAX)];
        Ok(sendmsg(socket, slices, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)?)
    }
}

#[cfg(not(all(unix, not(target_vendor = "apple"))))]
mod calls {
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

pub(super) use calls::{read, read_vectored, write, write_vectored};
