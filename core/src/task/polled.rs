//! What a thread knows of the poll that it is in: which task's it is, whether the task has woken itself, and what is left of
//! its budget. Never looks at a task: it hands the pointer back to `cell`. What a budget is for, `budget` says.

#[cfg(feature = "std")]
use super::budget::Budget;
#[cfg(feature = "std")]
use crate::sync::thread_local;
#[cfg(feature = "std")]
use std::cell::Cell;
#[cfg(feature = "std")]
use std::ptr::null;

/// Set when the task wakes itself. Tasks are aligned to more than this.
#[cfg(feature = "std")]
const WOKE_ITSELF: usize = 1;

// Without destructors, so that they are there to the thread's end.
#[cfg(feature = "std")]
thread_local! {
    /// The task whose innermost poll this thread is in, and in its address [`WOKE_ITSELF`]. Null: none. An address is another
    /// task's only after the poll has ended.
    static TASK: Cell<*const ()> = const { Cell::new(null()) };
    /// What is left to the innermost poll.
    static BUDGET: Cell<Budget> = const { Cell::new(Budget::UNLIMITED) };
}

/// Calls `poll` with a budget of its own, and says whether `task` woke itself meanwhile: on the thread that polls it, that
/// takes no atomic operation.
///
/// `poll` must not unwind.
#[cfg(feature = "std")]
pub(crate) fn noticed<T>(task: *const (), poll: impl FnOnce() -> T) -> (T, bool) {
    let around = (TASK.replace(task), BUDGET.replace(Budget::FULL));
    let answer = poll();
    BUDGET.set(around.1);
    (answer, TASK.replace(around.0).addr() & WOKE_ITSELF != 0)
}

/// Wakes the task at `address`, if this is the thread that polls it, and it the innermost one here.
#[cfg(feature = "std")]
pub(crate) fn notice(address: usize) -> bool {
    let task = TASK.get();
    let is_own = task.addr() & !WOKE_ITSELF == address;
    if is_own {
        TASK.set(task.map_addr(|address| address | WOKE_ITSELF));
    }
    is_own
}

/// The task whose poll this thread is in, as [`noticed`] had it. Null: none.
#[cfg(feature = "std")]
pub(super) fn current() -> *const () {
    TASK.get().map_addr(|address| address & !WOKE_ITSELF)
}

/// What is left to the innermost poll.
#[cfg(feature = "std")]
#[inline]
pub(super) fn budget() -> Budget {
    BUDGET.get()
}

#[cfg(feature = "std")]
#[inline]
pub(super) fn set_budget(budget: Budget) {
    BUDGET.set(budget);
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
/// assert!(!polyexec_core::executor::is_polling());
/// ```
#[cfg(feature = "std")]
#[inline]
pub fn is_polling() -> bool {
    !TASK.get().is_null()
}

/// Without threads there are no thread-locals, and every wake goes to the task's state.
#[cfg(not(feature = "std"))]
pub(crate) fn noticed<T>(_task: *const (), poll: impl FnOnce() -> T) -> (T, bool) {
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
    use std::ptr::without_provenance;

    /// A task that nobody looks at.
    fn task(address: usize) -> *const () {
        without_provenance(address)
    }

    #[test]
    fn only_the_innermost_poll_notices() {
        let ((), outer) = noticed(task(8), || {
            assert!(notice(8));
            let (seen, inner) = noticed(task(16), || notice(8));
            assert!(!seen && !inner);
        });
        assert!(outer);
        assert!(!notice(8));
    }

    #[test]
    fn another_thread_is_no_part_of_the_poll() {
        let (seen, woke_itself) = noticed(task(8), || std::thread::spawn(|| notice(8)).join().unwrap());
        assert!(!seen && !woke_itself);
    }

    #[test]
    fn a_wake_leaves_the_budget_and_a_budget_leaves_the_wake() {
        let ((), woke_itself) = noticed(task(8), || {
            let one = Budget::FULL.spent();
            set_budget(one);
            assert!(notice(8));
            assert!(budget() == one);
            let ((), inner) = noticed(task(16), || assert!(budget() == Budget::FULL));
            assert!(!inner && budget() == one, "a nested poll has a budget of its own");
            set_budget(Budget::FULL);
        });
        assert!(woke_itself);
        assert!(budget() == Budget::UNLIMITED);
    }
}
