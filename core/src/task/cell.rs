//! The one allocation of a task: its state, its executor, and its future or result in the same place; and the counted
//! reference to it. One of the two files with `unsafe` code. Decides nothing by itself: who may touch what is written in
//! `state`.
//!
//! A reference is one pointer, and each cell begins with a [`Header`] that says how to reach the rest of it. That, and
//! counting in the word of the state, makes a waiting task 40 bytes smaller than with `Arc<dyn Trait>`, and saves an
//! atomic operation wherever a change of the state goes along with one of the count.

use alloc::boxed::Box;
#[cfg(feature = "std")]
use alloc::sync::Arc;
use core::marker::PhantomData;
use core::mem::{ManuallyDrop, forget, transmute};
use core::num::NonZero;
use core::ops::Deref;
use core::pin::Pin;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::Ordering::AcqRel;
use core::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use super::label::Label;
use super::large::is_large;
#[cfg(feature = "std")]
pub(crate) use super::state::MAX_WORD;
use super::state::{Cancelled, OnBegin, OnCancel, OnComplete, OnDetach, OnEnd, OnJoin, OnTakeBack, OnWake, State};
use super::{Ran, Task, TaskId, TaskInfo, polled};
use crate::Executor;
#[cfg(feature = "std")]
use crate::error::Rejected;
use crate::error::{Failure, JoinError};
use crate::sync::{AtomicPtr, UnsafeCell};
use crate::unwind::{Guard, catch, contain, discard, uncaught};

/// What all cells have in common, whatever their types.
pub(crate) struct Header {
    state: State,
    typed: &'static Typed,
    pub(crate) id: TaskId,
    join_waker: UnsafeCell<Option<JoinWaker>>,
}

/// The header comes first, so that a pointer to a cell is one to its header.
#[repr(C)]
struct Cell<F: Future, E, L> {
    header: Header,
    label: L,
    executor: E,
    stage: UnsafeCell<Stage<F>>,
}

enum Stage<F: Future> {
    /// Pinned: stays where it is until it is dropped.
    Future(F),
    Finished(Result<F::Output, Failure>),
    /// The result was taken, or never came to be.
    Empty,
}

/// What depends on the types of a cell. Each function must be given a reference to a cell of these types.
struct Typed {
    /// As [`TaskRef::run`].
    run: unsafe fn(TaskRef, Option<&dyn Table>) -> Ran,
    /// Drops the future, or the output of one whose drop panicked, and stores why there is none. The stage must be the
    /// caller's.
    fail: unsafe fn(&TaskRef, Failure),
    schedule: unsafe fn(&TaskRef, Task),
    #[cfg(feature = "std")]
    executor: unsafe fn(&TaskRef) -> &dyn Executor,
    label: unsafe fn(&TaskRef) -> &dyn Label,
    /// A [`TakeResult`] of the output's type.
    take_result: *const (),
    /// Drops what is in the stage, where it is. The stage must be the caller's.
    empty_stage: unsafe fn(&TaskRef),
    /// There must be no other reference.
    free: unsafe fn(NonNull<Header>),
}

/// Moves the result out; pending if there is none. The stage must be the caller's. By value, and so of a type that only the
/// handle knows: a large result is moved once, to where the handle's caller wants it.
type TakeResult<T> = unsafe fn(&TaskRef) -> Poll<Result<T, JoinError>>;

/// Where an executor enters its tasks before they rest for the first time. Never panics.
pub(crate) trait Table {
    /// Enters a task that the caller has claimed, or says why it can't.
    fn admit(&self, task: &TaskRef) -> Result<(), Failure>;
    /// Forgets a task that was entered here.
    fn remove(&self, task: &TaskRef);
}

/// A counted reference to a cell, to whom its types don't matter.
///
/// The pointer comes from the cell's box, and may reach all of it, not only the header. It goes through wakers, slots and join
/// wakers as a pointer, never as an integer.
pub(crate) struct TaskRef(NonNull<Header>);

// SAFETY: the constructors of cells ask that future and output may go to other threads, or see to it that they don't.
// The two `UnsafeCell`s are touched only by whom `state` names their owner, one thread at a time, with an acquire of
// what the owner before released. Executors and labels are `Send + Sync`.
unsafe impl Send for TaskRef {}
// SAFETY: as for `Send`.
unsafe impl Sync for TaskRef {}

impl TaskRef {
    pub(crate) fn header(&self) -> &Header {
        // SAFETY: a counted reference keeps the cell.
        unsafe { self.0.as_ref() }
    }

    fn state(&self) -> &State {
        &self.header().state
    }

