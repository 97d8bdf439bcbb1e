//! Drives a future and an executor's tasks, in turns, on the caller's thread: what executors without threads of their own
//! have in common. Knows nothing of their queues.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::Ordering::{AcqRel, Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_task::{ArcWake, waker_ref};

use crate::{block_on, context};

/// Drives a future while its executor's tasks run, for an executor that runs them on its caller's thread.
///
/// Calls of [`drive`](Driver::drive) nest: a task may block, and the others run inside it then. The caller may also be
/// a task of another executor, which goes on while this one has nothing to do. Clones are the same driver.
///
/// # What dropping does
///
/// Nothing.
///
/// # Examples
///
/// ```
/// use polyexec_core::Driver;
/// use std::sync::{Arc, Mutex};
///
/// let jobs = Arc::new(Mutex::new(vec!["third", "second", "first"]));
/// let run_one = || jobs.lock().unwrap().pop().map(|job| println!("{job}")).is_some();
///
/// let driver = Driver::new();
/// let mut turns = 0;
/// let future = std::pin::pin!(std::future::poll_fn(|cx| {
///     turns += 1;
///     cx.waker().wake_by_ref();
///     if turns == 3 { std::task::Poll::Ready(turns) } else { std::task::Poll::Pending }
/// }));
/// assert_eq!(driver.drive(future, run_one), 3);
/// assert!(jobs.lock().unwrap().is_empty());
/// ```
#[derive(Clone, Default)]
pub struct Driver(Arc<Shared>);

/// Tasks that run before the future has its turn again, if it was woken meanwhile.
const TURN: usize = 64;

#[derive(Default)]
struct Shared {
    /// How often there was a notification.
    notifications: AtomicU64,
    /// Whether there may be wakers in `sleepers`, now or soon. Set and cleared under the lock.
    asleep: AtomicBool,
    sleepers: Mutex<Sleepers>,
}

/// The calls that sleep. All of them are on the driver's thread, one inside another.
#[derive(Default)]
struct Sleepers {
    wakers: Vec<(u64, Waker)>,
    /// Each has a number.
    so_far: u64,
}

impl Driver {
    /// A driver of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that a task is ready. To be called after it was put where `run_one` finds it.
    pub fn notify(&self) {
        // SeqCst, here and in `sleep`: either it sees the notification, or we see that it sleeps.
        self.0.notifications.fetch_add(1, SeqCst);
        if self.0.asleep.load(SeqCst) {
            let woken = {
                let mut sleepers = self.lock();
                self.0.asleep.store(false, SeqCst);
                std::mem::take(&mut sleepers.wakers)
            };
            woken.into_iter().for_each(|(_, waker)| waker.wake());
        }
    }

    /// As [`notify`](Driver::notify), for the thread that drives: it will look for tasks before it sleeps, so unless it
    /// does already, this costs nothing.
    #[inline]
    pub fn notify_here(&self) {
        // Relaxed: set by this thread. Cleared by another one, it has woken every sleeper, and they will look.
        if self.0.asleep.load(Relaxed) {
            self.notify();
        }
    }

    /// Polls `future` when it was woken, and calls `run_one`, in turns, until `future` is ready.
    ///
    /// `run_one` runs a task that is ready, or says that there is none; then this sleeps until there is one or `future`
    /// was woken. Of tasks that are ready, at most 64 run before `future` has its turn. The executor should [reside](context::reside) on this thread: it is put aside while this sleeps.
    ///
    /// # Panics
    ///
    /// If `future` or `run_one` does.
    pub fn drive<F: Future + ?Sized>(&self, mut future: Pin<&mut F>, mut run_one: impl FnMut() -> bool) -> F::Output {
        let driven = Arc::new(Driven { woken: AtomicBool::new(true), driver: self.clone() });
        let waker = waker_ref(&driven);
        let mut cx = Context::from_waker(&waker);
        loop {
            // First: what is notified from now on keeps us awake.
            let notifications = self.0.notifications.load(SeqCst);
            // Acquire: pairs with the Release in the waker; the poll sees what came before the wake. Relaxed before that:
            // a wake that isn't seen yet is notified of later.
            if driven.woken.load(Relaxed)
                && driven.woken.swap(false, AcqRel)
                && let Poll::Ready(output) = future.as_mut().poll(&mut cx)
            {
                return output;
            }
            if !run_one() {
                self.sleep(notifications);
                continue;
            }
            // Woken meanwhile, the future goes behind the tasks that wait, as each of them does.
            let _ = (1..TURN).all(|_| run_one());
        }
    }

    /// Returns when there were more notifications than so many.
    fn sleep(&self, notifications: u64) {
        let sleeper = Sleeper::new(self);
        context::outside(|_| {
            block_on(poll_fn(|cx| {
                sleeper.lie_down(cx.waker());
                if self.0.notifications.load(SeqCst) == notifications { Poll::Pending } else { Poll::Ready(()) }
            }));
        });
    }

    fn lock(&self) -> MutexGuard<'_, Sleepers> {
        self.0.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that sleeps. Dropped, it leaves no waker behind.
struct Sleeper<'a> {
    driver: &'a Driver,
    number: u64,
}

impl<'a> Sleeper<'a> {
    fn new(driver: &'a Driver) -> Self {
        let mut sleepers = driver.lock();
        sleepers.so_far += 1;
        // Before there is a waker: until it is polled, other code may run here, and notify.
        driver.0.asleep.store(true, SeqCst);
        Self { driver, number: sleepers.so_far }
    }

    /// Has the next notification call `waker`.
    fn lie_down(&self, waker: &Waker) {
        let newest = waker.clone();
        let before = self.take();
        {
            let mut sleepers = self.driver.lock();
            sleepers.wakers.push((self.number, newest));
            self.driver.0.asleep.store(true, SeqCst);
        }
        drop(before);
    }

    /// The waker, if no notification has taken it.
    fn take(&self) -> Option<(u64, Waker)> {
        let wakers = &mut self.driver.lock().wakers;
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

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("sleepers", &self.lock().wakers.len()).finish()
    }
}

/// Wakes a future that is driven. Each call of `drive` has its own.
struct Driven {
    woken: AtomicBool,
    driver: Driver,
}

impl ArcWake for Driven {
    fn wake_by_ref(driven: &Arc<Self>) {
        // Release: pairs with the Acquire in `drive`. A read-modify-write, as every wake is: of two wakes before a poll,
        // the poll sees what came before either.
        if !driven.woken.swap(true, AcqRel) {
            driven.driver.notify();
        }
    }
}

#[cfg(all(test, not(polyexec_loom)))]
mod tests {
    use super::*;
    use std::thread;

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
        let driver = Driver::new();
        let polls = driver.drive(std::pin::pin!(woken_from_afar(200)), || false);
        assert_eq!(polls, 201);
        assert_eq!(driver.lock().wakers.len(), 0, "a sleeper was left behind");
    }

    #[test]
    fn calls_nest_and_each_wakes_for_its_own_future() {
        let driver = Driver::new();
        let inner = driver.clone();
        let mut nested = vec![3, 2, 1];
        let run_one = || match nested.pop() {
            Some(times) => inner.drive(std::pin::pin!(woken_from_afar(times)), || false) == times + 1,
            None => false,
        };
        assert_eq!(driver.drive(std::pin::pin!(woken_from_afar(5)), run_one), 6);
        assert!(nested.is_empty());
    }

    #[test]
    fn a_notification_makes_it_look_for_tasks_again() {
        let driver = Driver::new();
        let (queue, notifier) = (Arc::new(Mutex::new(Vec::new())), driver.clone());
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
        driver.drive(
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
