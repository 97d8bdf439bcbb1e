//! Drives a future and an executor's tasks, in turns, on the caller's thread: what executors without threads of their own
//! have in common. Knows nothing of their queues.
//!
//! The thread looks for events itself, every so many polls, and waits for them where it sleeps. So events wake its tasks here,
//! between two of them, and many at once: no other thread takes part while the polls are short.
//!
//! Notifications are counted in the word that says whether the thread sleeps: so it falls asleep only if there was none since
//! it looked for tasks, and whoever notifies later sees that it sleeps.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_task::{ArcWake, waker_ref};

use crate::block_on;
use crate::executor::context::Entered;
use crate::executor::driver::{self, Wait, Working};
use crate::executor::process::Process;
use crate::executor::{Parker, context};
use crate::sync::{AtomicBool, AtomicU64, Mutex, MutexGuard};
use crate::task::budget;

/// Drives a future while its executor's tasks run, for an executor that runs them on its caller's thread.
///
/// Calls of [`drive`](RunLoop::drive) nest: a task may block, and the others run inside it then. The caller may also be
/// a task of another executor, which goes on while this one has nothing to do. Clones are the same run_loop.
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

/// Tasks that run before the future has its turn again, if it was woken meanwhile.
const TURN: usize = 64;

/// Calls of [`RunLoop::drive`] that may be inside one another. Tasks that block nest on the stack, and one more than that has room
/// for would end the process.
const MAX_NESTED: usize = 256;

/// From this many nested calls on, the newest tasks run first: see [`RunLoop::nests_deep`].
const DEEP: usize = 32;

#[derive(Default)]
struct Shared {
    /// `PARKED`, `ASLEEP`, and how often there was a notification, in units of `NOTIFICATION`.
    word: AtomicU64,
    /// Where the thread sleeps that is in no other executor's task.
    parker: Parker,
    sleepers: Mutex<Sleepers>,
    /// Since the thread has looked for events. Its own.
    polls: AtomicU32,
    /// Whether events have ended its last sleep. Its own.
    woken_by_events: std::sync::atomic::AtomicBool,
    /// Calls of `drive` that are inside one another. The driving thread's own.
    nested: std::sync::atomic::AtomicUsize,
}

/// The thread sleeps in `parker`, or is about to. Set and cleared by it.
const PARKED: u64 = 1;
/// There may be wakers in `sleepers`, now or soon. Set and cleared under their lock.
const ASLEEP: u64 = 2;
/// There was one more notification.
const NOTIFICATION: u64 = 4;

/// How many there were.
fn notifications(word: u64) -> u64 {
    word / NOTIFICATION
}

/// The calls that sleep in another executor's tasks. All of them are on the run_loop's thread.
#[derive(Default)]
struct Sleepers {
    wakers: Vec<(u64, Waker)>,
    /// Each has a number.
    so_far: u64,
}

impl RunLoop {
    /// A run_loop of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether 32 calls of [`drive`](RunLoop::drive) are inside one another. For the thread that drives.
    ///
    /// An executor whose tasks block so deep inside each other does well to run the newest first from there on: what a task that
    /// blocks has spawned last, it most likely waits for, and older ones may block in their turn.
    pub fn nests_deep(&self) -> bool {
        // Relaxed: it is this thread's own.
        self.0.nested.load(Relaxed) >= DEEP
    }

    /// Says that a task is ready. To be called after it was put where `run_one` finds it.
    pub fn notify(&self) {
        // Release: pairs with the Acquire of the thread that sees the count; the task is where it looks for it.
        let word = self.0.word.fetch_add(NOTIFICATION, Release);
        if word & PARKED != 0 {
            self.0.parker.unpark();
        }
        if word & ASLEEP != 0 {
            let woken = {
                let mut sleepers = self.lock();
                // Relaxed: set and cleared under the lock.
                self.0.word.fetch_and(!ASLEEP, Relaxed);
                std::mem::take(&mut sleepers.wakers)
            };
            driver::wake_all(woken.into_iter().map(|(_, waker)| waker));
        }
    }

    /// As [`notify`](RunLoop::notify), for the thread that drives: it will look for tasks before it sleeps, so unless it
    /// does already, this costs nothing.
    #[inline]
    pub fn notify_here(&self) {
        // Relaxed: set by this thread. Cleared by another one, it has woken every sleeper, and they will look.
        if self.0.word.load(Relaxed) & ASLEEP != 0 {
            self.notify();
        }
    }

