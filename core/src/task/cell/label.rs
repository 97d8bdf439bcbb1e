//! What a cell keeps of its spawn, in one word: the place, and in a box the name and the observer if there are any.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::panic::Location;
use core::ptr::NonNull;

use crate::observe::TaskObserver;

/// The address of a [`Location`], or of a box of [`More`] with a flag in the address's lowest bit.
pub(crate) struct Label(NonNull<()>);

struct More {
    location: &'static Location<'static>,
    name: Option<Box<str>>,
    observer: Option<Arc<dyn TaskObserver>>,
}

/// It is a box.
const BOXED: usize = 1;

const _: () = assert!(align_of::<Location<'_>>() > BOXED && align_of::<More>() > BOXED);

const _: () = {
    const fn may_be_shared<T: Send + Sync>() {}
    may_be_shared::<More>();
    may_be_shared::<Location<'_>>();
};

// SAFETY: it owns a `More` or refers to a `Location`. Both are `Send` and `Sync`, as the compiler has checked above.
unsafe impl Send for Label {}
// SAFETY: as above.
unsafe impl Sync for Label {}

impl Label {
    /// The caller's place.
    #[inline]
    #[track_caller]
    pub(crate) fn here() -> Self {
        Self(NonNull::from(Location::caller()).cast())
    }

    pub(crate) fn named(self, name: Box<str>) -> Self {
        Self::boxed(More { location: self.location(), name: Some(name), observer: None })
    }

    #[cfg(feature = "std")]
    pub(crate) fn observed_by(mut self, observer: Arc<dyn TaskObserver>) -> Self {
        let name = self.more_mut().and_then(|more| more.name.take());
        Self::boxed(More { location: self.location(), name, observer: Some(observer) })
    }

    fn boxed(more: More) -> Self {
        Self(NonNull::from(Box::leak(Box::new(more))).cast().map_addr(|address| address | BOXED))
    }

    fn is_boxed(&self) -> bool {
        self.0.addr().get() & BOXED != 0
    }

    fn pointer(&self) -> *mut () {
        self.0.as_ptr().map_addr(|address| address & !BOXED)
    }

    fn more(&self) -> Option<&More> {
        // SAFETY: it is this one's box; `map_addr` has kept where the pointer comes from.
        self.is_boxed().then(|| unsafe { &*self.pointer().cast() })
    }

    #[cfg(feature = "std")]
    fn more_mut(&mut self) -> Option<&mut More> {
        // SAFETY: as in `more`, and `self` is borrowed exclusively.
        self.is_boxed().then(|| unsafe { &mut *self.pointer().cast() })
    }

    pub(crate) fn location(&self) -> &'static Location<'static> {
        match self.more() {
            Some(more) => more.location,
            // SAFETY: without the flag it is the address of a `'static` location.
            None => unsafe { &*self.pointer().cast() },
        }
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.more()?.name.as_deref()
    }

    pub(crate) fn observer(&self) -> Option<&dyn TaskObserver> {
        self.more()?.observer.as_deref()
    }
}

impl Drop for Label {
    fn drop(&mut self) {
        if self.is_boxed() {
            // SAFETY: as in `more`, and nothing uses it after this.
            drop(unsafe { Box::<More>::from_raw(self.pointer().cast()) });
        }
    }
}

#[cfg(all(test, feature = "std", not(polyexec_loom)))]
mod tests {
    use super::*;

    struct Nothing;

    impl TaskObserver for Nothing {}

    #[test]
    fn it_keeps_what_it_was_given() {
        let observer: Arc<dyn TaskObserver> = Arc::new(Nothing);
        let (plain, line) = (Label::here(), line!());
        assert!(plain.location().line() == line && plain.name().is_none() && plain.observer().is_none());
        let named = Label::here().named("name".into());
        assert!(named.location().line() == line + 2 && named.name() == Some("name") && named.observer().is_none());
        let both = named.observed_by(observer.clone());
        assert!(both.location().line() == line + 2 && both.name() == Some("name") && both.observer().is_some());
        let observed = plain.observed_by(observer.clone());
        assert!(observed.location().line() == line && observed.name().is_none() && observed.observer().is_some());
        drop((both, observed));
        assert_eq!(Arc::strong_count(&observer), 1);
    }
}
