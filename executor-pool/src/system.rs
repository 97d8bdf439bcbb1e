//! What the system knows of a thread: whether it sleeps there, or has a processor or waits for one. Linux tells; elsewhere
//! nobody knows.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

/// A thread, as the system numbers it. Zero: unknown.
#[derive(Debug, Default)]
pub(crate) struct ThreadId(AtomicU32);

impl ThreadId {
    /// The calling thread. Costs a system call.
    pub(crate) fn here() -> Self {
        Self(AtomicU32::new(own_number().unwrap_or_default()))
    }

    pub(crate) fn set(&self, other: &Self) {
        // Relaxed, everywhere: what is asked with it may be late, and is a hint.
        self.0.store(other.0.load(Relaxed), Relaxed);
    }

    /// Whether the thread waits for something, in the system; `None` if it can't be known.
    pub(crate) fn sleeps(&self) -> Option<bool> {
        match self.0.load(Relaxed) {
            0 => None,
            number => state_of(number).map(|state| state != 'R'),
        }
    }
}

#[cfg(target_os = "linux")]
fn own_number() -> Option<u32> {
    std::fs::read_link("/proc/thread-self").ok()?.file_name()?.to_str()?.parse().ok()
}

/// The letter of proc(5): `R` for a thread that runs or could run.
#[cfg(target_os = "linux")]
fn state_of(number: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{number}/stat")).ok()?;
    // The thread's name comes before it, in parentheses, and may have some of its own.
    stat.rsplit_once(") ")?.1.chars().next()
}

#[cfg(not(target_os = "linux"))]
fn own_number() -> Option<u32> {
    None
}

#[cfg(not(target_os = "linux"))]
fn state_of(_number: u32) -> Option<char> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;

    #[test]
    fn a_thread_that_waits_sleeps() {
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
        // It is on its way to sleep.
        while number.sleeps() != Some(true) {
            thread::yield_now();
        }
        end.send(()).unwrap();
        thread.join().unwrap();
    }

    #[test]
    fn a_thread_that_runs_does_not_sleep() {
        assert_eq!(ThreadId::here().sleeps(), Some(false));
    }

    #[test]
    fn of_a_thread_that_is_gone_nothing_is_known() {
        assert_eq!(ThreadId::default().sleeps(), None);
        let gone = thread::spawn(ThreadId::here).join().unwrap();
        // `join` returns a moment before the system has forgotten the thread.
        while gone.sleeps().is_some() {
            thread::yield_now();
        }
    }
}
