//! What belongs to one thread, in things that go anywhere: futures that may be polled and dropped there only, and values
//! that may be looked at there only. One of the two files with `unsafe` code.

use core::fmt;
use core::mem::{ManuallyDrop, needs_drop};
use core::pin::Pin;
use core::task::{Context, Poll};
use std::io::{Write, stderr};
use std::process::abort;

use super::Task;
use super::cell::NewTask;
use super::id::OwnerThread;
use super::label::Label;
use super::large::{BoxesOutput, is_large};
use crate::{Executor, JoinHandle};

/// A future that stays on the thread that made this: polled elsewhere it panics, dropped elsewhere it leaks, or ends the
/// process.
pub(super) struct LocalFuture<F> {
    home: OwnerThread,
    /// Set by the first poll: the future's memory may not be used again before it was dropped.
    is_pinned: bool,
    future: ManuallyDrop<F>,
}

// SAFETY: `future` is reached in `poll` and in `drop` only, and there only on the thread that made it. Thread numbers
// are never used twice.
unsafe impl<F> Send for LocalFuture<F> {}

impl<F> LocalFuture<F> {
    fn new(future: F) -> Self {
        Self { home: OwnerThread::current(), is_pinned: false, future: ManuallyDrop::new(future) }
    }
}

impl<F: Future> Future for LocalFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        assert!(self.home.is_current(), "a future spawned with `spawn_local` was polled away from its home thread");
        // SAFETY: `future` is pinned with `self`: it is never moved out, and `drop` drops it in place, or never returns.
        let future = unsafe {
            self.map_unchecked_mut(|this| {
                this.is_pinned = true;
                &mut *this.future
            })
        };
        future.poll(cx)
    }
}

impl<F> Drop for LocalFuture<F> {
    fn drop(&mut self) {
        if self.home.is_current() {
            // SAFETY: this is its home thread, and nothing reaches `future` after `drop`.
            unsafe { ManuallyDrop::drop(&mut self.future) }
        } else if self.is_pinned && needs_drop::<F>() {
            // The executor is at fault. The future can't be dropped here, nor its memory be given back before it was
            // dropped, as `Pin` promises; and the cell that it is in goes on to live and to die.
            // Said or not: nothing here may unwind.
            let _ =
                writeln!(stderr(), "fatal: an executor dropped a task of `Task::new_local` away from its home thread");
            abort();
        }
        // Never polled it isn't pinned, and leaks.
    }
}

/// As [`Task::new_local`], for a task of this label.
pub(super) fn new<F, E, L>(future: F, executor: E, label: L) -> (Task, JoinHandle<F::Output>)
where
    F: Future + 'static,
    F::Output: 'static,
    E: Executor,
    L: Label,
{
    if const { is_large::<F::Output>() } {
        let (task, fresh) = NewTask::new_local(BoxesOutput::new(future), executor, label);
        return (task, JoinHandle::new(fresh.into_unboxing_join_ref()));
    }
    let (task, fresh) = NewTask::new_local(future, executor, label);
    (task, JoinHandle::new(fresh.into_join_ref()))
}

impl<F, E, L> NewTask<LocalFuture<F>, E, L>
where
    F: Future + 'static,
    F::Output: 'static,
    E: Executor,
    L: Label,
{
    pub(super) fn new_local(future: F, executor: E, label: L) -> (Task, Self) {
        // SAFETY: `LocalFuture` may go anywhere. It is polled, and so comes to its output, at home only; the output is
        // dropped there if it was detached, else by its handle, which is `Send` only if the output is.
        unsafe { Self::new_unchecked(LocalFuture::new(future), executor, label) }
    }
}

/// A value that only the thread that made this may look at.
///
/// For what an executor of one thread has to itself, behind a handle that any thread may have: no lock is needed there.
///
/// # What dropping does
///
/// Drops the value, on whatever thread.
///
/// # Examples
///
/// ```
/// use polyexec_core::executor::ThreadBound;
/// use std::cell::Cell;
///
/// let count = ThreadBound::new(Cell::new(1));
/// count.get().unwrap().set(2);
/// std::thread::scope(|threads| {
///     threads.spawn(|| assert!(count.get().is_none()));
/// });
/// ```
pub struct ThreadBound<T> {
    home: OwnerThread,
    value: T,
}

// SAFETY: of all threads that share it, only one ever has a reference to the value. Whoever owns it may take it along
// and drop it only if `T` is `Send`.
unsafe impl<T: Send> Sync for ThreadBound<T> {}

impl<T> ThreadBound<T> {
    /// The calling thread is the value's home.
    pub fn new(value: T) -> Self {
        Self { home: OwnerThread::current(), value }
    }

    /// The value; `None` on any thread but its own.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        self.home.is_current().then_some(&self.value)
    }
}

impl<T: fmt::Debug> fmt::Debug for ThreadBound<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ThreadBound").field(&self.get()).finish()
    }
}

#[cfg(all(test, not(polyexec_loom)))]
mod tests {
    use super::*;
    use std::cell::Cell as Flag;
    use std::rc::Rc;

    struct SetOnDrop(Rc<Flag<bool>>);

    impl Drop for SetOnDrop {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }

    #[test]
    fn unpolled_it_is_dropped_at_home_and_leaked_elsewhere() {
        let at_home = Rc::new(Flag::new(false));
        let guard = SetOnDrop(at_home.clone());
        drop(LocalFuture::new(async move { drop(guard) }));
        assert!(at_home.get());

        let elsewhere = Rc::new(Flag::new(false));
        let guard = SetOnDrop(elsewhere.clone());
        let future = LocalFuture::new(async move { drop(guard) });
        std::thread::spawn(move || drop(future)).join().unwrap();
        assert!(!elsewhere.get());
        // `future` was the other owner; it leaked.
        assert_eq!(Rc::strong_count(&elsewhere), 2);
    }

    #[test]
    fn polled_elsewhere_it_panics() {
        let future = LocalFuture::new(async {});
        let polled = std::thread::spawn(move || {
            let mut future = core::pin::pin!(future);
            let mut cx = Context::from_waker(core::task::Waker::noop());
            future.as_mut().poll(&mut cx).is_ready()
        });
        assert!(polled.join().is_err());
    }

    /// The drop ends the process, so it happens in another one.
    #[test]
    fn polled_and_then_dropped_elsewhere_it_ends_the_process() {
        const CHILD: &str = "POLYEXEC_DROPS_A_LOCAL_FUTURE_ELSEWHERE";
        const NAME: &str = "task::thread_bound::tests::polled_and_then_dropped_elsewhere_it_ends_the_process";
        if std::env::var_os(CHILD).is_some() {
            let guard = SetOnDrop(Rc::default());
            let mut future = Box::pin(LocalFuture::new(async move {
                core::future::pending::<()>().await;
                drop(guard);
            }));
            let mut cx = Context::from_waker(core::task::Waker::noop());
            assert!(future.as_mut().poll(&mut cx).is_pending());
            std::thread::spawn(move || drop(future)).join().unwrap();
            return;
        }
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args([NAME, "--exact", "--nocapture"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        assert!(!child.status.success());
        let said = String::from_utf8_lossy(&child.stderr);
        assert!(said.contains("away from its home thread"), "{said}");
    }
}
