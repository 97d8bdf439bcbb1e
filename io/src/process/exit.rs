//! Waits for the end of one child. Leaves to others when that is needed.

use std::io;
use std::process::{Child, ExitStatus};
use std::task::{Context, Poll, ready};

use crate::signal::{Signals, consts::SIGCHLD};

/// What reports that a child may have ended.
pub(super) enum Exit {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    Descriptor(crate::Io<descriptor::PidFd>),
    /// A signal tells of any child: each looks for itself.
    Signal(Signals),
}

impl Exit {
    /// # Errors
    ///
    /// The system has no file descriptor.
    pub(super) fn of(child: &Child) -> io::Result<Self> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(descriptor) = descriptor::open(child)? {
            return Ok(Self::Descriptor(descriptor));
        }
        let _ = child;
        Self::by_signal()
    }

    pub(super) fn by_signal() -> io::Result<Self> {
        Ok(Self::Signal(Signals::new([SIGCHLD])?))
    }

    /// Ready when the child has ended. Takes its status from the system, so that it is no zombie any more.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, child: &mut Child) -> Poll<io::Result<ExitStatus>> {
        // It may have ended before there was a listener, or been asked for already.
        if let Some(status) = child.try_wait()? {
            return Poll::Ready(Ok(status));
        }
        match self {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Self::Descriptor(descriptor) => descriptor.poll_read_with(cx, |_| {
                child.try_wait().and_then(|status| status.ok_or(io::ErrorKind::WouldBlock.into()))
            }),
            Self::Signal(signals) => loop {
                ready!(signals.poll_recv(cx))?;
                if let Some(status) = child.try_wait()? {
                    return Poll::Ready(Ok(status));
                }
            },
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod descriptor {
    use std::io;
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::process::Child;

    use mio::event::Source;
    use mio::unix::SourceFd;
    use mio::{Interest, Registry, Token};
    use rustix::io::Errno;
    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    use crate::Io;

    /// A descriptor that is readable once its process has ended.
    pub(crate) struct PidFd(OwnedFd);

    /// `None`: this system has no such descriptors.
    pub(super) fn open(child: &Child) -> io::Result<Option<Io<PidFd>>> {
        match pidfd_open(Pid::from_child(child), PidfdFlags::NONBLOCK) {
            Ok(descriptor) => Io::new(PidFd(descriptor)).map(Some),
            // Linux before 5.10, or a sandbox.
            Err(Errno::NOSYS | Errno::INVAL | Errno::PERM) => Ok(None),
            Err(cause) => Err(cause.into()),
        }
    }

    impl Source for PidFd {
        fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
            SourceFd(&self.0.as_raw_fd()).register(registry, token, interests)
        }

        fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
            SourceFd(&self.0.as_raw_fd()).reregister(registry, token, interests)
        }

        fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
            SourceFd(&self.0.as_raw_fd()).deregister(registry)
        }
    }
}

#[cfg(all(test, target_os = "linux", not(polyexec_loom)))]
mod tests {
    use super::*;

    use std::future::poll_fn;
    use std::process::{Command, Stdio};
    use std::task::Waker;

    use polyexec_core::block_on;

    use crate::process::orphan;

    /// A child that ends when its input does.
    fn reads() -> Child {
        Command::new("sh").args(["-c", "read line; exit 3"]).stdin(Stdio::piped()).spawn().unwrap()
    }

    /// As on systems without descriptors of processes.
    #[test]
    fn the_signal_alone_tells_of_each_end() {
        polyexec_conformance::watched!();
        for ended_before in [false, true] {
            let mut children: Vec<_> = (0..10).map(|_| reads()).collect();
            if ended_before {
                for child in &mut children {
                    drop(child.stdin.take());
                    while !std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap().contains(") Z ") {}
                }
            }
            let mut exits: Vec<_> = children.iter().map(|_| Exit::by_signal().unwrap()).collect();
            let mut noop = Context::from_waker(Waker::noop());
            for (child, exit) in children.iter_mut().zip(&mut exits) {
                assert_eq!(exit.poll(&mut noop, child).is_ready(), ended_before);
                drop(child.stdin.take());
            }
            for (child, exit) in children.iter_mut().zip(&mut exits) {
                let status = block_on(poll_fn(|cx| exit.poll(cx, child))).unwrap();
                assert_eq!(status.code(), Some(3));
            }
        }
    }

    #[test]
    fn the_signal_alone_is_enough_for_an_orphan() {
        polyexec_conformance::watched!();
        let mut child = reads();
        let (id, stdin) = (child.id(), child.stdin.take());
        orphan::reap(child, Exit::by_signal().unwrap());
        drop(stdin);
        while std::path::Path::new(&format!("/proc/{id}")).exists() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
}