    fn typed(&self) -> &'static Typed {
        self.header().typed
    }

    /// Tells this task from all others that there are.
    pub(crate) fn address(&self) -> usize {
        self.0.addr().get()
    }

    pub(crate) fn info(&self) -> TaskInfo {
        // SAFETY: the functions in a cell's header are those of its types.
        TaskInfo::new(self.header().id, unsafe { (self.typed().label)(self) })
    }

    /// The executor's word.
    pub(crate) fn word(&self) -> u32 {
        self.state().word()
    }

    /// Notes a word of the executor's, and gives its table a reference. Only for whoever has claimed the task, once.
    #[cfg(feature = "std")]
    pub(crate) fn admit(&self, word: u32) -> Self {
        self.state().admit(word);
        Self(self.0)
    }

    /// As `clone`. `None` where that panics.
    #[cfg(feature = "std")]
    pub(crate) fn try_clone(&self) -> Option<Self> {
        self.state().try_refer().then(|| Self(self.0))
    }

    /// Polls the future once, or drops it if the task is to be cancelled. `self` is the `Task`'s reference.
    #[inline]
    pub(crate) fn run(self, table: Option<&dyn Table>) -> Ran {
        // SAFETY: the functions in a cell's header are those of its types.
        unsafe { (self.typed().run)(self, table) }
    }

    /// Ends a task that won't be run. `self` is the `Task`'s reference.
    pub(crate) fn end_unrun(self, why: Failure) {
        match self.state().end_unrun() {
            // SAFETY: the stage is ours.
            OnCancel::Cancel => unsafe { self.fail(why, None) },
            OnCancel::Nothing => {}
        }
    }

    /// As [`end_unrun`](TaskRef::end_unrun), for a task that goes down with its executor.
    fn end_dropped(self) {
        match self.state().end_unrun() {
            // SAFETY: the stage is ours.
            OnCancel::Cancel => unsafe { self.fail_with_executor() },
            OnCancel::Nothing => {}
        }
    }

    /// For a shutdown that has found the task. Runs no user code, so a lock may be held; what it returns is to be dropped
    /// after that.
    #[cfg(feature = "std")]
    pub(crate) fn shut_down(&self) -> Option<Condemned> {
        match self.state().shut_down() {
            // The state has counted it.
            OnCancel::Cancel => Some(Condemned(ManuallyDrop::new(Self(self.0)))),
            OnCancel::Nothing => None,
        }
    }

    pub(crate) fn abort(&self) {
        self.enqueue_if(self.state().abort());
    }

    fn wake(&self) {
        if !polled::notice(self.address()) {
            self.enqueue_if(self.state().wake());
        }
    }

    fn enqueue_if(&self, owed: OnWake) {
        if owed == OnWake::Enqueue {
            // The state has counted it.
            let task = Task::of(Unrun::new(Self(self.0)));
            // SAFETY: the functions in a cell's header are those of its types.
            unsafe { (self.typed().schedule)(self, task) }
        }
    }

    /// Drops the future, and completes without output. Forgets the task in the table that it runs through, if any.
    ///
    /// # Safety
    ///
    /// The stage must be the caller's.
    unsafe fn fail(self, failure: Failure, table: Option<&dyn Table>) {
        let task = ManuallyDrop::new(self);
        // SAFETY: the result is stored, even if this is called because the future's destructor unwinds. Nobody uses `task`
        // after this.
        let finishing = Guard::new(|| unsafe { Self(task.0).finish(table) });
        // SAFETY: the functions in a cell's header are those of its types; the stage is the caller's.
        unsafe { (task.typed().fail)(&task, failure) };
        drop(finishing);
    }

    /// As [`fail`](TaskRef::fail), because the executor shuts down. The future is dropped in that executor's context, on
    /// whatever thread this is.
    ///
    /// # Safety
    ///
    /// The stage must be the caller's.
    unsafe fn fail_with_executor(self) {
        let task = ManuallyDrop::new(self);
        // SAFETY: as in `fail`.
        let finishing = Guard::new(|| unsafe { Self(task.0).finish(None) });
        // SAFETY: the functions in a cell's header are those of its types; the stage is the caller's.
        let end = || unsafe { (task.typed().fail)(&task, Failure::ShutDown) };
        #[cfg(feature = "std")]
        crate::executor::context::ending(&task, end);
        #[cfg(not(feature = "std"))]
        end();
        drop(finishing);
    }

    /// Tells the handle that the result is stored; drops the result if the handle is gone.
    ///
    /// # Safety
    ///
    /// The stage must be the caller's, and hold the result.
    unsafe fn complete(self) {
        match self.state().complete() {
            OnComplete::Wake => {
                // SAFETY: the handle had offered the slot when we completed, so it is ours for good.
                let waker = unsafe { self.header().take_join_waker() };
                contain(|| waker.into_iter().for_each(|waker| waker.into_waker().wake()));
            }
            // SAFETY: the handle was gone when we completed, so the stage stayed ours.
            OnComplete::Discard => unsafe { self.discard_result() },
            // Our reference was given back.
            OnComplete::Nothing => forget(self),
        }
    }

    /// Ends a pending poll. An error is why the task may not rest; the stage is still the caller's then.
    fn end(&self, woke_itself: bool, table: Option<&dyn Table>) -> Result<OnEnd, Failure> {
        match (self.state().end(woke_itself, table.is_some()), table) {
            (OnEnd::Admit, Some(table)) => table.admit(self).map(|()| self.state().end(false, false)),
            (end, _) => Ok(end),
        }
    }

    /// Forgets in the table a task whose result is stored, and completes it.
    ///
    /// # Safety
    ///
    /// The stage must be the caller's, and hold the result.
    unsafe fn finish(self, table: Option<&dyn Table>) {
        if self.word() != 0
            && let Some(table) = table
        {
            table.remove(&self);
        }
        // SAFETY: as asked of the caller.
        unsafe { self.complete() };
    }

    /// # Safety
    ///
    /// The stage must be the caller's.
    unsafe fn discard_result(&self) {
        // SAFETY: the functions in a cell's header are those of its types; the stage is the caller's.
        contain(|| unsafe { (self.typed().empty_stage)(self) });
    }

    /// # Safety
    ///
    /// It must be the last reference.
    unsafe fn free(self) {
        let (free, cell) = (self.typed().free, self.0);
        forget(self);
        // SAFETY: the functions in a cell's header are those of its types; there is no other reference.
        unsafe { free(cell) }
    }
}

