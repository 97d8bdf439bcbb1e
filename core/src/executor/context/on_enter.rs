//! What a program does on each thread before that polls futures. Knows nothing of it.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use crate::unwind::contain;

static HOOK: OnceLock<fn()> = OnceLock::new();

/// Whether there is a hook: each poll, and each `block_on`, of a program without one only looks at this.
static IS_SET: Apart = Apart(AtomicBool::new(false));

/// On cache lines of its own, so that what is beside it in memory may change without cost to the polls.
#[repr(align(128))]
struct Apart(AtomicBool);

thread_local! {
    /// Whether this thread has called the hook.
    static HAS_CALLED: Cell<bool> = const { Cell::new(false) };
}

/// Calls `hook` on each thread that enters an executor's context or blocks on a future, each time, before the first poll. Also
/// before a shutdown drops a future. A thread that has entered before this call calls it once, before its next poll.
///
/// For what must be in place on all threads that poll futures, such as another runtime's context. A thread that runs tasks
/// stays in its executor's context, so it calls `hook` once. `hook` should cost little where its work is done. If it panics,
/// the panic hook alone hears of it.
///
/// A process has one hook: returns `false` if it has another one already.
///
/// # Examples
///
/// ```
/// use std::cell::Cell;
///
/// use polyexec_core::{block_on, executor::context};
///
/// thread_local! {
///     static ENTRIES: Cell<u32> = const { Cell::new(0) };
/// }
///
/// assert!(context::on_enter(|| ENTRIES.set(ENTRIES.get() + 1)));
/// assert_eq!(block_on(async { ENTRIES.get() }), 1);
/// ```
pub fn on_enter(hook: fn()) -> bool {
    // A function may have several addresses: two calls with the same one may count as two hooks.
    let is_first = HOOK.set(hook).is_ok();
    // Relaxed, here and where it is read: the hook itself comes with an order of its own.
    IS_SET.0.store(true, Relaxed);
    is_first
}

/// Calls the hook, if there is one. Costs a load if there is none.
#[inline(always)]
pub(crate) fn entering() {
    if IS_SET.0.load(Relaxed) {
        call();
    }
}

/// As [`entering`], before another poll on a thread that has entered, perhaps before there was a hook.
#[inline(always)]
pub(crate) fn polling() {
    if IS_SET.0.load(Relaxed) {
        call_once();
    }
}

/// Not inlined: the polls of a program without a hook keep their registers.
#[cold]
#[inline(never)]
fn call_once() {
    if !HAS_CALLED.get() {
        call();
    }
}

#[cold]
fn call() {
    if let Some(hook) = HOOK.get() {
        // First: the hook may poll.
        HAS_CALLED.set(true);
        contain(hook);
    }
}
