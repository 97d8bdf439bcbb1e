//! The stack of executors that this thread is in. Runs no user code while the stack is borrowed.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::mem::{replace, take};
use std::sync::Arc;

use crate::Handle;
use crate::executor::Clock;
use crate::sync::thread_local;
use crate::task::cell::TaskRef;

thread_local! {
    static STACK: RefCell<Stack> =
        const { RefCell::new(Stack { frames: Vec::new(), last_number: 0, dropped_aside: Vec::new() }) };
    /// How many frames `STACK` has. A look at `STACK` itself costs more, since that has a destructor.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// `None` while the thread's locals are being destroyed.
pub(super) fn with<T>(act: impl FnOnce(&mut Stack) -> T) -> Option<T> {
    let act = |stack: &RefCell<Stack>| {
        let stack = &mut *stack.borrow_mut();
        let result = act(stack);
        DEPTH.set(stack.frames.len());
        result
    };
    STACK.try_with(act).ok()
}

/// Whether this thread is in no executor.
#[inline]
pub(crate) fn is_outside() -> bool {
    DEPTH.get() == 0
}

/// The executor that was entered last.
pub(super) fn innermost() -> Option<Handle> {
    let last = |stack: &RefCell<Stack>| match &mut stack.borrow_mut().frames[..] {
        [.., Frame { executor: Source::Handle(handle), .. }] => Some(handle.clone()),
        frames => frames.iter_mut().rev().find_map(Frame::handle),
    };
    STACK.try_with(last).ok().flatten()
}

/// The clock of the [innermost] executor, if that has its own.
pub(super) fn clock() -> Option<Arc<dyn Clock>> {
    if is_outside() {
        return None;
    }
    let clock = |stack: &mut Stack| {
        let frame = stack.frames.iter().rfind(|frame| !matches!(frame.executor, Source::None))?;
        frame.clock.clone()
    };
    with(clock).flatten()
}

/// The executor whose tasks this thread runs.
pub(crate) fn resident() -> Option<Handle> {
    if is_outside() {
        return None;
    }
    with(|stack| stack.frames.iter_mut().rfind(|frame| frame.resides)?.handle()).flatten()
}

/// Whether this thread runs tasks of two executors, one inside a task of the other.
pub(crate) fn is_nested() -> bool {
    with(|stack| stack.frames.iter().filter(|frame| frame.resides).count() > 1).unwrap_or(false)
}

/// An executor that this thread is in.
pub(super) struct Frame {
    /// Identifies the frame on this thread.
    number: u64,
    executor: Source,
    /// The executor's own, asked for once.
    clock: Option<Arc<dyn Clock>>,
    /// The thread runs the executor's tasks, not only a future of a caller's.
    resides: bool,
}

/// Where a frame's executor comes from.
pub(super) enum Source {
    Handle(Handle),
    /// The executor of this task. A handle is made when one is asked for.
    Task(TaskRef),
    /// None: the frame is a boundary.
    None,
}

impl Frame {
    fn handle(&mut self) -> Option<Handle> {
        if let Source::Task(_) = &self.executor
            && let Source::Task(task) = replace(&mut self.executor, Source::None)
        {
            self.executor = Source::Handle(Handle::new(task));
        }
        match &self.executor {
            Source::Handle(handle) => Some(handle.clone()),
            Source::Task(_) | Source::None => None,
        }
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame").field("resides", &self.resides).finish_non_exhaustive()
    }
}

pub(super) struct Stack {
    /// The innermost last.
    frames: Vec<Frame>,
    last_number: u64,
    /// Numbers of frames whose guards were dropped while they were put aside.
    dropped_aside: Vec<u64>,
}

impl Stack {
    /// Pushes a frame, and returns its number.
    pub(super) fn push(&mut self, executor: Source, clock: Option<Arc<dyn Clock>>, resides: bool) -> u64 {
        self.last_number += 1;
        self.frames.push(Frame { number: self.last_number, executor, clock, resides });
        self.last_number
    }

    /// Removes a frame at any depth. If the frame was put aside, it is removed when it comes back.
    #[must_use = "drop it once the stack isn't borrowed"]
    pub(super) fn remove(&mut self, number: u64) -> Option<Frame> {
        let position = self.position(number);
        if position.is_none() {
            self.dropped_aside.push(number);
        }
        position.map(|position| self.frames.remove(position))
    }

    /// Puts the frames aside from the last resident one on.
    pub(super) fn put_resident_aside(&mut self) -> Option<Vec<Frame>> {
        let first = self.frames.iter().rposition(|frame| frame.resides);
        first.map(|first| self.frames.split_off(first))
    }

    /// Puts the frames after the boundary aside, and removes the boundary.
    pub(super) fn put_aside_after(&mut self, boundary: u64) -> Option<Vec<Frame>> {
        let boundary = self.position(boundary)?;
        let aside = self.frames.split_off(boundary + 1);
        self.frames.pop();
        Some(aside)
    }

    /// Puts frames back, and returns those whose guards were dropped meanwhile.
    #[must_use = "drop them once the stack isn't borrowed"]
    pub(super) fn put_back(&mut self, aside: &mut Vec<Frame>) -> Vec<Frame> {
        if self.dropped_aside.is_empty() {
            self.frames.append(aside);
            return Vec::new();
        }
        let dropped = &mut self.dropped_aside;
        let was_dropped = |frame: &Frame| {
            let position = dropped.iter().position(|number| *number == frame.number);
            position.map(|position| dropped.swap_remove(position)).is_some()
        };
        let (gone, back): (Vec<_>, Vec<_>) = take(aside).into_iter().partition(was_dropped);
        self.frames.extend(back);
        gone
    }

    #[cfg(all(test, not(polyexec_loom)))]
    pub(super) fn has_dropped_aside(&self) -> bool {
        !self.dropped_aside.is_empty()
    }

    fn position(&self, number: u64) -> Option<usize> {
        self.frames.iter().rposition(|frame| frame.number == number)
    }
}