#[cfg(feature = "std")]
impl TaskRef {
    fn executor(&self) -> &dyn Executor {
        // SAFETY: the functions in a cell's header are those of its types.
        unsafe { (self.typed().executor)(self) }
    }
}

/// As the task's executor.
#[cfg(feature = "std")]
impl Executor for TaskRef {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        self.executor().submit(task)
    }

    fn schedule(&self, task: Task) {
        self.executor().schedule(task);
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        self.executor().drive(future);
    }

    fn wait(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        self.executor().wait(future);
    }

    fn block_in_place(&self, work: &mut dyn FnMut()) {
        self.executor().block_in_place(work);
    }

    fn clock(&self) -> Option<Arc<dyn crate::executor::Clock>> {
        self.executor().clock()
    }
}

impl Clone for TaskRef {
    fn clone(&self) -> Self {
        self.state().refer();
        Self(self.0)
    }
}

impl Drop for TaskRef {
    fn drop(&mut self) {
        if self.state().unrefer() {
            // SAFETY: it was the last reference, and the cell's own functions are given it.
            unsafe { (self.typed().free)(self.0) }
        }
    }
}

impl Header {
    pub(crate) fn is_finished(&self) -> bool {
        self.state.is_completed()
    }

    /// For the handle: sees to it that the task's completion wakes `newest`. `Completed` says that it has come already,
    /// and wakes nobody.
    fn wait(&self, newest: &Waker) -> OnJoin {
        let reclaimed = match self.state.is_waker_offered() {
            true => self.state.reclaim_waker(),
            false if self.state.is_completed() => OnJoin::Completed,
            false => OnJoin::Pending,
        };
        if reclaimed == OnJoin::Completed {
            return OnJoin::Completed;
        }
        // Should a waker's `clone` or `drop` panic below, the slot stays ours, with a whole waker in it or none.
        self.join_waker.with_mut(|slot| {
            // SAFETY: it isn't offered, so the slot is the handle's.
            let slot = unsafe { &mut *slot };
            if !slot.as_ref().is_some_and(|waker| waker.will_wake(newest)) {
                let newest = JoinWaker::new(newest);
                drop(slot.replace(newest));
            }
        });
        let offered = self.state.offer_waker();
        if offered == OnJoin::Completed {
            // SAFETY: whoever completed saw no waker, so the slot stayed ours.
            drop(unsafe { self.take_join_waker() });
        }
        offered
    }

    /// # Safety
    ///
    /// The slot must be the caller's.
    unsafe fn take_join_waker(&self) -> Option<JoinWaker> {
        // SAFETY: the slot is the caller's, so this is the only reference to it.
        self.join_waker.with_mut(|slot| unsafe { (*slot).take() })
    }

    /// Why the state said `Cancel`.
    fn cancelled(&self) -> Failure {
        match self.state.cancelled() {
            Cancelled::Aborted => Failure::Cancelled,
            Cancelled::ShutDown => Failure::ShutDown,
        }
    }
}

