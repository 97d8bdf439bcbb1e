//! Distinguishes a forked child from its parent. The child has a copy of the parent's memory, but none of its threads.
//!
//! Asking the system takes longer than most operations here. So it is asked where something costly begins: an executor is
//! built, a source registered, a thread started. In between, its last answer counts.

use std::sync::OnceLock;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

/// The system's last answer. Zero: it wasn't asked.
static KNOWN: AtomicU32 = AtomicU32::new(0);

/// Identifies the process that made something, so that its user notices a fork.
///
/// For values that hold threads, files or locks: after `fork`, the child only has their memory.
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
        // Relaxed: where it matters, a thread that still sees the parent's id asks the system.
        if KNOWN.load(Relaxed) != id {
            KNOWN.store(id, Relaxed);
        }
        Self(id)
    }

    /// Whether it is this process. Asks the system.
    pub fn is_current(self) -> bool {
        self == Self::current()
    }

    /// Whether it is this process, by the system's last answer.
    #[inline]
    pub fn is_known(self) -> bool {
        self == Self::known()
    }

    #[inline]
    fn known() -> Self {
        Self(KNOWN.load(Relaxed))
    }
}

/// Whether the process has forked since the system's last answer. Asks the system.
pub(crate) fn has_forked() -> bool {
    let known = Process::known();
    !known.is_current() && known != Process(0)
}

/// A static value that a forked child doesn't inherit: the child makes its own.
///
/// The child leaves the parent's value alone, since threads of the parent may have held its locks.
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
    /// A list with at most one entry per process, the youngest process's last.
    first: OnceLock<Box<Entry<T>>>,
}

#[derive(Debug)]
struct Entry<T: 'static> {
    process: Process,
    value: OnceLock<T>,
    next: OnceLock<Box<Entry<T>>>,
}

impl<T> PerProcess<T> {
    /// Without a value.
    pub const fn new() -> Self {
        Self { first: OnceLock::new() }
    }

    /// This process's value. After a fork, a child notices only once the system was [asked](Process::current).
    #[inline]
    pub fn get(&'static self) -> Option<&'static T> {
        let mut entry = &**self.first.get()?;
        while let Some(next) = entry.next.get() {
            entry = next;
        }
        if entry.process == Process::known() { entry.value.get() } else { None }
    }

    /// Sets this process's value, for ever. Asks the system.
    ///
    /// # Errors
    ///
    /// This process has a value already: returns that, and `value`.
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
            // The entry is made before `set`: a fork within `set` would leave the child's place locked for ever. Only a few
            // instructions of that remain. If another thread is faster, this entry is dropped.
            drop(place.set(Box::new(Entry { process, value: OnceLock::new(), next: OnceLock::new() })));
        }
    }

    /// This process's value. Without one, `init` makes it, and the system is asked; another thread's may win.
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
