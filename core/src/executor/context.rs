//! Which executor runs on this thread. Set once a thread, a `block_on`, or the end of a task in a shutdown; never once a
//! poll.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;
use std::mem::replace;

use std::pin::Pin;
use std::sync::Arc;

use crate::block_on::{block_on_inside, park_on};
use crate::executor::{Clock, Rejected, Task, is_large};
use crate::sync::thread_local;
use crate::task::cell::TaskRef;
use crate::unwind::{catch, contain, discard};
use crate::{Executor, Handle};

/// How every executor implements [`futures_task::Spawn`]: spawned and detached.
///
/// # Errors
///
/// Whatever the reason, `futures_task` knows one error only: that the executor has shut down.
pub fn spawn_obj<E: Executor + Clone>(
    executor: &E,
    future: futures_task::FutureObj<'static, ()>,
) -> Result<(), futures_task::SpawnError> {
    executor.try_spawn(future).map(drop).map_err(|_| futures_task::SpawnError::shutdown())
}

/// Makes `executor` the one that [`spawn`](crate::spawn) and [`Handle::current`] find on this thread, until the guard is dropped.
///
/// For those who write an executor: its `drive` calls this on threads that aren't its own.
pub fn enter(executor: Handle) -> Entered {
    Entered::push(executor, false)
}

/// As [`enter`], for a thread that runs the executor's tasks: [`block_on`](crate::block_on), and with it
/// [`JoinHandle::join`](crate::JoinHandle::join), come to the executor's [`wait`](Executor::wait) here, so that it knows when a task blocks.
pub fn reside(executor: Handle) -> Entered {
    Entered::push(executor, true)
}

/// As [`block_on`](crate::block_on). Where no executor runs on this thread, the one that `default` makes is current meanwhile.
///
/// For a library that has an executor for those who have none. `default` is called each time that somebody asks for the
/// executor, and not before: so this costs next to nothing. The executor must go by the real clock.
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

/// The executor that is current where none was entered.
///
/// # What dropping does
///
/// Has the one before be that again.
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

/// Enters the executor of a task while `end`, which never unwinds, ends the task. Nor does this, whatever the executor does.
///
/// A task with as many references as there may be ends without its executor around it.
pub(crate) fn ending(task: &TaskRef, end: impl FnOnce()) {
    let context = task.try_clone().map(|executor| {
        let clock = catch(|| executor.clock()).unwrap_or_else(|payload| {
            discard(payload);
            None
        });
        Entered::push_frame(clock, Source::Task(executor), false)
    });
    end();
    contain(|| drop(context));
}

/// Runs `work` as if the executor that [resides](reside) on this thread didn't.
///
/// For an executor that runs its tasks on its caller's thread and is about to block that: the caller may be a task of
/// another executor, which is to know. [`block_on`](crate::block_on) and [`block_in_place`](crate::block_in_place) in
/// `work` tell it.
///
/// # Panics
///
/// If `work` does.
pub fn outside<T>(work: impl FnOnce(&mut Outside) -> T) -> T {
    let inside = with(|stack| {
        let first = stack.frames.iter().rposition(|frame| frame.resides);
        first.map(|first| stack.frames.split_off(first))
    });
    work(&mut Outside { inside: inside.flatten().unwrap_or_default() })
}

/// Whether [`outside`] leads into another executor's task.
pub(crate) fn is_nested() -> bool {
    with(|stack| stack.frames.iter().filter(|frame| frame.resides).count() > 1).unwrap_or(false)
}

/// This thread's contexts from the last resident one on, put aside by [`outside`].
#[derive(Debug)]
pub struct Outside {
    inside: Vec<Frame>,
}

impl Outside {
    /// Runs `work`, which is a task's, where that task is: back inside.
    ///
    /// # Panics
    ///
    /// If `work` does.
    pub fn inside<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let _inside = Inside::begin(self);
        work()
    }

    fn put_back(&mut self) {
        let left = with(|stack| stack.put_back(&mut self.inside));
        drop(left);
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
    /// Lies between the contexts outside and those inside.
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
        let inside = with(|stack| {
            let boundary = stack.place(self.boundary?)?;
            let inside = stack.frames.split_off(boundary + 1);
            stack.frames.pop();
            Some(inside)
        });
        self.outside.inside = inside.flatten().unwrap_or_default();
    }
}

/// Undoes [`enter`] or [`reside`] when it is dropped. Guards may be dropped in any order: the executor that was entered last,
/// of those whose guards are left, is the current one.
#[must_use = "dropping this leaves the executor's context"]
#[derive(Debug)]
pub struct Entered {
    /// Its frame. `None`: the thread's locals were being destroyed.
    frame: Option<u64>,
    /// It belongs to its thread.
    not_send: PhantomData<*const ()>,
}

impl Entered {
    fn push(executor: Handle, resides: bool) -> Self {
        Self::push_frame(executor.clock(), Source::Handle(executor), resides)
    }