/// The waker of every task: a reference, as the pointer that it is.
static WAKER: RawWakerVTable = RawWakerVTable::new(
    |cell| {
        // SAFETY: the waker has a reference, and keeps it.
        let task = unsafe { borrow(&cell) };
        task.state().refer();
        RawWaker::new(cell, &WAKER)
    },
    // SAFETY: the waker had a reference, and gives it away.
    |cell| unsafe { ManuallyDrop::into_inner(borrow(&cell)) }.wake(),
    // SAFETY: the waker has a reference, and keeps it.
    |cell| unsafe { borrow(&cell) }.wake(),
    // SAFETY: the waker had a reference, and gives it away.
    |cell| drop(unsafe { ManuallyDrop::into_inner(borrow(&cell)) }),
);

/// # Safety
///
/// `cell` must come from a [`TaskRef`] that there is for as long as this is used.
unsafe fn borrow(cell: &*const ()) -> ManuallyDrop<TaskRef> {
    // SAFETY: references are never null. A waker keeps the pointer as it was.
    ManuallyDrop::new(TaskRef(unsafe { NonNull::new_unchecked(cell.cast_mut()) }.cast()))
}

/// Whether this is the waker of a task, whatever its types.
fn is_of_a_task(waker: &Waker) -> bool {
    core::ptr::eq(waker.vtable(), &WAKER)
}

/// The waker of whoever joins, in one word: a task's is its reference, any other is in a box. Most of those who join are
/// tasks, and the memory of every task that waits has room for this.
struct JoinWaker(NonNull<()>);

impl JoinWaker {
    /// Set in the address of a box. Boxes of wakers and headers are both aligned to more than this.
    const BOXED: usize = 1;

    fn new(waker: &Waker) -> Self {
        let waker = waker.clone();
        if is_of_a_task(&waker) {
            let task = ManuallyDrop::new(waker).data().cast_mut();
            return Self(NonNull::new(task).expect("references are never null"));
        }
        let boxed = NonNull::from(Box::leak(Box::new(waker)));
        Self(boxed.cast().map_addr(|address| address | Self::BOXED))
    }

    /// The box, if this is one.
    fn boxed(&self) -> Option<NonNull<Waker>> {
        let address = NonZero::new(self.0.addr().get() & !Self::BOXED)?;
        (address != self.0.addr()).then(|| self.0.with_addr(address).cast())
    }

    fn will_wake(&self, waker: &Waker) -> bool {
        match self.boxed() {
            // SAFETY: it is this one's box; `with_addr` has kept where the pointer comes from.
            Some(boxed) => unsafe { boxed.as_ref() }.will_wake(waker),
            None => is_of_a_task(waker) && waker.data() == self.0.as_ptr().cast_const(),
        }
    }

    fn into_waker(self) -> Waker {
        let this = ManuallyDrop::new(self);
        match this.boxed() {
            // SAFETY: as above, and this is gone.
            Some(boxed) => *unsafe { Box::from_raw(boxed.as_ptr()) },
            // SAFETY: it was a task's waker, and this is gone.
            None => unsafe { Waker::new(this.0.as_ptr().cast_const(), &WAKER) },
        }
    }
}

impl Drop for JoinWaker {
    fn drop(&mut self) {
        // Nobody uses this one any more.
        drop(Self(self.0).into_waker());
    }
}

/// The id of the task whose poll this thread is in; of several, which block inside each other, the innermost one's. `None` outside
/// of tasks, `block_on` among them.
///
/// # Examples
///
/// ```
/// use polyexec_core::task::current_id;
/// # use polyexec_core::{Executor, block_on, executor::{Rejected, Task}};
/// # use std::pin::Pin;
/// # struct Here;
/// # impl Executor for Here {
/// #     fn submit(&self, task: Task) -> Result<(), Rejected> { Err(Rejected::shut_down(task)) }
/// #     fn schedule(&self, _: Task) {}
/// #     fn drive(&self, _: Pin<&mut dyn Future<Output = ()>>) {}
/// # }
///
/// let (task, handle) = Task::new(async { current_id() }, Here);
/// let id = task.id();
/// let _ = task.run();
/// assert_eq!(block_on(handle).unwrap(), Some(id));
/// assert_eq!(current_id(), None);
/// ```
#[cfg(feature = "std")]
pub fn current_id() -> Option<TaskId> {
    let header = NonNull::new(polled::current().cast_mut())?.cast::<Header>();
    // SAFETY: `run` has lent a pointer to a cell's header, and keeps the `Task`'s reference until the poll has ended. This
    // thread is still in that poll. Nobody changes an id.
    Some(unsafe { header.as_ref() }.id)
}

