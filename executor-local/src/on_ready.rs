//! Calls the user's hook when a task becomes ready while no call runs the queue. Knows no queue.
//!
//! The protocol is that of [`Alarm`]: the call that ran the queue sets it and looks at the queue once more; a thread that queues
//! a task rings it afterwards. So one of the two sees the task, and only the one that finds the alarm set calls the hook.

use std::fmt;
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use polyexec_core::executor::Alarm;

#[cfg(all(test, polyexec_loom))]
mod models;

type Hook = Box<dyn Fn() + Send + Sync>;

/// The hook of one executor; none by default.
#[derive(Default)]
pub(crate) struct OnReady(Option<Armed>);

struct Armed {
    hook: Hook,
    /// Set while no call runs the queue, until the hook is called.
    alarm: Alarm,
    /// Calls that run the queue, one inside the other. Only the owner thread uses it.
    running: AtomicUsize,
}

impl OnReady {
    /// No call runs the queue yet.
    pub(crate) fn new(hook: Hook) -> Self {
        let alarm = Alarm::default();
        alarm.set(|| ());
        Self(Some(Armed { hook, alarm, running: AtomicUsize::new(0) }))
    }

    /// For a thread that has queued a task. It must hold no lock.
    #[inline]
    pub(crate) fn queued(&self) {
        if let Some(armed) = &self.0 {
            armed.ring();
        }
    }

    /// As [`queued`](OnReady::queued), on the owner thread.
    #[inline]
    pub(crate) fn queued_here(&self) {
        if let Some(armed) = &self.0
            && armed.running.load(Relaxed) == 0
        {
            armed.ring();
        }
    }

    /// A call runs the queue until the guard is dropped, which asks whether a task `is_ready` then. Owner thread only.
    pub(crate) fn running<R: Fn() -> bool>(&self, is_ready: R) -> Running<'_, R> {
        if let Some(armed) = &self.0 {
            let around = armed.running.load(Relaxed);
            armed.running.store(around + 1, Relaxed);
            if around == 0 {
                armed.alarm.unset();
            }
        }
        Running { on_ready: self, is_ready }
    }
}

impl Armed {
    fn ring(&self) {
        self.alarm.ring(|| contain(&self.hook));
    }
}

/// A call that runs the queue.
#[must_use]
pub(crate) struct Running<'a, R: Fn() -> bool> {
    on_ready: &'a OnReady,
    is_ready: R,
}

impl<R: Fn() -> bool> Drop for Running<'_, R> {
    fn drop(&mut self) {
        let Some(armed) = &self.on_ready.0 else { return };
        let left = armed.running.load(Relaxed) - 1;
        armed.running.store(left, Relaxed);
        if left == 0 && armed.alarm.set(&self.is_ready) {
            armed.ring();
        }
    }
}

/// The panic hook has reported a panic. Its payload's drop may panic, too; the payload of that panic is leaked.
fn contain(hook: &Hook) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(hook)) {
        catch_unwind(AssertUnwindSafe(|| drop(payload))).unwrap_or_else(std::mem::forget);
    }
}

// A panic of the hook is contained, and the hook is called again all the same.
impl UnwindSafe for OnReady {}
impl RefUnwindSafe for OnReady {}

impl fmt::Debug for OnReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnReady").field(&self.0.is_some()).finish()
    }
}
