//! Leaves an executor's context for a while, and returns to it. For executors that run tasks on their caller's thread.

use super::stack::{Frame, Source, with};

/// Runs `work` as if the executor that [resides](super::reside) on this thread didn't.
///
/// For an executor that runs its tasks on its caller's thread and is about to block it. The caller may be a task of another
/// executor, which should know: [`block_on`](crate::block_on) and [`block_in_place`](crate::block_in_place) in `work` tell it.
///
/// # Panics
///
/// If `work` does.
pub fn outside<T>(work: impl FnOnce(&mut Outside) -> T) -> T {
    let aside = with(|stack| stack.put_resident_aside());
    work(&mut Outside { aside: aside.flatten().unwrap_or_default() })
}

/// The contexts that [`outside`] has put aside: the last resident one, and those entered after it.
#[derive(Debug)]
pub struct Outside {
    aside: Vec<Frame>,
}

impl Outside {
    /// Runs `work` of a task back inside the task's contexts.
    ///
    /// # Panics
    ///
    /// If `work` does.
    pub fn inside<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let _inside = Inside::begin(self);
        work()
    }

    fn put_back(&mut self) {
        let gone = with(|stack| stack.put_back(&mut self.aside));
        drop(gone);
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.put_back();
    }
}

/// Puts the contexts aside again when it is dropped.
struct Inside<'a> {
    outside: &'a mut Outside,
    /// The number of a frame between the contexts outside and those inside.
    boundary: Option<u64>,
}

impl<'a> Inside<'a> {
    fn begin(outside: &'a mut Outside) -> Self {
        let boundary = with(|stack| stack.push(Source::None, None, false));
        outside.put_back();
        Self { outside, boundary }
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let aside = self.boundary.and_then(|boundary| with(|stack| stack.put_aside_after(boundary)));
        self.outside.aside = aside.flatten().unwrap_or_default();
    }
}
