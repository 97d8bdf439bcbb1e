//! User code that panics, at each place where a task calls it. The task's parts are dropped once, and its handle resolves.
//!
//! With `std` the panic is caught; without it, it unwinds. `.ci/run` runs both; the latter is
//! `cargo test -p polyexec-core --no-default-features --test panics`.

use std::future::{pending, poll_fn};
use std::mem::forget;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::panicking;

use polyexec_core::executor::{Ran, Rejected, Task};
use polyexec_core::{Executor, JoinError, JoinHandle};

/// Whether core catches panics of user code.
const IS_CAUGHT: bool = cfg!(feature = "std");

/// Counts the drops of its tokens, some of which panic.
#[derive(Clone, Default)]
struct Drops(Arc<AtomicUsize>);

struct Token {
    drops: Drops,
    panics: bool,
}

impl Drops {
    fn token(&self) -> Token {
        Token { drops: self.clone(), panics: false }
    }

    fn that_panics(&self) -> Token {
        Token { drops: self.clone(), panics: true }
    }

    fn count(&self) -> usize {
        self.0.load(SeqCst)
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.drops.0.fetch_add(1, SeqCst);
        if self.panics {
            // Calls no panic hook.
            resume_unwind(Box::new(()));
        }
    }
}

/// An executor that misbehaves as its fields say. Each cell has a clone.
#[derive(Clone, Default)]
struct Mine {
    cells: Arc<()>,
    queue: Arc<Mutex<Vec<Task>>>,
    submit_panics: bool,
    schedule_panics: bool,
    _own: Option<Arc<Mutex<Token>>>,
}

impl Mine {
    /// Whether a task's cell still exists.
    fn has_cell(&self) -> bool {
        Arc::strong_count(&self.cells) > 1
    }

    fn take(&self) -> Option<Task> {
        self.queue.lock().unwrap().pop()
    }
}

impl Executor for Mine {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        self.queue.lock().unwrap().push(task);
        if self.submit_panics {
            resume_unwind(Box::new(()));
        }
        Ok(())
    }

    fn schedule(&self, task: Task) {
        if self.schedule_panics {
            resume_unwind(Box::new(()));
        }
        self.queue.lock().unwrap().push(task);
    }

    fn drive(&self, _: Pin<&mut dyn Future<Output = ()>>) {
        unreachable!("no test drives it");
    }
}

/// Whether `act` unwound.
fn unwinds(act: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(act)).is_err()
}

fn run(task: Task) {
    let ran = task.run();
    assert!(matches!(ran, Ran::Finished | Ran::Waiting));
}

/// The result of a task that must have ended.
fn result<T>(mut handle: JoinHandle<T>) -> Result<T, JoinError> {
    match Pin::new(&mut handle).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("the handle doesn't resolve"),
    }
}

/// A future with a token among its fields, which are dropped with it.
struct Carrying<F> {
    _token: Token,
    future: F,
}

fn carrying<F: Future + Unpin>(token: Token, future: F) -> Carrying<F> {
    Carrying { _token: token, future }
}

impl<F: Future + Unpin> Future for Carrying<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        Pin::new(&mut self.future).poll(cx)
    }
}

/// Ready with a token.
fn ready(token: Token) -> impl Future<Output = Token> + Send + Unpin {
    let mut token = Some(token);
    poll_fn(move |_| Poll::Ready(token.take().expect("polled once")))
}

#[test]
fn core_has_std_or_not_as_this_test_says() {
    let (task, _handle) = Task::new(poll_fn(|_| -> Poll<()> { resume_unwind(Box::new(())) }), Mine::default());
    assert_eq!(unwinds(|| run(task)), !IS_CAUGHT, "features of core and of this test differ");
}

#[test]
fn in_a_poll() {
    let (mine, futures) = (Mine::default(), Drops::default());
    let future = carrying(futures.token(), poll_fn(|_| -> Poll<()> { resume_unwind(Box::new(())) }));
    let (task, handle) = Task::new(future, mine.clone());
    assert_eq!(unwinds(|| run(task)), !IS_CAUGHT);
    assert_eq!(futures.count(), 1);
    assert!(result(handle).unwrap_err().is_panic());
    assert!(!mine.has_cell());
}

/// A task that was idle before: its waker keeps the cell.
#[test]
fn in_a_later_poll() {
    let (mine, futures) = (Mine::default(), Drops::default());
    let waker = Arc::new(Mutex::new(None));
    let leaves = waker.clone();
    let future = carrying(
        futures.token(),
        poll_fn(move |cx| -> Poll<()> {
            match leaves.lock().unwrap().replace(cx.waker().clone()) {
                None => Poll::Pending,
                Some(_) => resume_unwind(Box::new(())),
            }
        }),
    );
    let (task, handle) = Task::new(future, mine.clone());
    run(task);
    waker.lock().unwrap().as_ref().unwrap().wake_by_ref();
    let task = mine.take().unwrap();
    assert_eq!(unwinds(|| run(task)), !IS_CAUGHT);
    assert_eq!(futures.count(), 1);
    assert!(handle.is_finished());
    drop(handle);
    assert!(mine.has_cell(), "its waker is here");
    drop(waker.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take());
    assert!(!mine.has_cell());
}