/// A task that nobody else knows of yet, and its types.
///
/// Dropping it detaches the task, as dropping its handle does.
pub(crate) struct Fresh<F: Future, E, L> {
    joiner: Joiner<F::Output>,
    types: PhantomData<Cell<F, E, L>>,
}

impl<F, E, L> Fresh<F, E, L>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    E: Executor,
    L: Label,
{
    pub(crate) fn new(future: F, executor: E, label: L) -> (Task, Self) {
        // SAFETY: the bounds say that both may go anywhere.
        unsafe { Self::new_unchecked(future, executor, label) }
    }
}

impl<F, E, L> Fresh<F, E, L>
where
    F: Future + 'static,
    F::Output: 'static,
    E: Executor,
    L: Label,
{
    /// # Safety
    ///
    /// `future` must be fit to be polled and dropped on any thread, and must come to its output only where that output
    /// may be dropped. Its handle must be `Send` only if the output is.
    pub(super) unsafe fn new_unchecked(future: F, executor: E, label: L) -> (Task, Self) {
        let header = Header {
            state: State::new(),
            typed: &Cell::<F, E, L>::TYPED,
            id: TaskId::next(),
            join_waker: UnsafeCell::new(None),
        };
        let mut cell = Box::<Cell<F, E, L>>::new_uninit();
        // Written where it stays: a large future would take the stack as many times as it is moved.
        cell.write(Cell { header, label, executor, stage: UnsafeCell::new(Stage::Future(future)) });
        // All pointers to the cell come from this one, which may reach, and free, the whole of it.
        // SAFETY: just written.
        let cell = NonNull::from(Box::leak(unsafe { cell.assume_init() })).cast();
        // A new state has counted both.
        let joiner = Joiner { task: ManuallyDrop::new(TaskRef(cell)), output: PhantomData };
        (Task::of(Unrun::new(TaskRef(cell))), Self { joiner, types: PhantomData })
    }

    fn cell(&self) -> &Cell<F, E, L> {
        // SAFETY: these are its types.
        unsafe { Cell::of(&self.joiner) }
    }

    pub(crate) fn executor(&self) -> &E {
        &self.cell().executor
    }

    /// Takes the future back out of a task that its executor refused, for `refused` is the executor's answer. `None` if
    /// the executor polled or dropped it all the same.
    pub(crate) fn take_back(&self, refused: &Task) -> Option<F> {
        // Whoever has its `Task` knows that nobody polls it. An executor may answer with another one.
        if refused.address() != self.joiner.address() {
            return None;
        }
        match self.cell().header.state.take_back() {
            // SAFETY: the stage is ours, and the future was never polled, so it isn't pinned.
            OnTakeBack::Take => match unsafe { self.cell().replace_stage(Stage::Empty) } {
                Stage::Future(future) => Some(future),
                Stage::Finished(_) | Stage::Empty => unreachable!("an unpolled task has a future"),
            },
            OnTakeBack::Leave => None,
        }
    }

    /// For an output that isn't large.
    pub(crate) fn into_joiner(self) -> Joiner<F::Output> {
        assert!(!is_large::<F::Output>());
        self.joiner
    }
}

impl<F, T, E, L> Fresh<F, E, L>
where
    F: Future<Output = Box<T>>,
{
    /// For a large output, which the cell has in a box.
    pub(crate) fn into_unboxing_joiner(self) -> Joiner<T> {
        assert!(is_large::<T>());
        let boxed = ManuallyDrop::new(self.joiner);
        Joiner { task: ManuallyDrop::new(TaskRef(boxed.task.0)), output: PhantomData }
    }
}

