//! Tells a forked child from its parent. The child has a copy of the parent's memory, but none of its threads.
//!
//! To ask the system each time would take longer than what it is asked for. So it is asked where something begins that costs
//! more: an executor is made, a source registered, a thread started. In between, what it said last counts.

use std::sync::OnceLock;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

/// What the system said last. Zero: nothing.
static KNOWN: AtomicU32 = AtomicU32::new(0);

/// Identifies the process that made something, so that its user can tell whether a fork came in between.
///
/// For those who keep threads, files or locks: after `fork`, the child has the memory of them alone.
///
/// # Examples
///
/// ```
/// use polyexec_core::executor::process::Process;
///
/// let made_in = Process::current();
/// // … a fork, perhaps …
/// assert!(made_in.is_current());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process(u32);

impl Process {
    /// This process. Asks the system.
    pub fn current() -> Self {
        let id = std::process::id();
        // Relaxed: a thread that still sees the parent's id asks the system where that matters.
        if KNOWN.load(Relaxed) != id {
            KNOWN.store(id, Relaxed);
        }
        Self(id)
    }

    /// Whether it is this one. Asks the system.
    pub fn is_current(self) -> bool {
        self == Self::current()
    }

    /// Whether it is this one, as far as is known without asking the system.
    #[inline]
    pub fn is_known(self) -> bool {
        self == Self::known()
    }

    #[inline]
    fn known() -> Self {
        Self(KNOWN.load(Relaxed))
    }
}

/// Whether this turns out to be another process than was known. Asks the system.
pub(crate) fn has_forked() -> bool {
    let known = Process::known();
    !known.is_current() && known != Process(0)
}

/// A static value that a forked process doesn't inherit: it makes its own, and leaves the other one alone, with the locks that
/// threads of its parent held.
///
/// # Examples
///
/// ```
/// use polyexec_core::executor::process::PerProcess;
///
/// static STARTED: PerProcess<String> = PerProcess::new();
///
/// assert!(STARTED.get().is_none());
/// assert_eq!(STARTED.get_or_init(|| "here".to_owned()), "here");
/// ```
#[derive(Debug)]
pub struct PerProcess<T: 'static> {
    /// Each process has one at most. The last one is the youngest's.
    first: OnceLock<Box<Entry<T>>>,
}

#[derive(Debug)]
struct Entry<T: 'static> {
    process: Process,
    value: OnceLock<T>,
    next: OnceLock<Box<Entry<T>>>,
}

impl<T> PerProcess<T> {
    /// No process has a value.
    pub const fn new() -> Self {
        Self { first: OnceLock::new() }
    }

    /// This process's value. After a fork, the system must have been [asked](Process::current) for that to be another one.
    #[inline]
    pub fn get(&'static self) -> Option<&'static T> {
        let mut entry = &**self.first.get()?;
        while let Some(next) = entry.next.get() {
            entry = next;
        }
        if entry.process == Process::known() { entry.value.get() } else { None }
    }

    /// Sets the value, unless this process has one already: then that, and `value` back. It stays for ever. Asks the system.
    ///
    /// # Errors
    ///
    /// This process has a value already.
    pub fn set(&'static self, value: T) -> Result<&'static T, (&'static T, T)> {
        let entry = self.entry();
        match entry.value.set(value) {
            Ok(()) => Ok(entry.value.wait()),
            Err(value) => Err((entry.value.wait(), value)),
        }
    }

    /// This process's entry, which may have no value yet.
    fn entry(&'static self) -> &'static Entry<T> {
        let process = Process::current();
        let mut place = &self.first;
        loop {
            while let Some(entry) = place.get() {
                if entry.process == process {
                    return entry;
                }
                place = &entry.next;
            }
            // Made before it is put there: a fork in the midst of that would leave the place as it is in the child, for ever. The time
            // of a few instructions remains. If another thread comes first, this one is dropped.
            drop(place.set(Box::new(Entry { process, value: OnceLock::new(), next: OnceLock::new() })));
        }
    }

    /// This process's value, which `init` makes if there is none; it may be called in vain. Asks the system only then.
    pub fn get_or_init(&'static self, init: impl FnOnce() -> T) -> &'static T {
        self.get().unwrap_or_else(|| self.set(init()).unwrap_or_else(|(there, _)| there))
    }
}

impl<T> Default for PerProcess<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(polyexec_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_one_value_and_another_one_has_its_own() {
        static VALUE: PerProcess<u32> = PerProcess::new();
        assert!(VALUE.get().is_none());
        assert_eq!(VALUE.set(1), Ok(&1));
        assert_eq!(VALUE.set(2), Err((&1, 2)));
        assert_eq!(VALUE.get(), Some(&1));
        assert_eq!(VALUE.get_or_init(|| 3), &1);
        // As if it were the value of another process, from which this one was forked.
        static FORKED: PerProcess<u32> = PerProcess::new();
        let parents = Entry { process: Process(u32::MAX), value: OnceLock::from(1), next: OnceLock::new() };
        FORKED.first.set(Box::new(parents)).unwrap();
        assert!(FORKED.get().is_none());
        assert_eq!(FORKED.get_or_init(|| 2), &2);
        assert_eq!(FORKED.set(3), Err((&2, 3)));
    }
}
