//! Runs a future and an executor's tasks in turns on the caller's thread: what executors without threads of their own share.
//! Knows nothing of their queues.
//!
//! The thread looks for events every 61 polls or so, and waits for them when idle. So an event wakes its task here, between
//! two polls; no other thread takes part while the polls are short.
//!
//! The word that says whether the thread sleeps also counts notifications. The thread falls asleep only if the count is what
//! it was before the thread looked for tasks; a later notification finds it asleep.

use std::fmt;
use std::future::poll_fn;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::task::{Context, Poll};

use futures_task::{ArcWake, waker_ref};

use crate::executor::context::Entered;
use crate::executor::driver::{self, Priority, ReadyWakers, Working};
use crate::executor::process::Process;
use crate::executor::{Parker, context};
use crate::observe::{Observer, WorkerEvent, tell_worker};
use crate::sync::{AtomicBool, AtomicU64};
use crate::task::budget;

use sleepers::{Sleeper, Sleepers};

mod sleepers;
#[cfg(all(test, not(polyexec_loom)))]
mod tests;

/// Drives a future on the caller's thread, and runs the executor's tasks between its polls.
///
/// Calls of [`drive`](RunLoop::drive) nest: if a task blocks, the others run inside it. The caller may be a task of another
/// executor, which goes on while this one is idle. Clones share one loop.
///
/// # What dropping does
///
/// Nothing.
///
/// # Examples
///
/// ```
/// use polyexec_core::executor::RunLoop;
/// use std::sync::{Arc, Mutex};
///
/// let jobs = Arc::new(Mutex::new(vec!["third", "second", "first"]));
/// let run_one = || jobs.lock().unwrap().pop().map(|job| println!("{job}")).is_some();
///
/// let run_loop = RunLoop::new();
/// let mut turns = 0;
/// let future = std::pin::pin!(std::future::poll_fn(|cx| {
///     turns += 1;
///     cx.waker().wake_by_ref();
///     if turns == 3 { std::task::Poll::Ready(turns) } else { std::task::Poll::Pending }
/// }));
/// assert_eq!(run_loop.drive(future, run_one), 3);
/// assert!(jobs.lock().unwrap().is_empty());
/// ```
#[derive(Clone, Default)]
pub struct RunLoop(Arc<Shared>);

// An observer's panic is contained, and the observer is called again all the same.
impl UnwindSafe for RunLoop {}
impl RefUnwindSafe for RunLoop {}

/// Tasks that run between two polls of the future.
const TURN: usize = 64;

/// Nested calls of [`RunLoop::drive`]. Each is on the stack, and a stack overflow would end the process.
const MAX_NESTED: usize = 256;

/// Nested calls from which on the newest tasks should run first: see [`RunLoop::nests_deep`].
const DEEP: usize = 32;

#[derive(Default)]
struct Shared {
    observer: Option<Arc<dyn Observer>>,
    /// `PARKED`, `ASLEEP`, and the number of notifications in units of `NOTIFICATION`.
    word: AtomicU64,
    /// Where the thread sleeps, unless in another executor's task.
    parker: Parker,
    /// The calls that sleep in another executor's tasks.
    sleepers: Sleepers,
    /// Polls since the last look for events. Only the driving thread uses this and the next two.
    polls: AtomicU32,
    /// Whether events ended its last sleep.
    woken_by_events: std::sync::atomic::AtomicBool,
    /// Nested calls of `drive`.
    nested: std::sync::atomic::AtomicUsize,
}

/// The thread sleeps in `parker`, or is about to. Set and cleared by it.
const PARKED: u64 = 1;
/// There may be wakers in `sleepers`, now or soon. Set and cleared under their lock.
const ASLEEP: u64 = 2;
/// One notification.
const NOTIFICATION: u64 = 4;

fn notifications(word: u64) -> u64 {
    word / NOTIFICATION
}

impl RunLoop {
    /// A loop that has not been notified.
    pub fn new() -> Self {
        Self::default()
    }