    fn push_frame(clock: Option<Arc<dyn Clock>>, executor: Source, resides: bool) -> Self {
        // While the thread's locals are being destroyed the frame is dropped here, and nothing is found.
        Self { frame: with(|stack| stack.push(executor, clock, resides)), not_send: PhantomData }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let Some(frame) = self.frame else { return };
        // The last handle of an executor may be dropped here, with code of its own: after the borrow, not under it.
        let left = with(|stack| stack.remove(frame));
        drop(left);
    }
}

/// An executor that this thread is in.
struct Frame {
    /// Tells it from all others of this thread.
    number: u64,
    executor: Source,
    /// The executor's own, asked for once.
    clock: Option<Arc<dyn Clock>>,
    /// Whether the thread runs the executor's tasks, rather than drive a future of somebody's.
    resides: bool,
}

/// Where a frame has its executor from.
enum Source {
    Handle(Handle),
    /// The task's own: until somebody asks for it, it needs no handle.
    Task(TaskRef),
    /// It is a boundary, not an executor.
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

/// What a thread is in.
struct Stack {
    /// The innermost last.
    frames: Vec<Frame>,
    /// How many frames there were so far.
    so_far: u64,
    /// Numbers of frames whose guards were dropped while [`outside`] had put them aside.
    left: Vec<u64>,
}

impl Stack {
    fn push(&mut self, executor: Source, clock: Option<Arc<dyn Clock>>, resides: bool) -> u64 {
        self.so_far += 1;
        self.frames.push(Frame { number: self.so_far, executor, clock, resides });
        self.so_far
    }

    fn place(&self, number: u64) -> Option<usize> {
        self.frames.iter().rposition(|frame| frame.number == number)
    }

    fn remove(&mut self, number: u64) -> Option<Frame> {
        let place = self.place(number);
        if place.is_none() {
            self.left.push(number);
        }
        place.map(|place| self.frames.remove(place))
    }

    /// Puts back what was put aside, and returns those frames of it whose guards were dropped meanwhile.
    #[must_use]
    fn put_back(&mut self, aside: &mut Vec<Frame>) -> Vec<Frame> {
        if self.left.is_empty() {
            self.frames.append(aside);
            return Vec::new();
        }
        let left = &mut self.left;
        let has_left = |frame: &Frame| {
            let place = left.iter().position(|number| *number == frame.number);
            place.map(|place| left.swap_remove(place)).is_some()
        };
        let (gone, back): (Vec<_>, Vec<_>) = std::mem::take(aside).into_iter().partition(has_left);
        self.frames.extend(back);
        gone
    }
}

thread_local! {
    /// What this thread is in.
    static STACK: RefCell<Stack> =
        const { RefCell::new(Stack { frames: Vec::new(), so_far: 0, left: Vec::new() }) };
    /// How many frames there are in `STACK`: known without a look there, whose destructor costs each look something.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// Makes the executor that is current if there are no frames.
    static DEFAULT: Cell<Option<fn() -> Handle>> = const { Cell::new(None) };
}

/// `None` while the thread's locals are being destroyed.
fn with<T>(act: impl FnOnce(&mut Stack) -> T) -> Option<T> {
    let act = |stack: &RefCell<Stack>| {
        let stack = &mut *stack.borrow_mut();
        let result = act(stack);
        DEPTH.set(stack.frames.len());
        result
    };
    STACK.try_with(act).ok()
}

/// Whether no executor was entered on this thread.
#[inline]
pub(crate) fn is_outside() -> bool {
    DEPTH.get() == 0
}

/// As [`Handle::current`].
pub(crate) fn current() -> Option<Handle> {
    if is_outside() { DEFAULT.get().map(|executor| executor()) } else { innermost() }
}

/// The executor that was entered last.
fn innermost() -> Option<Handle> {
    let last = |stack: &RefCell<Stack>| match &mut stack.borrow_mut().frames[..] {
        [.., Frame { executor: Source::Handle(handle), .. }] => Some(handle.clone()),
        frames => frames.iter_mut().rev().find_map(Frame::handle),
    };
    STACK.try_with(last).ok().flatten()
}

/// The clock of the executor that [`Handle::current`] finds.
pub(crate) fn clock() -> Option<Arc<dyn Clock>> {
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

/// The executor that runs on this thread, or one that refuses everything.
pub(crate) fn here() -> Handle {
    Handle::current().unwrap_or_else(|| Handle::new(Nowhere))
}

/// The executor of a thread that has none.
struct Nowhere;

impl Executor for Nowhere {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        Err(Rejected::unable(task, "no executor runs on this thread"))
    }

    fn schedule(&self, task: Task) {
        drop(task);
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        crate::executor::park_on(future);
    }
}

#[cfg(all(test, not(polyexec_loom)))]
mod tests {
    use super::*;
    use std::task::Waker;
    use std::time::{Duration, Instant};