impl<F, E, L> Cell<F, E, L>
where
    F: Future + 'static,
    F::Output: 'static,
    E: Executor,
    L: Label,
{
    const TYPED: Typed = Typed {
        run: Self::run,
        // SAFETY: in all of these, the caller's reference is to a cell of these types, and whose the stage is, it knows.
        fail: |cell, failure| unsafe { Self::of(cell).fail(failure) },
        // SAFETY: as above.
        schedule: |cell, task| unsafe { Self::of(cell) }.executor.schedule(task),
        // SAFETY: as above.
        #[cfg(feature = "std")]
        executor: |cell| unsafe { &Self::of(cell).executor },
        // SAFETY: as above.
        label: |cell| unsafe { &Self::of(cell).label },
        take_result: Self::take_result as TakeResult<F::Output> as *const (),
        // SAFETY: as above.
        empty_stage: |cell| unsafe { Self::of(cell).empty_stage() },
        // SAFETY: as above; the pointer comes from a `Box` of these types, and nobody else refers to it. A drop of the user's
        // may panic.
        free: |cell| contain(|| drop(unsafe { Box::from_raw(cell.cast::<Self>().as_ptr()) })),
    };

    /// # Safety
    ///
    /// These must be its types.
    unsafe fn of(cell: &TaskRef) -> &Self {
        // SAFETY: the header is the first field, and the reference keeps the cell. Its pointer comes from the whole cell's
        // box. What others change meanwhile is in an `UnsafeCell` or atomic.
        unsafe { cell.0.cast().as_ref() }
    }

    /// # Safety
    ///
    /// The stage must be the caller's, and its future must not have been polled or must not be moved out.
    unsafe fn replace_stage(&self, next: Stage<F>) -> Stage<F> {
        // SAFETY: the stage is the caller's, so this is the only reference to it.
        self.stage.with_mut(|stage| unsafe { core::mem::replace(&mut *stage, next) })
    }

    /// # Safety
    ///
    /// These must be its types, and the stage must be the caller's.
    unsafe fn take_result(cell: &TaskRef) -> Poll<Result<F::Output, JoinError>> {
        // SAFETY: these are its types.
        let cell = unsafe { Self::of(cell) };
        cell.stage.with_mut(|stage| {
            // SAFETY: the stage is the caller's, so this is the only reference to it.
            let stage = unsafe { &mut *stage };
            let Stage::Finished(result) = stage else { return Poll::Pending };
            let taken = match result {
                // SAFETY: it is overwritten below without being dropped, and nothing in between can panic.
                Ok(output) => Ok(unsafe { core::ptr::read(output) }),
                // SAFETY: as above.
                Err(failure) => Err(unsafe { core::ptr::read(failure) }),
            };
            // SAFETY: it is the caller's, and what was in it is moved out.
            unsafe { core::ptr::write(stage, Stage::Empty) };
            // After that: memory may run out here, which some let panic.
            Poll::Ready(taken.map_err(|failure| JoinError::new(TaskInfo::new(cell.header.id, &cell.label), failure)))
        })
    }

    /// Drops what is in the stage, where it is; the stage is empty even if that panics.
    ///
    /// # Safety
    ///
    /// The stage must be the caller's.
    unsafe fn empty_stage(&self) {
        // SAFETY: the stage is the caller's, so this is the only reference to it.
        self.stage.with_mut(|stage| unsafe { *stage = Stage::Empty });
    }

    /// Polls the future. If it is ready, drops it where it is, and stores its output there.
    ///
    /// If that unwinds, the stage is emptied on the way: while the thread is panicking, as a destructor may ask. Another panic
    /// in there goes no further where there is `std`. The output is moved once, so that a large one needs little stack.
    ///
    /// # Safety
    ///
    /// The stage must be the caller's, and hold the future.
    unsafe fn poll_future(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.stage.with_mut(|stage| {
            // SAFETY: the stage is the caller's. Called while it unwinds, when nothing refers to the stage any more.
            let emptying = Guard::new(move || contain(|| unsafe { *stage = Stage::Empty }));
            // SAFETY: the stage is the caller's, so this is the only reference to it.
            let Stage::Future(future) = (unsafe { &mut *stage }) else {
                unreachable!("a task that may run has a future")
            };
            // SAFETY: the cell never moves, and never hands the future out once it was polled; it is dropped in place.
            let polled = unsafe { Pin::new_unchecked(&mut *future) }.poll(cx);
            if let Poll::Ready(output) = polled {
                let output = ManuallyDrop::new(output);
                // SAFETY: the stage is the caller's. Called only if the drop below unwinds; by then nothing in the stage is
                // to be dropped any more, and nobody uses `output` after this.
                let storing =
                    Guard::new(|| unsafe { stage.write(Stage::Finished(Ok(core::ptr::read(&raw const *output)))) });
                // SAFETY: it is overwritten in either case without being dropped again.
                unsafe { core::ptr::drop_in_place(future) };
                storing.disarm();
                // SAFETY: the stage is the caller's, and what was in it is dropped.
                unsafe { stage.write(Stage::Finished(Ok(ManuallyDrop::into_inner(output)))) };
                emptying.disarm();
                Poll::Ready(())
            } else {
                emptying.disarm();
                Poll::Pending
            }
        })
    }

    /// # Safety
    ///
    /// These must be the types of `task`, which must be the `Task`'s reference.
    unsafe fn run(task: TaskRef, table: Option<&dyn Table>) -> Ran {
        let task = ManuallyDrop::new(task);
        // SAFETY: these are its types.
        let cell = unsafe { Self::of(&task) };
        let state = &cell.header.state;
        let failure = match state.begin() {
            OnBegin::Poll => {
                // SAFETY: it is borrowed from `task`, which is there until after the poll.
                let waker = ManuallyDrop::new(unsafe { Waker::new(task.0.as_ptr().cast_const().cast(), &WAKER) });
                let mut cx = Context::from_waker(&waker);
                let failing = Guard::new(|| {
                    // Caught, nothing unwinds through here.
                    if cfg!(not(feature = "std")) {
                        // SAFETY: `begin` made the stage ours. Nobody uses `task` after this.
                        unsafe { TaskRef(task.0).fail(Failure::Panicked(uncaught()), table) };
                    }
                });
                // SAFETY: `begin` made the stage ours, and it holds the future until we complete.
                let poll = || catch(|| unsafe { cell.poll_future(&mut cx) });
                let (polled, woke_itself) = polled::noticed(task.0.as_ptr().cast_const().cast(), poll);
                failing.disarm();
                match polled {
                    Ok(Poll::Ready(())) => {
                        // SAFETY: `begin` made the stage ours, and the output is stored.
                        unsafe { ManuallyDrop::into_inner(task).finish(table) };
                        return Ran::Finished;
                    }
                    Ok(Poll::Pending) => match task.end(woke_itself, table) {
                        Err(failure) => failure,
                        // Its reference was given back.
                        Ok(OnEnd::Wait) => return Ran::Waiting,
                        Ok(OnEnd::Again) => return Ran::Again(Task::of(Unrun(task))),
                        Ok(OnEnd::Free) => {
                            // SAFETY: it was the last reference.
                            unsafe { ManuallyDrop::into_inner(task).free() };
                            return Ran::Finished;
                        }
                        Ok(OnEnd::Cancel) => cell.header.cancelled(),
                        Ok(OnEnd::Admit) => unreachable!("`end` has seen to that"),
                    },
                    Err(payload) => Failure::Panicked(payload),
                }
            }
            OnBegin::Cancel => cell.header.cancelled(),
            OnBegin::Nothing => {
                drop(ManuallyDrop::into_inner(task));
                return Ran::Finished;
            }
        };
        // SAFETY: `begin` made the stage ours, and no `end` gave it away.
        unsafe { ManuallyDrop::into_inner(task).fail(failure, table) };
        Ran::Finished
    }

    /// # Safety
    ///
    /// The stage must be the caller's.
    unsafe fn fail(&self, failure: Failure) {
        // What is stored should a panic go on through here, as it does without `std`.
        let result = core::cell::Cell::new(Some(Failure::Panicked(uncaught())));
        let storing = Guard::new(|| {
            if let Some(failure) = result.take() {
                // SAFETY: the stage is the caller's; what it held is dropped.
                drop(unsafe { self.replace_stage(Stage::Finished(Err(failure))) });
            }
        });
        // SAFETY: the stage is the caller's.
        let dropped = catch(|| unsafe { self.empty_stage() });
        result.set(Some(match (dropped, failure) {
            (Ok(()), failure) => failure,
            // The first panic is the one to tell of.
            (Err(second), first @ Failure::Panicked(_)) => {
                discard(second);
                first
            }
            (Err(payload), reason) => {
                // It may have an error of somebody's in it, whose drop may panic in its turn.
                contain(|| drop(reason));
                Failure::Panicked(payload)
            }
        }));
        drop(storing);
    }
}