    /// As [`new`](RunLoop::new); tells `observer` when the thread parks. The thread is worker zero of its executor.
    pub fn observed(observer: Option<Arc<dyn Observer>>) -> Self {
        Self(Arc::new(Shared { observer, ..Shared::default() }))
    }

    /// Whether 32 calls of [`drive`](RunLoop::drive) are nested. For the driving thread.
    ///
    /// From there on an executor should run the newest task first: a task that blocks most likely waits for what it spawned
    /// last, and older tasks may block in their turn.
    pub fn nests_deep(&self) -> bool {
        // Relaxed: only this thread uses it.
        self.0.nested.load(Relaxed) >= DEEP
    }

    /// Wakes the driving thread for a task. Call it after the task is where `run_one` finds it.
    pub fn notify(&self) {
        // Release: pairs with the Acquire in `drive` and `drive_within`, which then see the task.
        let word = self.0.word.fetch_add(NOTIFICATION, Release);
        if word & PARKED != 0 {
            self.0.parker.unpark();
        }
        if word & ASLEEP != 0 {
            self.0.sleepers.wake_all(&self.0.word);
        }
    }

    /// As [`notify`](RunLoop::notify), on the driving thread. Costs a load while that is awake: it looks for tasks before it
    /// sleeps.
    #[inline]
    pub fn notify_here(&self) {
        // Relaxed: this thread set it. If another one cleared it, that has woken every sleeper, and they will look.
        if self.0.word.load(Relaxed) & ASLEEP != 0 {
            self.notify();
        }
    }

    /// Polls `future` when it was woken, and calls `run_one`, in turns, until `future` is ready.
    ///
    /// `run_one` runs a task that is ready, or says that there is none; then this sleeps until there is one or `future`
    /// was woken. Of tasks that are ready, at most 64 run before `future` has its turn.
    ///
    /// This sleeps in the process's [driver], and looks for its events every 61 polls or so. Their wakers are called on this
    /// thread, between two polls. The executor should [reside](context::reside) on the thread: if that is in a task of another
    /// executor, that one learns when the thread sleeps.
    ///
    /// # Panics
    ///
    /// If `future` or `run_one` does. If 256 calls are nested already: a task that blocks (`join`, `block_on`) stays on the
    /// stack, and the stack is finite. In a task, the panic is the task's, and its handle reports it.
    pub fn drive<F: Future + ?Sized>(&self, mut future: Pin<&mut F>, mut run_one: impl FnMut() -> bool) -> F::Output {
        let is_deep = self.nests_deep();
        let _nested = Nested::begin(&self.0.nested);
        let driven = Arc::new(Driven { woken: AtomicBool::new(true), run_loop: self.clone() });
        let waker = waker_ref(&driven);
        let mut cx = Context::from_waker(&waker);
        let mut registered = Registered::default();
        loop {
            // First: a notification from now on keeps this thread awake. Acquire: pairs with the Release in `notify`.
            let word = self.0.word.load(Acquire);
            // Acquire: pairs with the Release in the waker; the poll sees what came before the wake. The Relaxed load may
            // miss a wake, whose notification then comes later.
            if driven.woken.load(Relaxed) && driven.woken.swap(false, AcqRel) {
                context::polling();
                if let Poll::Ready(output) = budget::anew(|| future.as_mut().poll(&mut cx)) {
                    return output;
                }
            }
            if !run_one() {
                self.sleep(word, &mut registered);
                continue;
            }
            // A woken future goes behind the tasks that wait, as each of them does.
            let others = if is_deep {
                // Not so deep in the stack, where each of them may block in its turn.
                (1..TURN).take_while(|_| !driven.woken.load(Relaxed) && run_one()).count()
            } else {
                (1..TURN).take_while(|_| run_one()).count()
            };
            self.ran(2 + others as u32, &mut registered);
        }
    }

