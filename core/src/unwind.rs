//! Catches panics with `std`; without it they unwind. Cleans up in either case.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use core::any::Any;

/// What a panic carried: usually a `String` or a `&'static str`.
pub(crate) type Payload = Box<dyn Any + Send>;

/// Runs user code. A panic comes back as its payload; without `std` nothing is caught.
///
/// Asserting unwind safety is right here: the closure may leave only the user's future half-changed, which is dropped after
/// a panic and never polled again.
pub(crate) fn catch<T>(run: impl FnOnce() -> T) -> Result<T, Payload> {
    #[cfg(feature = "std")]
    return std::panic::catch_unwind(core::panic::AssertUnwindSafe(run));
    #[cfg(not(feature = "std"))]
    return Ok(run());
}

/// Calls its closure when it is dropped, also by a panic. Use it for what must follow user code: without `std` nothing is caught.
#[must_use = "dropped here, it runs before the code that it should follow"]
pub(crate) struct Guard<F: Fn()>(F);

impl<F: Fn()> Guard<F> {
    pub(crate) fn new(run: F) -> Self {
        Self(run)
    }

    /// Forgets the closure, which must not own anything.
    pub(crate) fn disarm(self) {
        core::mem::forget(self);
    }
}

impl<F: Fn()> Drop for Guard<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Stands for the payload of a panic that still unwinds, without `std`. Takes no memory.
pub(crate) fn uncaught() -> Payload {
    struct Uncaught;

    Box::new(Uncaught)
}

/// Runs user code whose panic no handle could report. The panic hook has reported it already.
pub(crate) fn contain(run: impl FnOnce()) {
    if let Err(payload) = catch(run) {
        discard(payload);
    }
}

/// Drops a payload. Its destructor may panic; the payload of that panic is leaked, since its destructor may panic, too.
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
