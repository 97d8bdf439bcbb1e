//! Keeps a future or a value to one thread, inside something that goes to any thread. With `cell/` and
//! `scope/child.rs`, the crate's only `unsafe` code.

use core::fmt;
use core::mem::{ManuallyDrop, needs_drop};
use core::pin::Pin;
use core::task::{Context, Poll};
use std::io::{Write, stderr};
use std::process::abort;

use super::cell::{Label, NewTask};
use super::id::OwnerThread;
use super::large::{BoxesOutput, is_large};
use super::spawn::observed;
use super::{Task, TaskId};
use crate::{Executor, JoinHandle};

/// A future that belongs to the thread that made this.
///
/// Polled on another thread, it panics. Dropped on another thread, it leaks; once polled, it ends the process.
pub(super) struct LocalFuture<F> {
    owner: OwnerThread,
    /// Set by the first poll. From then on the future's memory may not be freed before the future was dropped.
    is_pinned: bool,
    future: ManuallyDrop<F>,
}

// SAFETY: only `poll` and `drop` reach `future`, and only on the thread that made it. Thread numbers are never reused.
unsafe impl<F> Send for LocalFuture<F> {}

impl<F> LocalFuture<F> {
    fn new(future: F) -> Self {
        Self { owner: OwnerThread::current(), is_pinned: false, future: ManuallyDrop::new(future) }
    }
}

impl<F: Future> Future for LocalFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        assert!(self.owner.is_current(), "a future of `spawn_local` was polled on another thread");
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
        if self.owner.is_current() {
            // SAFETY: this is its owner thread, and nothing reaches `future` after `drop`.
            unsafe { ManuallyDrop::drop(&mut self.future) }
        } else if self.is_pinned && needs_drop::<F>() {
            // A bug of the executor. The future can't be dropped here, and `Pin` promises that its memory isn't freed before. But
            // the cell will be freed, so the process must end. The message may fail, since nothing here may unwind.
            let _ = writeln!(stderr(), "fatal: an executor dropped a task of `Task::new_local` on another thread");
            abort();
        }
        // Unpolled, it isn't pinned, and leaks.
    }
}

/// As [`Task::new_local`], for a task of this label.
pub(super) fn new<F, E>(future: F, executor: E, label: Label) -> (Task, JoinHandle<F::Output>)
where
    F: Future + 'static,
    F::Output: 'static,
    E: Executor,
{
    if const { is_large::<F::Output>() } {
        let (task, new) = NewTask::new_local(BoxesOutput::new(future), executor, label);
        return (task, JoinHandle::new(new.into_join_ref().into_unboxing()));
    }
    let (task, new) = NewTask::new_local(future, executor, label);
    (task, JoinHandle::new(new.into_join_ref()))
}

/// As [`spawn_local`](crate::spawn_local) on `executor`, for a task of this label.
///
/// # Panics
///
/// If the executor doesn't run all its tasks here.
#[track_caller]
pub(crate) fn spawn<F, E>(executor: E, future: F, label: Label) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
    E: Executor + Clone,
{
    assert!(
        executor.runs_only_here(),
        "`spawn_local` was called in an executor that runs tasks on other threads: call it in a task or `block_on` of a `Local`"
    );
    let (task, handle) = new(future, executor.clone(), label);
    // If it is refused, it ends here, on its thread, and its handle says why.
    if let Err(rejected) = executor.submit(task) {
        let (task, cause) = rejected.into_parts();
        task.end(cause.into());
    }
    handle
}

impl<F, E> NewTask<LocalFuture<F>, E>
where
    F: Future + 'static,
    F::Output: 'static,
    E: Executor,
{
    fn new_local(future: F, executor: E, label: Label) -> (Task, Self) {
        let id = TaskId::next();
        let label = observed(&executor, id, label);
        // SAFETY: `LocalFuture` may go to any thread. Only its owner thread polls it, and so gets its output. A detached
        // output is dropped there; else its handle drops it, which is `Send` only if the output is.
        unsafe { Self::new_unchecked(LocalFuture::new(future), executor, label, id) }
    }
}

/// A value that only the thread that made this may access.
///
/// An executor of one thread keeps its queue in one, behind a handle that any thread may have. So the queue needs no lock.
///
/// # What dropping does
///
/// Drops the value, on any thread.
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
    owner: OwnerThread,
    value: T,
}

// SAFETY: of all threads that share it, only one ever has a reference to the value. It moves to another thread, and is dropped
// there, only if `T` is `Send`.
unsafe impl<T: Send> Sync for ThreadBound<T> {}

impl<T> ThreadBound<T> {
    /// The calling thread becomes the value's owner.
    pub fn new(value: T) -> Self {
        Self { owner: OwnerThread::current(), value }
    }

    /// The value; `None` on any thread but its owner.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        self.owner.is_current().then_some(&self.value)
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
    fn unpolled_it_is_dropped_by_its_owner_and_leaked_elsewhere() {
        let by_owner = Rc::new(Flag::new(false));
        let guard = SetOnDrop(by_owner.clone());
        drop(LocalFuture::new(async move { drop(guard) }));
        assert!(by_owner.get());

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
        assert!(said.contains("on another thread"), "{said}");
    }
}