    /// Calls `run_one` until no task is ready, and returns. Looks for events first, and every 61 polls or so.
    ///
    /// For a thread with a loop of another kind, which runs the executor's tasks now and then.
    ///
    /// # Panics
    ///
    /// If `run_one` does.
    pub fn run_until_stalled(&self, mut run_one: impl FnMut() -> bool) {
        let mut registered = Registered::default();
        self.look(&mut registered);
        while run_one() {
            self.ran(1, &mut registered);
        }
    }

    /// As [`drive`](RunLoop::drive), as a future: a thread of another executor polls it, and runs this executor's tasks between
    /// its own. Pending while idle; a notification wakes it.
    ///
    /// Each poll calls `enter` for the executor's context, and runs 64 tasks at most, so that the outer executor's tasks have
    /// their turn. All polls must be on the thread that `run_one` belongs to.
    ///
    /// # Panics
    ///
    /// If `future` or `run_one` does.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, it leaves the tasks where they are, for the next call of this or of `drive`.
    ///
    /// # Examples
    ///
    /// ```
    /// use polyexec_core::{Handle, block_on, executor::{RunLoop, context}};
    /// # #[derive(Clone)]
    /// # struct MyExecutor;
    /// # impl polyexec_core::Executor for MyExecutor {
    /// #     fn submit(&self, task: polyexec_core::executor::Task) -> Result<(), polyexec_core::executor::Rejected> {
    /// #         Err(polyexec_core::executor::Rejected::shut_down(task))
    /// #     }
    /// #     fn schedule(&self, task: polyexec_core::executor::Task) {
    /// #         drop(task)
    /// #     }
    /// #     fn drive(&self, future: std::pin::Pin<&mut dyn Future<Output = ()>>) {
    /// #         block_on(future)
    /// #     }
    /// # }
    ///
    /// let run_loop = RunLoop::new();
    /// let handle = Handle::new(MyExecutor);
    /// let mut jobs = vec!["third", "second", "first"];
    /// let run_one = || jobs.pop().map(|job| println!("{job}")).is_some();
    /// let within = run_loop.drive_within(async { 42 }, || context::reside(handle.clone()), run_one);
    /// assert_eq!(block_on(within), 42);
    /// ```
    pub async fn drive_within<F: Future>(
        &self,
        future: F,
        mut enter: impl FnMut() -> Entered,
        mut run_one: impl FnMut() -> bool,
    ) -> F::Output {
        let mut future = std::pin::pin!(future);
        let mut sleeper = None;
        poll_fn(|cx| {
            // This poll sees what is notified from here on.
            drop(sleeper.take());
            let _context = enter();
            // Acquire: as in `drive`.
            let word = self.0.word.load(Acquire);
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(output);
            }
            let is_behind = (0..TURN).all(|_| run_one()) || {
                let sleeper: &mut Sleeper<'_> = sleeper.insert(self.sleeper());
                notifications(sleeper.register(cx.waker())) != notifications(word)
            };
            if is_behind {
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        })
        .await
    }

    /// Counts polls, and looks for events if it is time.
    #[inline]
    fn ran(&self, polls: u32, registered: &mut Registered) {
        // Relaxed, here and in `look`: only this thread uses it.
        let polls = self.0.polls.load(Relaxed) + polls;
        self.0.polls.store(polls, Relaxed);
        if driver::is_due(polls) {
            self.look(registered);
        }
    }

    /// Calls the wakers of events that have happened. Whether there were any.
    fn look(&self, registered: &mut Registered) -> bool {
        self.0.polls.store(0, Relaxed);
        registered.register();
        let woken = driver::look(Priority::RunLoop);
        let are_any = !woken.is_empty();
        drop(woken);
        are_any
    }