    /// Polls `future` when it was woken, and calls `run_one`, in turns, until `future` is ready.
    ///
    /// `run_one` runs a task that is ready, or says that there is none; then this sleeps until there is one or `future`
    /// was woken. Of tasks that are ready, at most 64 run before `future` has its turn.
    ///
    /// This sleeps in the process's [driver], if it can, and looks for events there every 61 polls or so; their wakers are
    /// called on this thread, between two polls. The executor should [reside](context::reside) on it: where that is in a task
    /// of another executor, the other one is told that this thread sleeps.
    ///
    /// # Panics
    ///
    /// If `future` or `run_one` does. If 256 calls are inside one another already: tasks that block (`join`,
    /// `block_on`) are on the stack until they go on, and that has an end. Inside a task this is the task's panic, of which its
    /// handle tells.
    pub fn drive<F: Future + ?Sized>(&self, mut future: Pin<&mut F>, mut run_one: impl FnMut() -> bool) -> F::Output {
        let is_deep = self.nests_deep();
        let _nested = Nested::begin(&self.0.nested);
        let driven = Arc::new(Driven { woken: AtomicBool::new(true), run_loop: self.clone() });
        let waker = waker_ref(&driven);
        let mut cx = Context::from_waker(&waker);
        let mut events = Events::default();
        loop {
            // First: what is notified from now on keeps us awake. Acquire: pairs with the Release in `notify`.
            let word = self.0.word.load(Acquire);
            // Acquire: pairs with the Release in the waker; the poll sees what came before the wake. Relaxed before that:
            // a wake that isn't seen yet is notified of later.
            if driven.woken.load(Relaxed)
                && driven.woken.swap(false, AcqRel)
                && let Poll::Ready(output) = budget::anew(|| future.as_mut().poll(&mut cx))
            {
                return output;
            }
            if !run_one() {
                self.sleep(word, &mut events);
                continue;
            }
            // Woken meanwhile, the future goes behind the tasks that wait, as each of them does.
            let others = if is_deep {
                // But not where each of them may block in its turn, and is on the stack then.
                (1..TURN).take_while(|_| !driven.woken.load(Relaxed) && run_one()).count()
            } else {
                (1..TURN).take_while(|_| run_one()).count()
            };
            self.ran(2 + others as u32, &mut events);
        }
    }

    /// Calls `run_one` until it says that no task is ready, instead of sleeping then. Looks for events first and, as
    /// [`drive`](RunLoop::drive) does, every 61 polls or so.
    ///
    /// For a loop of somebody else's, whose thread does other things in between.
    ///
    /// # Panics
    ///
    /// If `run_one` does.
    pub fn run_until_stalled(&self, mut run_one: impl FnMut() -> bool) {
        let mut events = Events::default();
        self.look(&mut events);
        while run_one() {
            self.ran(1, &mut events);
        }
    }

