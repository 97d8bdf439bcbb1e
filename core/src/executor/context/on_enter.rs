//! What a program does on each thread before that polls futures. Knows nothing of it.

use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use crate::unwind::contain;

static HOOK: OnceLock<fn()> = OnceLock::new();

/// Whether there is a hook: a `block_on` of a program without one should only look at this.
static IS_SET: AtomicBool = AtomicBool::new(false);

/// Calls `hook` on each thread that enters an executor's context or blocks on a future, each time, before the first poll. Also
/// before a shutdown drops a future.
///
/// For what must be in place on all threads that poll futures, such as another runtime's context. A thread that runs tasks
/// stays in its executor's context, so it calls `hook` once; one that has entered before this call doesn't. `hook` should
/// cost little where its work is done. If it panics, the panic hook alone hears of it.
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
    // Relaxed, here and in `entering`: the hook itself comes with an order of its own.
    IS_SET.store(true, Relaxed);
    is_first
}

/// Calls the hook, if there is one. Costs a load if there is none.
#[inline(always)]
pub(crate) fn entering() {
    if IS_SET.load(Relaxed) {
        call();
    }
}

#[cold]
fn call() {
    if let Some(hook) = HOOK.get() {
        contain(hook);
    }
}
