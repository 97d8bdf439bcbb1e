//! Notices when a task wakes itself: on the thread that polls it, that takes no atomic operation. Knows tasks by their
//! addresses only.

#[cfg(feature = "std")]
use crate::sync::thread_local;
#[cfg(feature = "std")]
use std::cell::Cell;

#[cfg(feature = "std")]
#[derive(Clone, Copy)]
struct Polled {
    /// Zero: none. An address is another task's only after the poll has ended.
    address: usize,
    woke_itself: bool,
}

#[cfg(feature = "std")]
thread_local! {
    /// The task whose poll this thread is in, the innermost one. Without a destructor, so that it is there to the
    /// thread's end.
    static POLLED: Cell<Polled> = const { Cell::new(Polled { address: 0, woke_itself: false }) };
}

/// Calls `poll`, and says whether the task at `address` woke itself meanwhile.
///
/// `poll` must not unwind.
#[cfg(feature = "std")]
pub(crate) fn noticed<T>(address: usize, poll: impl FnOnce() -> T) -> (T, bool) {
    let around = POLLED.replace(Polled { address, woke_itself: false });
    let polled = poll();
    (polled, POLLED.replace(around).woke_itself)
}

/// Wakes the task at `address`, if this is the thread that polls it, and it the innermost one here.
#[cfg(feature = "std")]
pub(crate) fn notice(address: usize) -> bool {
    let is_own = POLLED.get().address == address;
    if is_own {
        POLLED.set(Polled { address, woke_itself: true });
    }
    is_own
}

/// Whether this thread is in the middle of a task's poll.
///
/// For an executor that tells what a task has woken, and will wait for, from what its end has woken: when a task completes,
/// its joiner is woken after the poll.
///
/// # Examples
///
/// ```
/// // This is no task.
/// assert!(!polyexec_core::task::is_polling());
/// ```
#[cfg(feature = "std")]
#[inline]
pub fn is_polling() -> bool {
    POLLED.get().address != 0
}

/// Without threads there are no thread-locals, and every wake goes to the task's state.
#[cfg(not(feature = "std"))]
pub(crate) fn noticed<T>(_address: usize, poll: impl FnOnce() -> T) -> (T, bool) {
    (poll(), false)
}

/// As above.
#[cfg(not(feature = "std"))]
pub(crate) fn notice(_address: usize) -> bool {
    false
}

#[cfg(all(test, feature = "std", not(polyexec_loom)))]
mod tests {
    use super::*;

    #[test]
    fn only_the_innermost_poll_notices() {
        let ((), outer) = noticed(8, || {
            assert!(notice(8));
            let (seen, inner) = noticed(16, || notice(8));
            assert!(!seen && !inner);
        });
        assert!(outer);
        assert!(!notice(8));
    }

    #[test]
    fn another_thread_is_no_part_of_the_poll() {
        let (seen, woke_itself) = noticed(8, || std::thread::spawn(|| notice(8)).join().unwrap());
        assert!(!seen && !woke_itself);
    }
}