    /// As [`drive`](RunLoop::drive), as a future: another executor's thread polls it, and so runs this executor's tasks between
    /// its own. Where there is nothing to do, it is pending, and a notification wakes it.
    ///
    /// `enter` makes the executor's context, once a poll. A poll runs 64 tasks at most, and lets the others of the executor
    /// around it have their turn then. All polls must be on the thread for which `run_one` is.
    ///
    /// # Panics
    ///
    /// If `future` or `run_one` does.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it leaves the tasks where they are, for the next call of this or of `drive`.
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
            // What is notified of from here on, this poll sees.
            drop(sleeper.take());
            let _context = enter();
            // Acquire: as in `drive`.
            let word = self.0.word.load(Acquire);
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(output);
            }
            let is_behind = (0..TURN).all(|_| run_one()) || {
                let sleeper: &mut Sleeper<'_> = sleeper.insert(Sleeper::new(self));
                notifications(sleeper.lie_down(cx.waker())) != notifications(word)
            };
            if is_behind {
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        })
        .await
    }

    /// So many polls have been made. Looks for events, if it is time.
    #[inline]
    fn ran(&self, polls: u32, events: &mut Events) {
        // Relaxed, here and in `look`: it is this thread's own.
        let polls = self.0.polls.load(Relaxed) + polls;
        self.0.polls.store(polls, Relaxed);
        if driver::is_due(polls) {
            self.look(events);
        }
    }

    /// Calls the wakers for what has happened. Whether there were any.
    fn look(&self, events: &mut Events) -> bool {
        self.0.polls.store(0, Relaxed);
        events.begin();
        driver::look(Wait::AsRunLoop, &mut events.woken);
        let are_any = !events.woken.is_empty();
        events.wake();
        are_any
    }

    /// Returns when there was a notification since the word was read, or events have come, whose wakers this has called.
    fn sleep(&self, word: u64, events: &mut Events) {
        if notifications(self.0.word.load(Relaxed)) != notifications(word) {
            // The future was woken, or a task by another thread.
            self.ran(1, events);
        } else if context::is_nested() {
            // What events have woken here is notified of to nobody.
            if !self.look(events) {
                self.sleep_in_task(word);
            }
        } else {
            self.park(word, events);
        }
    }

    fn park(&self, before: u64, events: &mut Events) {
        let Shared { word, parker, woken_by_events, .. } = &*self.0;
        events.begin();
        // Relaxed, here and below: what was notified of in between is seen when the word is read again, and what comes later
        // calls the parker.
        let parks = |word| (notifications(word) == notifications(before)).then_some(word | PARKED);
        if word.fetch_update(Relaxed, Relaxed, parks).is_ok() {
            // Where events come, to stay awake for calls would only delay them. Relaxed: it is this thread's own.
            let is_called = !woken_by_events.load(Relaxed) && parker.is_called_soon()
                || parker.park_for_events(Wait::AsRunLoop, &mut events.woken);
            woken_by_events.store(!is_called, Relaxed);
            self.0.polls.store(0, Relaxed);
            // A call that comes nevertheless makes the next sleep a short one.
            word.fetch_and(!PARKED, Relaxed);
        }
        events.wake();
    }

    /// Sleeps in a task of another executor, which is told, and may run its other tasks here.
    fn sleep_in_task(&self, word: u64) {
        let sleeper = Sleeper::new(self);
        let mut is_first = true;
        context::outside(|_| {
            block_on(poll_fn(|cx| {
                let now = sleeper.lie_down(cx.waker());
                // Whatever the second poll comes from, the caller looks for tasks: `notify_here` counts nothing once another
                // thread has taken the waker.
                let sleeps = std::mem::take(&mut is_first) && now & ASLEEP != 0;
                if sleeps && notifications(now) == notifications(word) { Poll::Pending } else { Poll::Ready(()) }
            }));
        });
    }

    fn lock(&self) -> MutexGuard<'_, Sleepers> {
        self.0.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a call that drives sees of events.
#[derive(Default)]
struct Events {
    /// Gathered, and not called yet.
    woken: Vec<Waker>,
    /// From its first look on.
    sees_to_events: Option<Working>,
}

impl Events {
    #[inline]
    fn begin(&mut self) {
        self.sees_to_events.get_or_insert_with(|| {
            // A child doesn't take its parent's events.
            Process::current();
            driver::run_loop()
        });
    }

    fn wake(&mut self) {
        driver::wake_all(self.woken.drain(..));
    }
}

/// A call of `drive`, which counts while it lasts.
struct Nested<'a>(&'a std::sync::atomic::AtomicUsize);

impl<'a> Nested<'a> {
    fn begin(nested: &'a std::sync::atomic::AtomicUsize) -> Self {
        // Relaxed, here and in `drop`: it is this thread's own.
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

/// A call that sleeps in a task. Dropped, it leaves no waker behind.
struct Sleeper<'a> {
    run_loop: &'a RunLoop,
    number: u64,
}

impl<'a> Sleeper<'a> {
    fn new(run_loop: &'a RunLoop) -> Self {
        let mut sleepers = run_loop.lock();
        sleepers.so_far += 1;
        // Before there is a waker: until it is polled, other code may run here, and notify. Relaxed: as `lie_down`.
        run_loop.0.word.fetch_or(ASLEEP, Relaxed);
        Self { run_loop, number: sleepers.so_far }
    }

