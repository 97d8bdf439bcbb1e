//! Catches panics where there is `std`, and lets them be where there is none. Cleans up in either case.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use core::any::Any;

/// What a panic carried: usually a `String` or a `&'static str`.
pub(crate) type Payload = Box<dyn Any + Send>;

/// Runs user code. A panic comes back as its payload; without `std` nothing is caught.
///
/// Asserting unwind safety is sound for us: what the closure leaves half-changed is the user's future, which is
/// dropped after a panic and never polled again.
pub(crate) fn catch<T>(run: impl FnOnce() -> T) -> Result<T, Payload> {
    #[cfg(feature = "std")]
    return std::panic::catch_unwind(core::panic::AssertUnwindSafe(run));
    #[cfg(not(feature = "std"))]
    return Ok(run());
}

/// Calls its closure when it is dropped: at the end of a block, and as well when a panic unwinds out of that. What must follow
/// user code is in one of these, since without `std` nothing is caught.
#[must_use = "dropped here, it runs before what it is to follow"]
pub(crate) struct Guard<F: Fn()>(F);

impl<F: Fn()> Guard<F> {
    pub(crate) fn new(run: F) -> Self {
        Self(run)
    }

    /// Nothing is left to be done. The closure must not own anything, since it isn't dropped.
    pub(crate) fn disarm(self) {
        core::mem::forget(self);
    }
}

impl<F: Fn()> Drop for Guard<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Stands for the payload of a panic that nobody has caught: without `std`, it unwinds further. Takes no memory.
pub(crate) fn uncaught() -> Payload {
    struct Uncaught;

    Box::new(Uncaught)
}

/// Runs user code for whose panic there is nobody to tell. The panic hook has spoken already.
pub(crate) fn contain(run: impl FnOnce()) {
    if let Err(payload) = catch(run) {
        discard(payload);
    }
}

/// Drops a payload, whose own `Drop` may panic, and so may the `Drop` of that panic's payload: that one is leaked.
pub(crate) fn discard(payload: Payload) {
    if let Err(second) = catch(move || drop(payload)) {
        core::mem::forget(second);
    }
}

/// The message of a panic, if it has one.
pub(crate) fn message(payload: &(dyn Any + Send)) -> Option<Cow<'static, str>> {
    match payload.downcast_ref::<&'static str>() {
        Some(message) => Some((*message).into()),
        None => payload.downcast_ref::<String>().map(|message| message.clone().into()),
    }
}