/// A task whose stage belongs to a shutdown.
///
/// Dropping it ends the task.
#[cfg(feature = "std")]
#[must_use]
pub(crate) struct Condemned(ManuallyDrop<TaskRef>);

#[cfg(feature = "std")]
impl Drop for Condemned {
    fn drop(&mut self) {
        // SAFETY: nobody uses it after this.
        let task = unsafe { ManuallyDrop::take(&mut self.0) };
        // SAFETY: as the state has said, the stage is ours.
        unsafe { task.fail_with_executor() };
    }
}

/// The reference of a [`Task`]: dropped instead of run, it ends the task.
pub(crate) struct Unrun(ManuallyDrop<TaskRef>);

impl Unrun {
    fn new(task: TaskRef) -> Self {
        Self(ManuallyDrop::new(task))
    }

    pub(crate) fn into_ref(self) -> TaskRef {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: nobody uses it after this, and it isn't dropped.
        unsafe { ManuallyDrop::take(&mut this.0) }
    }
}

/// A `Task`'s reference or none, as one atomic pointer.
pub(crate) struct AtomicUnrun(AtomicPtr<Header>);

impl AtomicUnrun {
    /// Moves `task` in, and moves out what was there.
    #[inline]
    pub(crate) fn swap(&self, task: Option<Unrun>) -> Option<Unrun> {
        let task = task.map_or(null_mut(), |task| ManuallyDrop::new(task.into_ref()).0.as_ptr());
        // Release pairs with the Acquire of whoever takes the task: it sees what was done with it before.
        let before = self.0.swap(task, AcqRel);
        // The reference that was moved in, with the pointer as it was. A swap moves each out once.
        NonNull::new(before).map(|cell| Unrun::new(TaskRef(cell)))
    }
}