    /// Returns after a notification since `word` was read, or after calling the wakers of events.
    fn sleep(&self, word: u64, registered: &mut Registered) {
        if notifications(self.0.word.load(Relaxed)) != notifications(word) {
            // The future was woken, or a task by another thread.
            self.ran(1, registered);
        } else if context::is_nested() {
            // Tasks that events wake here cause no notification.
            if !self.look(registered) {
                self.sleep_in_task(word);
            }
        } else {
            self.tell(WorkerEvent::Parked);
            self.park(word, registered);
            self.tell(WorkerEvent::Unparked);
        }
    }

    fn tell(&self, event: WorkerEvent) {
        if let Some(observer) = &self.0.observer {
            tell_worker(&**observer, 0, event);
        }
    }

    fn park(&self, before: u64, registered: &mut Registered) {
        let Shared { word, parker, woken_by_events, .. } = &*self.0;
        registered.register();
        // Relaxed, here and below: the next load of the word sees an earlier notification; a later one calls the parker.
        let parks = |word| (notifications(word) == notifications(before)).then_some(word | PARKED);
        if word.fetch_update(Relaxed, Relaxed, parks).is_err() {
            return;
        }
        // A thread that is woken by events doesn't spin for calls: that would only delay the events. Relaxed: only this
        // thread uses it.
        let (is_called, woken) = if !woken_by_events.load(Relaxed) && parker.spin_for_call() {
            (true, ReadyWakers::default())
        } else {
            parker.park_for_events(Priority::RunLoop)
        };
        woken_by_events.store(!is_called, Relaxed);
        self.0.polls.store(0, Relaxed);
        // A call that comes nevertheless makes the next sleep a short one.
        word.fetch_and(!PARKED, Relaxed);
        // Its tasks find this thread awake.
        drop(woken);
    }

    /// Blocks inside a task of another executor, which may run its other tasks here.
    fn sleep_in_task(&self, word: u64) {
        let sleeper = self.sleeper();
        let mut is_first = true;
        context::outside(|_| {
            crate::block_on(poll_fn(|cx| {
                let now = sleeper.register(cx.waker());
                // The second poll always ends the sleep: `notify_here` counts nothing once another thread has taken the waker.
                let sleeps = std::mem::take(&mut is_first) && now & ASLEEP != 0;
                if sleeps && notifications(now) == notifications(word) { Poll::Pending } else { Poll::Ready(()) }
            }));
        });
    }

    fn sleeper(&self) -> Sleeper<'_> {
        self.0.sleepers.sleeper(&self.0.word)
    }
}

/// A call of `drive` as a thread that handles events, from its first look on.
#[derive(Default)]
struct Registered(Option<Working>);

impl Registered {
    #[inline]
    fn register(&mut self) {
        self.0.get_or_insert_with(|| {
            // A forked child doesn't take its parent's events.
            Process::current();
            driver::run_loop()
        });
    }
}

/// Counts a call of `drive` while it lasts.
struct Nested<'a>(&'a std::sync::atomic::AtomicUsize);

impl<'a> Nested<'a> {
    fn begin(nested: &'a std::sync::atomic::AtomicUsize) -> Self {
        // Relaxed, here and in `drop`: only this thread uses it.
        let around = nested.load(Relaxed);
        assert!(around < MAX_NESTED, "{MAX_NESTED} tasks of one thread block inside each other: `await` instead");
        nested.store(around + 1, Relaxed);
        Self(nested)
    }
}

impl Drop for Nested<'_> {
    fn drop(&mut self) {
        self.0.store(self.0.load(Relaxed) - 1, Relaxed);
    }
}

impl fmt::Debug for RunLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunLoop").field("sleepers", &self.0.sleepers.len()).finish()
    }
}

/// The waker of a driven future. Each call of `drive` has its own.
struct Driven {
    woken: AtomicBool,
    run_loop: RunLoop,
}

impl ArcWake for Driven {
    fn wake_by_ref(driven: &Arc<Self>) {
        // Release: pairs with the Acquire in `drive`. A read-modify-write, as every wake is: after two wakes, the poll sees
        // what came before either.
        if !driven.woken.swap(true, AcqRel) {
            driven.run_loop.notify();
        }
    }
}