/// A guard among the future's fields is dropped during the unwinding.
#[test]
fn a_future_that_panicked_is_dropped_while_its_thread_is_panicking() {
    struct Asks(Arc<Mutex<Vec<bool>>>);

    impl Drop for Asks {
        fn drop(&mut self) {
            self.0.lock().unwrap().push(panicking());
        }
    }

    let seen = Arc::new(Mutex::new(Vec::new()));
    let asks = Asks(seen.clone());
    let future = poll_fn(move |_| -> Poll<()> {
        let _ = &asks;
        resume_unwind(Box::new(()))
    });
    let (task, handle) = Task::new(future, Mine::default());
    assert_eq!(unwinds(|| run(task)), !IS_CAUGHT);
    drop(handle);

    let asks = Asks(seen.clone());
    let future = poll_fn(move |_| {
        let _ = &asks;
        Poll::Ready(())
    });
    let (task, _handle) = Task::new(future, Mine::default());
    run(task);
    assert_eq!(*seen.lock().unwrap(), [true, false]);
}

#[test]
fn in_the_drop_of_a_future_that_is_ready() {
    let (mine, futures, outputs) = (Mine::default(), Drops::default(), Drops::default());
    let future = carrying(futures.that_panics(), ready(outputs.token()));
    let (task, handle) = Task::new(future, mine.clone());
    assert_eq!(unwinds(|| run(task)), !IS_CAUGHT);
    assert_eq!((futures.count(), outputs.count()), (1, 1));
    assert!(result(handle).err().unwrap().is_panic());
    assert!(!mine.has_cell());
}

#[test]
fn in_the_drop_of_a_future_that_is_aborted() {
    let (mine, futures) = (Mine::default(), Drops::default());
    let (task, handle) = Task::new(carrying(futures.that_panics(), pending::<()>()), mine.clone());
    handle.abort();
    assert_eq!(unwinds(|| run(task)), !IS_CAUGHT);
    assert_eq!(futures.count(), 1);
    assert!(result(handle).unwrap_err().is_panic());
    assert!(!mine.has_cell());
}

#[test]
fn in_the_drop_of_a_future_whose_task_is_dropped() {
    let (mine, futures) = (Mine::default(), Drops::default());
    let (task, handle) = Task::new(carrying(futures.that_panics(), pending::<()>()), mine.clone());
    assert_eq!(unwinds(|| drop(task)), !IS_CAUGHT);
    assert_eq!(futures.count(), 1);
    assert!(result(handle).unwrap_err().is_panic());
    assert!(!mine.has_cell());
}

/// Nothing can wake it: the last reference frees the cell, and the future with it.
#[test]
fn in_the_drop_of_a_future_that_nothing_can_wake() {
    let (mine, futures) = (Mine::default(), Drops::default());
    let (task, handle) = Task::new(carrying(futures.that_panics(), pending::<()>()), mine.clone());
    drop(handle);
    assert_eq!(unwinds(|| run(task)), !IS_CAUGHT);
    assert_eq!(futures.count(), 1);
    assert!(!mine.has_cell());

    let (task, handle) = Task::new(carrying(futures.that_panics(), pending::<()>()), mine.clone());
    run(task);
    assert_eq!(unwinds(|| drop(handle)), !IS_CAUGHT);
    assert_eq!(futures.count(), 2);
    assert!(!mine.has_cell());
}

#[test]
fn in_the_drop_of_an_output() {
    let (mine, outputs) = (Mine::default(), Drops::default());
    let (task, handle) = Task::new(ready(outputs.that_panics()), mine.clone());
    drop(handle);
    assert_eq!(unwinds(|| run(task)), !IS_CAUGHT, "detached");
    assert_eq!(outputs.count(), 1);
    assert!(!mine.has_cell());

    let (task, handle) = Task::new(ready(outputs.that_panics()), mine.clone());
    run(task);
    assert_eq!(unwinds(|| drop(handle)), !IS_CAUGHT, "with its handle");
    assert_eq!(outputs.count(), 2);
    assert!(!mine.has_cell());
}

/// Both panic, one while the other unwinds. Without `std` that ends the process.
#[cfg(feature = "std")]
#[test]
fn in_a_poll_and_then_in_the_drop() {
    let (mine, futures, outputs) = (Mine::default(), Drops::default(), Drops::default());
    let future = carrying(futures.that_panics(), poll_fn(|_| -> Poll<()> { resume_unwind(Box::new("first")) }));
    let (task, handle) = Task::new(future, mine.clone());
    run(task);
    assert_eq!(futures.count(), 1);
    assert_eq!(result(handle).unwrap_err().into_panic().downcast_ref(), Some(&"first"));

    let future = carrying(futures.that_panics(), ready(outputs.that_panics()));
    let (task, handle) = Task::new(future, mine.clone());
    run(task);
    assert_eq!((futures.count(), outputs.count()), (2, 1));
    assert!(result(handle).err().unwrap().is_panic());
    assert!(!mine.has_cell());
}