impl Default for AtomicUnrun {
    fn default() -> Self {
        Self(AtomicPtr::new(null_mut()))
    }
}

impl Drop for AtomicUnrun {
    fn drop(&mut self) {
        drop(self.swap(None));
    }
}

impl Deref for Unrun {
    type Target = TaskRef;

    fn deref(&self) -> &TaskRef {
        &self.0
    }
}

impl Drop for Unrun {
    fn drop(&mut self) {
        // SAFETY: nobody uses it after this.
        unsafe { ManuallyDrop::take(&mut self.0) }.end_dropped();
    }
}

/// The handle's reference: takes the result, once. A `T` that [is large](is_large) is in a box in the cell, any other isn't.
pub(crate) struct Joiner<T> {
    task: ManuallyDrop<TaskRef>,
    /// Makes a handle as `Send` as its output is.
    output: PhantomData<T>,
}

/// A handle points to its output: nothing of it is pinned with the handle.
impl<T> Unpin for Joiner<T> {}

// SAFETY: there is no `T` in it, and no method gives a `&T` to anybody: sharing a handle never shares the output.
unsafe impl<T: Send> Sync for Joiner<T> {}

impl<T> Joiner<T> {
    /// Says that the task has completed, or has its completion wake `newest`.
    pub(crate) fn poll_end(&mut self, newest: &Waker) -> Poll<Ended<'_, T>> {
        match self.task.header().wait(newest) {
            OnJoin::Pending => Poll::Pending,
            OnJoin::Completed => Poll::Ready(Ended(self)),
        }
    }

    /// Whether the task has completed.
    #[cfg(feature = "std")]
    pub(crate) fn ended(&mut self) -> Option<Ended<'_, T>> {
        self.task.header().is_finished().then_some(Ended(self))
    }
}

/// Proof that the task has completed and that its handle lives: the stage is the handle's.
pub(crate) struct Ended<'a, T>(&'a mut Joiner<T>);

impl<T> Ended<'_, T> {
    /// The result of the task. Always ready: so a large one isn't moved into a `Poll` by the caller.
    ///
    /// # Panics
    ///
    /// If it was taken before.
    #[track_caller]
    pub(crate) fn take_result(self) -> Poll<Result<T, JoinError>> {
        let task = &self.0.task;
        let take_result = task.typed().take_result;
        let result = if const { is_large::<T>() } {
            // SAFETY: the functions in a cell's header are those of its types: that of the output is a box of `T`.
            let take_result: TakeResult<Box<T>> = unsafe { transmute(take_result) };
            // SAFETY: the stage is the handle's.
            unsafe { take_result(task) }.map_ok(|output| *output)
        } else {
            // SAFETY: as above; that of the output is `T`.
            let take_result: TakeResult<T> = unsafe { transmute(take_result) };
            // SAFETY: the stage is the handle's.
            unsafe { take_result(task) }
        };
        assert!(result.is_ready(), "JoinHandle polled after it was ready");
        result
    }
}

impl<T> Deref for Joiner<T> {
    type Target = TaskRef;

    fn deref(&self) -> &TaskRef {
        &self.task
    }
}

impl<T> Drop for Joiner<T> {
    fn drop(&mut self) {
        // SAFETY: nobody uses it after this.
        let task = unsafe { ManuallyDrop::take(&mut self.task) };
        let header = task.header();
        let left = match header.state.is_waker_offered() {
            true => None,
            // There is a waker only if the `clone` or `drop` of one has panicked.
            // SAFETY: the slot isn't offered, so it is the handle's.
            false => unsafe { header.take_join_waker() },
        };
        match header.state.detach() {
            // The reference was given back.
            OnDetach::Nothing => forget(task),
            OnDetach::TakeWaker => {
                // SAFETY: it had not completed when the offer ended, so the slot is the handle's, now and later.
                let waker = unsafe { header.take_join_waker() };
                contain(|| drop(waker));
            }
            // SAFETY: it had completed while the handle lived, so the stage is the handle's.
            OnDetach::Discard => unsafe { task.discard_result() },
            // SAFETY: it was the last reference.
            OnDetach::Free => unsafe { task.free() },
        }
        if let Some(left) = left {
            contain(|| drop(left));
        }
    }
}