    #[test]
    fn contexts_nest_and_end() {
        assert!(Handle::current().is_none());
        let outer = reside(Handle::new(Nowhere));
        {
            let _inner = enter(Handle::new(Nowhere));
            assert!(Handle::current().is_some() && resident().is_some());
        }
        assert!(Handle::current().is_some());
        outside(|outside| {
            assert!(Handle::current().is_none() && resident().is_none());
            outside.inside(|| assert!(Handle::current().is_some() && resident().is_some()));
            assert!(Handle::current().is_none() && resident().is_none());
        });
        assert!(Handle::current().is_some() && resident().is_some());
        drop(outer);
        assert!(Handle::current().is_none() && resident().is_none());
    }

    /// An executor that is told from others by its clock.
    struct At(Instant);

    impl Executor for At {
        fn submit(&self, task: Task) -> Result<(), Rejected> {
            Nowhere.submit(task)
        }

        fn schedule(&self, task: Task) {
            drop(task);
        }

        fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
            crate::executor::park_on(future);
        }

        fn clock(&self) -> Option<Arc<dyn Clock>> {
            Some(Arc::new(Stopped(self.0)))
        }
    }

    struct Stopped(Instant);

    impl Clock for Stopped {
        fn now(&self) -> Instant {
            self.0
        }

        fn set(&self, _: Instant, _: &Waker) -> u64 {
            unimplemented!()
        }

        fn renew(&self, _: Instant, _: u64, _: &Waker) -> bool {
            unimplemented!()
        }

        fn cancel(&self, _: Instant, _: u64) -> Option<Waker> {
            unimplemented!()
        }
    }

    /// Which of the executors that were entered is the current one, and which is it by its clock.
    fn current(begin: Instant) -> Option<u64> {
        let seconds = |now: Instant| now.duration_since(begin).as_secs();
        let by_clock = clock().map(|clock| seconds(clock.now()));
        let by_handle = Handle::current().and_then(|handle| handle.clock()).map(|clock| seconds(clock.now()));
        assert_eq!(by_clock, by_handle);
        by_handle
    }

    #[test]
    fn guards_are_dropped_in_any_order() {
        let begin = Instant::now();
        let executor = |n| Handle::new(At(begin + Duration::from_secs(n)));
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut guards = [enter(executor(1)), reside(executor(2)), enter(executor(3))].map(Some);
            for dropped in order {
                assert_eq!(current(begin), guards.iter().rposition(Option::is_some).map(|last| last as u64 + 1));
                guards[dropped] = None;
            }
            assert_eq!(current(begin), None, "{order:?}");
            assert!(resident().is_none() && is_outside());
        }
    }

    #[test]
    fn guards_are_dropped_while_their_contexts_are_put_aside() {
        let begin = Instant::now();
        let executor = |n| Handle::new(At(begin + Duration::from_secs(n)));
        let around = enter(executor(1));
        let (resides, within) = (reside(executor(2)), enter(executor(3)));
        let mut new = None;
        outside(|outside| {
            assert_eq!(current(begin), Some(1));
            drop(resides);
            new = Some(enter(executor(4)));
            assert_eq!(current(begin), Some(4));
            outside.inside(|| {
                assert_eq!((current(begin), resident().is_none()), (Some(3), true));
                new = None;
                drop(around);
                assert_eq!(current(begin), Some(3));
                new = Some(enter(executor(5)));
            });
            assert_eq!(current(begin), None);
        });
        assert_eq!(current(begin), Some(5));
        drop(new);
        assert_eq!(current(begin), Some(3));
        drop(within);
        assert!(Handle::current().is_none() && is_outside());
        assert!(with(|stack| stack.left.is_empty()).unwrap());
    }

    #[test]
    fn the_default_is_made_when_somebody_asks_for_it() {
        fn nowhere() -> Handle {
            MADE.set(MADE.get() + 1);
            Handle::new(Nowhere)
        }
        thread_local!(
            static MADE: Cell<usize> = const { Cell::new(0) };
        );

        assert_eq!(block_on_default(nowhere, async { MADE.get() }), 0);
        block_on_default(nowhere, async {
            assert!(Handle::current().is_some() && MADE.get() == 1 && is_outside());
            block_on_default(nowhere, async { assert!(Handle::current().is_some() && MADE.get() == 2) });
            assert!(Handle::current().is_some() && MADE.get() == 3);
            let _inner = enter(Handle::new(Nowhere));
            block_on_default(nowhere, async { assert!(Handle::current().is_some() && MADE.get() == 3) });
        });
        assert!(Handle::current().is_none());
        let panicked =
            std::panic::catch_unwind(|| block_on_default(nowhere, async { std::panic::resume_unwind(Box::new(())) }));
        assert!(panicked.is_err() && Handle::current().is_none());
    }

    #[test]
    fn without_an_executor_a_spawn_resolves_as_rejected() {
        let error = crate::block_on(crate::spawn(async {})).unwrap_err();
        assert!(error.is_rejected() && !error.is_shutdown());
        assert!(format!("{error:?}").contains("no executor runs on this thread"), "{error:?}");
        assert!(error.task().location().file().ends_with("context.rs"));
    }
}