/// A join waker that may panic in its wake; its token may in its drop.
struct Panics {
    in_wake: bool,
    _token: Mutex<Token>,
}

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.in_wake {
            resume_unwind(Box::new(()));
        }
    }
}

fn join_waker(in_wake: bool, token: Token) -> Waker {
    Waker::from(Arc::new(Panics { in_wake, _token: Mutex::new(token) }))
}

fn wait<T>(handle: &mut JoinHandle<T>, waker: Waker) {
    assert!(Pin::new(handle).poll(&mut Context::from_waker(&waker)).is_pending());
}

#[test]
fn in_a_join_wakers_wake() {
    let (mine, outputs, wakers) = (Mine::default(), Drops::default(), Drops::default());
    let (task, mut handle) = Task::new(ready(outputs.token()), mine.clone());
    wait(&mut handle, join_waker(true, wakers.token()));
    assert_eq!(unwinds(|| run(task)), !IS_CAUGHT);
    assert_eq!((outputs.count(), wakers.count()), (0, 1));
    drop(result(handle).expect("the output is there"));
    assert_eq!(outputs.count(), 1);
    assert!(!mine.has_cell());
}

#[test]
fn in_a_join_wakers_drop() {
    let (mine, outputs, wakers) = (Mine::default(), Drops::default(), Drops::default());
    let (task, mut handle) = Task::new(ready(outputs.token()), mine.clone());
    wait(&mut handle, join_waker(false, wakers.that_panics()));
    assert_eq!(unwinds(|| drop(handle)), !IS_CAUGHT, "with the handle");
    assert_eq!(wakers.count(), 1);
    run(task);
    assert_eq!(outputs.count(), 1);
    assert!(!mine.has_cell());

    let (task, mut handle) = Task::new(ready(outputs.token()), mine.clone());
    wait(&mut handle, join_waker(false, wakers.that_panics()));
    // Replaced by another one: this panic is its poller's.
    assert!(unwinds(|| wait(&mut handle, join_waker(false, wakers.that_panics()))));
    assert_eq!(wakers.count(), 2);
    assert_eq!(unwinds(|| drop(handle)), !IS_CAUGHT, "left over");
    assert_eq!(wakers.count(), 3);
    run(task);
    assert_eq!(outputs.count(), 2, "the handle is gone");
    assert!(!mine.has_cell());
}

#[test]
fn in_submit() {
    let (futures, outputs) = (Drops::default(), Drops::default());
    let mine = Mine { submit_panics: true, ..Mine::default() };
    type Spawn = fn(&Mine, Token, Token);
    let spawn: Spawn = |mine, future, output| forget(mine.spawn(carrying(future, ready(output))));
    let try_spawn: Spawn = |mine, future, output| forget(mine.try_spawn(carrying(future, ready(output))));
    for spawn in [spawn, try_spawn] {
        let before = outputs.count();
        assert!(unwinds(|| spawn(&mine, futures.token(), outputs.token())));
        run(mine.take().expect("it was queued all the same"));
        assert_eq!(outputs.count(), before + 1, "a detached output is dropped");
        assert_eq!(futures.count(), outputs.count());
        assert!(!mine.has_cell());
    }
    let before = outputs.count();
    assert!(unwinds(|| drop(mine.spawn(carrying(futures.token(), ready(outputs.token()))))));
    drop(mine.take());
    assert_eq!((futures.count(), outputs.count()), (before + 1, before + 1), "never run");
    assert!(!mine.has_cell());
}

#[test]
fn in_schedule() {
    let (mine, futures) = (Mine { schedule_panics: true, ..Mine::default() }, Drops::default());
    let (task, handle) = Task::new(carrying(futures.token(), pending::<()>()), mine.clone());
    run(task);
    assert!(unwinds(|| handle.abort()), "the caller gets the panic");
    assert_eq!(futures.count(), 1, "its `Task` was dropped");
    assert!(result(handle).unwrap_err().is_shutdown());
    assert!(!mine.has_cell());
}

#[test]
fn in_the_drop_of_an_executor() {
    let (executors, outputs) = (Drops::default(), Drops::default());
    let own = Arc::new(Mutex::new(executors.that_panics()));
    let mine = Mine { _own: Some(own), ..Mine::default() };
    let cells = mine.cells.clone();
    let (task, handle) = Task::new(ready(outputs.token()), mine);
    run(task);
    assert_eq!(unwinds(|| drop(handle)), !IS_CAUGHT);
    assert_eq!((executors.count(), outputs.count()), (1, 1));
    assert_eq!(Arc::strong_count(&cells), 1, "the rest of it is dropped");
}
