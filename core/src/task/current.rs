//! The poll that this thread is in: its task, whether the task has woken itself, and what is left of its budget.
//!
//! Never looks at a task: it hands the pointer back to `cell`. `budget` says what a budget is for.

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
    /// The task of the innermost poll on this thread, and [`WOKE_ITSELF`] in its address. Null: none. An address is reused only
    /// after the poll has ended.
    static TASK: Cell<*const ()> = const { Cell::new(null()) };
    /// What is left to the innermost poll.
    static BUDGET: Cell<Budget> = const { Cell::new(Budget::UNLIMITED) };
}

/// Calls `poll` as the poll of `task`, with a full budget, and says whether the task woke itself meanwhile.
///
/// Such a wake takes no atomic operation. `poll` must not unwind.
#[cfg(feature = "std")]
pub(crate) fn poll<T>(task: *const (), poll: impl FnOnce() -> T) -> (T, bool) {
    crate::executor::context::polling();
    let around = (TASK.replace(task), BUDGET.replace(Budget::FULL));
    let answer = poll();
    BUDGET.set(around.1);
    (answer, TASK.replace(around.0).addr() & WOKE_ITSELF != 0)
}

/// Wakes the task at `address` if it is the one of the innermost poll on this thread.
#[cfg(feature = "std")]
pub(crate) fn wake(address: usize) -> bool {
    let task = TASK.get();
    let is_own = task.addr() & !WOKE_ITSELF == address;
    if is_own {
        TASK.set(task.map_addr(|address| address | WOKE_ITSELF));
    }
    is_own
}

/// The task that this thread is polling, as [`poll`] was given it. Null: none.
#[cfg(feature = "std")]
pub(super) fn task() -> *const () {
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

/// Whether this thread is polling a task.
///
/// Distinguishes wakes made during a poll from the join wake after it.
///
/// # Examples
///
/// ```
/// // Outside of tasks.
/// assert!(!polyexec_core::executor::is_polling());
/// ```
#[cfg(feature = "std")]
#[inline]
pub fn is_polling() -> bool {
    !TASK.get().is_null()
}

/// Without threads there are no thread-locals, and every wake goes to the task's state.
#[cfg(not(feature = "std"))]
pub(crate) fn poll<T>(_task: *const (), poll: impl FnOnce() -> T) -> (T, bool) {
    (poll(), false)
}

/// As above.
#[cfg(not(feature = "std"))]
pub(crate) fn wake(_address: usize) -> bool {
    false
}

#[cfg(all(test, feature = "std", not(polyexec_loom)))]
mod tests {
    use super::*;
    use std::ptr::without_provenance;

    /// An address without a task, since it is only compared.
    fn at(address: usize) -> *const () {
        without_provenance(address)
    }

    #[test]
    fn only_the_task_of_the_innermost_poll_wakes_itself() {
        let ((), outer) = poll(at(8), || {
            assert!(wake(8));
            let (is_own, inner) = poll(at(16), || wake(8));
            assert!(!is_own && !inner);
        });
        assert!(outer);
        assert!(!wake(8));
    }

    #[test]
    fn another_thread_is_no_part_of_the_poll() {
        let (is_own, woke_itself) = poll(at(8), || std::thread::spawn(|| wake(8)).join().unwrap());
        assert!(!is_own && !woke_itself);
    }

    #[test]
    fn a_wake_leaves_the_budget_and_a_budget_leaves_the_wake() {
        let ((), woke_itself) = poll(at(8), || {
            let one = Budget::FULL.spent();
            set_budget(one);
            assert!(wake(8));
            assert!(budget() == one);
            let ((), inner) = poll(at(16), || assert!(budget() == Budget::FULL));
            assert!(!inner && budget() == one, "a nested poll has a budget of its own");
            set_budget(Budget::FULL);
        });
        assert!(woke_itself);
        assert!(budget() == Budget::UNLIMITED);
    }
}