    /// Has the next notification call `waker`. The word before that: a notification that isn't in it will.
    fn lie_down(&self, waker: &Waker) -> u64 {
        let newest = waker.clone();
        let before = self.take();
        let word = {
            let mut sleepers = self.run_loop.lock();
            sleepers.wakers.push((self.number, newest));
            // Relaxed: as in `park`.
            self.run_loop.0.word.fetch_or(ASLEEP, Relaxed)
        };
        drop(before);
        word
    }

    /// The waker, if no notification has taken it.
    fn take(&self) -> Option<(u64, Waker)> {
        let wakers = &mut self.run_loop.lock().wakers;
        let place = wakers.iter().position(|(number, _)| *number == self.number);
        place.map(|place| wakers.swap_remove(place))
    }
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        let left = self.take();
        drop(left);
    }
}

impl fmt::Debug for RunLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunLoop").field("sleepers", &self.lock().wakers.len()).finish()
    }
}

/// Wakes a future that is driven. Each call of `drive` has its own.
struct Driven {
    woken: AtomicBool,
    run_loop: RunLoop,
}

impl ArcWake for Driven {
    fn wake_by_ref(driven: &Arc<Self>) {
        // Release: pairs with the Acquire in `drive`. A read-modify-write, as every wake is: of two wakes before a poll,
        // the poll sees what came before either.
        if !driven.woken.swap(true, AcqRel) {
            driven.run_loop.notify();
        }
    }
}

#[cfg(all(test, not(polyexec_loom)))]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::thread;

    #[test]
    fn calls_nest_to_a_bound() {
        fn nest(run_loop: &RunLoop) -> usize {
            run_loop.drive(std::pin::pin!(async { nest(run_loop) }), || false)
        }
        let run_loop = RunLoop::new();
        assert!(std::panic::catch_unwind(|| nest(&run_loop)).is_err());
        assert!(!run_loop.nests_deep() && run_loop.0.nested.load(Relaxed) == 0);
        assert!(!run_loop.drive(std::pin::pin!(async { run_loop.nests_deep() }), || false));
    }

    /// Pending until its waker, which goes to another thread, was called so often.
    fn woken_from_afar(times: usize) -> impl Future<Output = usize> {
        let mut polls = 0;
        poll_fn(move |cx| {
            polls += 1;
            if polls > times {
                return Poll::Ready(polls);
            }
            let waker = cx.waker().clone();
            thread::spawn(move || waker.wake());
            Poll::Pending
        })
    }

    #[test]
    fn a_wake_from_another_thread_ends_the_sleep() {
        let run_loop = RunLoop::new();
        let polls = run_loop.drive(std::pin::pin!(woken_from_afar(200)), || false);
        assert_eq!(polls, 201);
        assert_eq!(run_loop.lock().wakers.len(), 0, "a sleeper was left behind");
    }

    #[test]
    fn calls_nest_and_each_wakes_for_its_own_future() {
        let run_loop = RunLoop::new();
        let inner = run_loop.clone();
        let mut nested = vec![3, 2, 1];
        let run_one = || match nested.pop() {
            Some(times) => inner.drive(std::pin::pin!(woken_from_afar(times)), || false) == times + 1,
            None => false,
        };
        assert_eq!(run_loop.drive(std::pin::pin!(woken_from_afar(5)), run_one), 6);
        assert!(nested.is_empty());
    }

    #[test]
    fn a_notification_makes_it_look_for_tasks_again() {
        let run_loop = RunLoop::new();
        let (queue, notifier) = (Arc::new(Mutex::new(Vec::new())), run_loop.clone());
        let pushes = queue.clone();
        let foreign = thread::spawn(move || {
            for n in 1..=1_000 {
                pushes.lock().unwrap().push(n);
                notifier.notify();
            }
        });
        let (mut sum, waker) = (0, Mutex::new(None::<Waker>));
        let run_one = || {
            let Some(n) = queue.lock().unwrap().pop() else { return false };
            sum += n;
            if sum == 500_500 {
                waker.lock().unwrap().take().unwrap().wake();
            }
            true
        };
        let mut polls = 0;
        run_loop.drive(
            std::pin::pin!(poll_fn(|cx| {
                polls += 1;
                *waker.lock().unwrap() = Some(cx.waker().clone());
                if polls == 2 { Poll::Ready(()) } else { Poll::Pending }
            })),
            run_one,
        );
        assert_eq!((sum, polls), (500_500, 2));
        foreign.join().unwrap();
    }
}
