//! Starts a service of the process on first use: the default executor, the threads for blocking work, the I/O driver.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::process::{PerProcess, Process};

/// A service that its first use starts, once a process.
///
/// A program may [`configure`](LazyStart::configure) it before that. If the start fails, the next use tries again. The service
/// lives as long as the process. A forked child starts its own.
///
/// # Examples
///
/// ```
/// use polyexec_core::executor::LazyStart;
///
/// /// How many threads the service has: 4, unless configured.
/// static SERVICE: LazyStart<usize, usize> = LazyStart::new();
///
/// SERVICE.configure(2).unwrap();
/// let threads = SERVICE.get_or_start(|configured| Ok(configured.copied().unwrap_or(4)))?;
/// assert_eq!(*threads, 2);
/// // It has started: what comes too late is returned.
/// assert_eq!(SERVICE.configure(8), Err(8));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct LazyStart<T: 'static, C: 'static = ()> {
    /// Set under the lock of `phase`, read without it.
    service: PerProcess<T>,
    phase: PerProcess<Mutex<Phase<C>>>,
}

#[derive(Debug)]
enum Phase<C> {
    /// Not started yet, or no start has succeeded.
    Idle(Option<C>),
    /// `service` is set.
    Started,
}

impl<T, C> LazyStart<T, C> {
    /// A service that hasn't started and isn't configured.
    pub const fn new() -> Self {
        Self { service: PerProcess::new(), phase: PerProcess::new() }
    }

    /// The service, if this process has started it.
    ///
    /// After a fork, it takes a call of [`Process::current`] for a child to notice that it is one.
    #[inline]
    pub fn get(&'static self) -> Option<&'static T> {
        self.service.get()
    }

    /// The service, which `start` makes of its configuration if it hasn't started yet.
    ///
    /// Of several threads, one runs `start` and the others wait for it. So `start` must not use the service.
    ///
    /// # Errors
    ///
    /// Those of `start`. The service is still configured, and the next use tries again.
    #[inline]
    pub fn get_or_start(&'static self, start: impl FnOnce(Option<&C>) -> io::Result<T>) -> io::Result<&'static T> {
        match self.service.get() {
            Some(service) => Ok(service),
            None => self.start(start),
        }
    }

    #[cold]
    fn start(&'static self, start: impl FnOnce(Option<&C>) -> io::Result<T>) -> io::Result<&'static T> {
        let mut phase = self.lock();
        let configured = match &mut *phase {
            Phase::Started => return Ok(self.service.get().expect("set before the phase")),
            Phase::Idle(configured) => configured,
        };
        let service = start(configured.as_ref())?;
        let Ok(service) = self.service.set(service) else { unreachable!("only set under the lock") };
        let idle = std::mem::replace(&mut *phase, Phase::Started);
        drop(phase);
        // The configuration has code of its user's in it.
        drop(idle);
        Ok(service)
    }

    /// Configures the service, in place of the configuration before, which is returned.
    ///
    /// # Errors
    ///
    /// The service has started already: returns `configuration`.
    pub fn configure(&'static self, configuration: C) -> Result<Option<C>, C> {
        match &mut *self.lock() {
            Phase::Started => Err(configuration),
            Phase::Idle(configured) => Ok(configured.replace(configuration)),
        }
    }

    fn lock(&'static self) -> MutexGuard<'static, Phase<C>> {
        // First: in a child, the parent's lock may be held for ever.
        Process::current();
        let phase = self.phase.get_or_init(|| Mutex::new(Phase::Idle(None)));
        phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T, C> Default for LazyStart<T, C> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(polyexec_loom)))]
mod tests {
    use super::*;

    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::thread;

    #[test]
    fn a_failed_start_is_repeated_and_keeps_the_configuration() {
        static SERVICE: LazyStart<u32, u32> = LazyStart::new();
        assert_eq!(SERVICE.configure(1), Ok(None));
        assert_eq!(SERVICE.configure(2), Ok(Some(1)));
        let fails = SERVICE.get_or_start(|_| Err(io::Error::other("on purpose")));
        assert_eq!(fails.unwrap_err().to_string(), "on purpose");
        assert_eq!((SERVICE.get(), SERVICE.configure(3)), (None, Ok(Some(2))));
        assert_eq!(SERVICE.get_or_start(|configured| Ok(*configured.unwrap())).unwrap(), &3);
        assert_eq!(SERVICE.get_or_start(|_| unreachable!()).unwrap(), &3);
        assert_eq!((SERVICE.get(), SERVICE.configure(4)), (Some(&3), Err(4)));
    }

    #[test]
    fn of_many_that_come_at_once_one_starts_it() {
        static SERVICE: LazyStart<usize> = LazyStart::new();
        static STARTS: AtomicUsize = AtomicUsize::new(0);
        let together = Barrier::new(8);
        thread::scope(|threads| {
            for _ in 0..8 {
                threads.spawn(|| {
                    together.wait();
                    let service = SERVICE.get_or_start(|_| Ok(STARTS.fetch_add(1, Relaxed)));
                    assert_eq!(service.unwrap(), &0);
                });
            }
        });
        assert_eq!(STARTS.load(Relaxed), 1);
    }

    #[test]
    fn a_start_that_panics_leaves_it_to_the_next() {
        static SERVICE: LazyStart<u32> = LazyStart::new();
        assert!(std::panic::catch_unwind(|| SERVICE.get_or_start(|_| panic!("on purpose"))).is_err());
        assert_eq!(SERVICE.get_or_start(|_| Ok(1)).unwrap(), &1);
    }
}
