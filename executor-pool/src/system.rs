//! What the system knows of a thread: its CPU time, and whether it sleeps. On other systems than Linux, nothing.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

#[cfg(target_os = "linux")]
#[path = "system/linux.rs"]
mod host;
#[cfg(not(target_os = "linux"))]
#[path = "system/unknown.rs"]
mod host;

#[cfg(all(test, target_os = "linux", not(polyexec_loom)))]
pub(crate) use host::probe;

/// A thread by its number in the system. Zero: unknown.
#[derive(Debug, Default)]
pub(crate) struct ThreadId(AtomicU32);

/// The CPU time of a thread at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CpuTime {
    thread: u32,
    time: Duration,
}

impl ThreadId {
    /// The calling thread. Costs a system call.
    pub(crate) fn here() -> Self {
        Self(AtomicU32::new(host::own_number().unwrap_or_default()))
    }

    pub(crate) fn set(&self, other: &Self) {
        // Relaxed, everywhere: answers may be late, and are hints.
        self.0.store(other.0.load(Relaxed), Relaxed);
    }

    /// The CPU time so far; `None` if unknown. Costs a system call, and opens no file.
    pub(crate) fn cpu_time(&self) -> Option<CpuTime> {
        let thread = self.known()?;
        Some(CpuTime { thread, time: host::cpu_time(thread)? })
    }

    /// Whether the thread waits for something else than a processor. `None` if unknown, as where no file can be opened.
    pub(crate) fn sleeps(&self) -> Option<bool> {
        self.known().and_then(host::sleeps)
    }

    fn known(&self) -> Option<u32> {
        Some(self.0.load(Relaxed)).filter(|number| *number != 0)
    }
}

impl CpuTime {
    /// The CPU time since `earlier`. `None` if that is of another thread.
    pub(crate) fn since(self, earlier: Self) -> Option<Duration> {
        if self.thread == earlier.thread { self.time.checked_sub(earlier.time) } else { None }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Instant;

    #[test]
    fn a_thread_that_waits_sleeps_and_its_clock_stands_still() {
        polyexec_conformance::watched!();
        let (number, waits) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let thread = thread::Builder::new()
            .name("odd) R (name".to_owned())
            .spawn(move || {
                number.send(ThreadId::here()).unwrap();
                ended.recv().unwrap();
            })
            .unwrap();
        let number = waits.recv().unwrap();
        // It may not sleep yet.
        while number.sleeps() != Some(true) {
            thread::yield_now();
        }
        let (before, begin) = (number.cpu_time().unwrap(), Instant::now());
        while begin.elapsed() < Duration::from_millis(1) {
            thread::yield_now();
        }
        assert_eq!(number.cpu_time().unwrap().since(before), Some(Duration::ZERO));
        end.send(()).unwrap();
        thread.join().unwrap();
    }

    #[test]
    fn a_thread_that_runs_does_not_sleep_and_its_clock_goes_on() {
        let here = ThreadId::here();
        assert_eq!(here.sleeps(), Some(false));
        let before = here.cpu_time().unwrap();
        assert!(here.cpu_time().unwrap().since(before).unwrap() > Duration::ZERO);
    }

    #[test]
    fn times_of_different_threads_are_not_compared() {
        let other = thread::spawn(|| ThreadId::here().cpu_time().unwrap()).join().unwrap();
        let own = ThreadId::here().cpu_time().unwrap();
        assert_eq!((own.since(other), other.since(own)), (None, None));
    }

    #[test]
    fn a_thread_that_is_gone_is_unknown() {
        polyexec_conformance::watched!();
        assert_eq!((ThreadId::default().sleeps(), ThreadId::default().cpu_time()), (None, None));
        let gone = thread::spawn(ThreadId::here).join().unwrap();
        // `join` returns a moment before the system has forgotten the thread.
        while gone.sleeps().is_some() || gone.cpu_time().is_some() {
            thread::yield_now();
        }
    }
}
