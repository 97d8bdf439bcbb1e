//! `block_on` for threads that are in no executor: a default one is current meanwhile.

use std::cell::Cell;

use super::stack::is_outside;
use crate::Handle;
use crate::block_on::{block_on_inside, park_on};
use crate::executor::is_large;
use crate::sync::thread_local;

thread_local! {
    /// Makes the executor that is current where none was entered.
    static DEFAULT: Cell<Option<fn() -> Handle>> = const { Cell::new(None) };
}

/// As [`block_on`](crate::block_on), with a default executor: on a thread without an executor, `default` makes the current one.
///
/// For a library that provides an executor. Each lookup of the current executor calls `default`; without a lookup, this costs next
/// to nothing. The executor must use the real clock.
///
/// # Panics
///
/// If `future` does.
#[inline]
pub fn block_on_default<F: Future>(default: fn() -> Handle, future: F) -> F::Output {
    if const { is_large::<F>() } {
        return block_on_small(default, Box::pin(future));
    }
    block_on_small(default, future)
}

#[inline]
fn block_on_small<F: Future>(default: fn() -> Handle, future: F) -> F::Output {
    if !is_outside() {
        return block_on_inside(future);
    }
    let _default = WithDefault::begin(default);
    park_on(future)
}

/// The default executor, if there is one.
pub(super) fn default() -> Option<Handle> {
    DEFAULT.get().map(|executor| executor())
}

/// Restores the default of before when it is dropped.
struct WithDefault {
    before: Option<fn() -> Handle>,
}

impl WithDefault {
    #[inline]
    fn begin(executor: fn() -> Handle) -> Self {
        Self { before: DEFAULT.replace(Some(executor)) }
    }
}

impl Drop for WithDefault {
    #[inline]
    fn drop(&mut self) {
        DEFAULT.set(self.before);
    }
}
