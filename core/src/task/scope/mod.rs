//! Tasks that borrow from the function that spawned them, which blocks until they have ended. `child` has the `unsafe` code.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::marker::PhantomData;
use core::panic::{Location, RefUnwindSafe, UnwindSafe};
use core::pin::pin;
use std::panic::resume_unwind;

use super::large::{Boxed, is_large};
use crate::task::cell::Label;
use crate::unwind::catch;
use crate::{Executor, Handle};

use child::{Child, Children, Count};
pub use handle::ScopedJoinHandle;
use outcome::{Failure, Outcome, Slot};

mod child;
mod handle;
mod outcome;

/// Spawns children that may borrow for `'scope`. Lent by [`Executor::scope`] to its body, and by the body to the children.
///
/// It is what [`std::thread::Scope`] is for threads. The scope of async code has no lifetimes: `polyexec::Scope`, whose children
/// own what they use.
///
/// # What dropping does
///
/// There is only a reference, whose drop does nothing. The scope ends when [`Executor::scope`] returns.
pub struct Scope<'scope, 'env: 'scope> {
    executor: Handle,
    count: Arc<Count>,
    /// Invariant, so that no other lifetime passes for these.
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

impl<'scope> Scope<'scope, '_> {
    /// Spawns a child on the scope's executor, as [`Executor::spawn`] does. The future may borrow what outlives the scope.
    ///
    /// If the executor refuses the child, its future is dropped, and its handle resolves with an error. If the handle is dropped,
    /// too, the scope panics.
    #[track_caller]
    pub fn spawn<F>(&'scope self, future: F) -> ScopedJoinHandle<'scope, F::Output>
    where
        F: Future + Send + 'scope,
        F::Output: Send + 'scope,
    {
        if const { is_large::<F>() } {
            return self.spawn_small(Boxed::from(Box::new(future)));
        }
        self.spawn_small(future)
    }

    /// As [`spawn`](Scope::spawn), for a future that need not be `Send`, on an executor that
    /// [runs all its tasks here](Executor::runs_only_here), as `polyexec_local::Local` does.
    ///
    /// # Panics
    ///
    /// If the executor doesn't.
    #[track_caller]
    pub fn spawn_local<F>(&'scope self, future: F) -> ScopedJoinHandle<'scope, F::Output>
    where
        F: Future + 'scope,
        F::Output: 'scope,
    {
        if const { is_large::<F>() } {
            return self.spawn_small_local(Boxed::from(Box::new(future)));
        }
        self.spawn_small_local(future)
    }

    #[track_caller]
    fn spawn_small_local<F>(&'scope self, future: F) -> ScopedJoinHandle<'scope, F::Output>
    where
        F: Future + 'scope,
        F::Output: 'scope,
    {
        let (slot, outcome) = (Slot::new(), Arc::new(Outcome::new(Location::caller(), self.count.clone())));
        // SAFETY: as in `spawn_small`.
        let child = unsafe { Child::new_local(future, slot.clone(), outcome.clone(), self.count.begin()) };
        let task = super::thread_bound::spawn(self.executor.clone(), child, Label::here());
        ScopedJoinHandle::new(task, slot, outcome)
    }

    #[track_caller]
    fn spawn_small<F>(&'scope self, future: F) -> ScopedJoinHandle<'scope, F::Output>
    where
        F: Future + Send + 'scope,
        F::Output: Send + 'scope,
    {
        let (slot, outcome) = (Slot::new(), Arc::new(Outcome::new(Location::caller(), self.count.clone())));
        // SAFETY: `run`, which alone makes scopes, returns after the count was zero, and `'scope` lasts until then. This call
        // is in its body or in a child, so the count isn't final yet.
        let child = unsafe { Child::new(future, slot.clone(), outcome.clone(), self.count.begin()) };
        let task = super::spawn(self.executor.clone(), child, Label::here());
        ScopedJoinHandle::new(task, slot, outcome)
    }
}

// A child's panic stays with the child.
impl UnwindSafe for Scope<'_, '_> {}
impl RefUnwindSafe for Scope<'_, '_> {}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").finish_non_exhaustive()
    }
}

/// See [`Executor::scope`].
#[track_caller]
pub(crate) fn run<'env, T>(executor: Handle, body: impl for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T) -> T {
    let counted = Children::new();
    let scope = Scope { executor: executor.clone(), count: counted.count(), scope: PhantomData, env: PhantomData };
    // Dropped before `scope`, which the children may use.
    let children = counted;
    let mut returned = None;
    // In one `drive`: if that panics before it polls, the body hasn't begun.
    executor.drive(pin!(async {
        returned = Some(catch(|| body(&scope)));
        children.ended().await;
    }));
    let failure = children.finish();
    match (returned.expect("`drive` returns when the future is ready"), failure) {
        (Ok(output), None) => output,
        (Ok(_), Some(failure)) => failure.resume(),
        (Err(payload), of_a_child) => {
            of_a_child.into_iter().for_each(Failure::discard);
            resume_unwind(payload)
        }
    }
}
