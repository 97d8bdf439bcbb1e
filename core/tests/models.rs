//! What may happen to a task on two or three threads, in every order that loom finds. Says nothing of executors' queues: a
//! thread that wakes a task runs it, and the queue itself orders nothing. Run by `ci/loom`.
#![cfg(polyexec_loom)]

use std::future::{pending, poll_fn};
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{AcqRel, Relaxed, SeqCst};
use std::sync::{Arc as Plain, Mutex as Invisible};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use futures_task::{ArcWake, waker};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use polyexec_core::modelled::{AtomicBool, AtomicU64, Drops, Token, check, check_fewer};
use polyexec_core::{AbortHandle, Executor, JoinError, JoinHandle, LiveTasks, Parker, Ran, Rejected, Task, park_on};

/// An executor whose queue orders nothing, as far as loom knows: what the models see is ordered by the task alone. Each cell
/// has one, so that loom finds a cell that leaks.
#[derive(Clone)]
struct Queue(Arc<Shared>);

#[derive(Default)]
struct Shared {
    ready: Invisible<Vec<Task>>,
    /// `None`: tasks are run without a table.
    live: Option<LiveTasks>,
}

impl Queue {
    fn new() -> Self {
        Self(Arc::new(Shared::default()))
    }

    fn with_table() -> Self {
        Self(Arc::new(Shared { live: Some(LiveTasks::new()), ..Shared::default() }))
    }

    fn live(&self) -> &LiveTasks {
        self.0.live.as_ref().unwrap()
    }

    fn take(&self) -> Option<Task> {
        self.0.ready.lock().unwrap().pop()
    }

    fn step(&self, task: Task) -> Ran {
        match &self.0.live {
            Some(live) => live.run(task),
            None => task.run(),
        }
    }

    fn run(&self, mut task: Task) {
        while let Ran::Again(again) = self.step(task) {
            task = again;
        }
    }

    /// Runs what this thread has woken.
    fn run_woken(&self) {
        while let Some(task) = self.take() {
            self.run(task);
        }
    }

    fn spawn<F>(&self, future: F) -> (Task, JoinHandle<F::Output>)
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Task::new(future, self.clone())
    }

    /// A task that has been polled once, and rests.
    fn rest<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (task, handle) = self.spawn(future);
        assert!(matches!(self.step(task), Ran::Waiting));
        handle
    }

    /// The task, woken.
    fn woken(&self, waker: &Waker) -> Task {
        waker.wake_by_ref();
        self.take().expect("it rests")
    }
}

impl Executor for Queue {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        self.schedule(task);
        Ok(())
    }

    fn schedule(&self, task: Task) {
        self.0.ready.lock().unwrap().push(task);
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        park_on(future);
    }
}

/// Counts how often it was called.
#[derive(Default)]
struct Calls(AtomicUsize);

impl Calls {
    fn new() -> (Plain<Self>, Waker) {
        let calls = Plain::<Self>::default();
        (calls.clone(), waker(calls))
    }

    fn count(&self) -> usize {
        self.0.load(SeqCst)
    }
}

impl ArcWake for Calls {
    fn wake_by_ref(calls: &Plain<Self>) {
        calls.0.fetch_add(1, SeqCst);
    }
}

/// Where a future leaves its waker.
#[derive(Clone, Default)]
struct Slot(Plain<Invisible<Option<Waker>>>);

impl Slot {
    fn fill(&self, cx: &Context<'_>) {
        // No step of the model under the lock, which loom doesn't see.
        let waker = cx.waker().clone();
        *self.0.lock().unwrap() = Some(waker);
    }

    fn take(&self) -> Waker {
        self.0.lock().unwrap().take().expect("the future has left a waker")
    }

    /// Waits for the poll that fills it.
    fn wait(&self) -> Waker {
        loop {
            if let Some(waker) = self.0.lock().unwrap().take() {
                return waker;
            }
            thread::yield_now();
        }
    }
}

/// Ready with a token when all flags are up, which are data: only a wake that orders them shows them. Leaves its waker in a
/// slot in its first poll.
fn until<const N: usize>(
    flags: [&Arc<AtomicBool>; N],
    slot: &Slot,
    futures: &Drops,
    outputs: &Drops,
) -> impl Future<Output = Token> + Send + use<N> {
    let (flags, slot, future) = (flags.map(Arc::clone), slot.clone(), futures.token());
    let mut output = Some(outputs.token());
    let mut is_first = true;
    poll_fn(move |cx| {
        let _ = &future;
        if std::mem::take(&mut is_first) {
            slot.fill(cx);
        }
        match flags.iter().all(|flag| flag.load(Relaxed)) {
            true => Poll::Ready(output.take().expect("polled after it was ready")),
            false => Poll::Pending,
        }
    })
}

fn flag() -> Arc<AtomicBool> {
    Arc::new(AtomicBool::new(false))
}

fn poll<T>(handle: &mut JoinHandle<T>, waker: &Waker) -> Poll<Result<T, JoinError>> {
    Pin::new(handle).poll(&mut Context::from_waker(waker))
}

/// The result of a task that must be over.
fn result<T>(mut handle: JoinHandle<T>) -> Result<T, JoinError> {
    match poll(&mut handle, Waker::noop()) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("a wake was lost: the task isn't over"),
    }
}

/// Tries the model without a table of live tasks, and with one.
fn check_both(name: &str, model: fn(Queue)) {
    check(name, move || model(Queue::new()));
    check(&format!("{name}, in a table"), move || model(Queue::with_table()));
}

#[test]
fn wake_and_the_end_of_a_poll() {
    check_both("wake and the end of a poll", |queue| {
        let (up, slot, futures, outputs) = (flag(), Slot::default(), Drops::default(), Drops::default());
        let handle = queue.rest(until([&up], &slot, &futures, &outputs));
        let waker = slot.take();
        let task = queue.woken(&waker);
        let runner = thread::spawn({
            let queue = queue.clone();
            move || queue.run(task)
        });
        up.store(true, Relaxed);
        waker.wake();
        queue.run_woken();
        runner.join().unwrap();
        drop(result(handle).ok().unwrap());
        assert_eq!((futures.count(), outputs.count()), (1, 1));
    });
}

#[test]
fn wake_and_the_end_of_the_first_poll() {
    check_both("wake and the end of the first poll", |queue| {
        let (up, slot, futures, outputs) = (flag(), Slot::default(), Drops::default(), Drops::default());
        let (task, handle) = queue.spawn(until([&up], &slot, &futures, &outputs));
        let runner = thread::spawn({
            let queue = queue.clone();
            move || queue.run(task)
        });
        let waker = slot.wait();
        up.store(true, Relaxed);
        waker.wake();
        queue.run_woken();
        runner.join().unwrap();
        drop(result(handle).ok().unwrap());
        assert_eq!((futures.count(), outputs.count()), (1, 1));
    });
}

#[test]
fn two_wakes_from_two_threads() {
    check_both("two wakes from two threads", |queue| {
        let (first, second) = (flag(), flag());
        let (slot, futures, outputs) = (Slot::default(), Drops::default(), Drops::default());
        let handle = queue.rest(until([&first, &second], &slot, &futures, &outputs));
        let waker = slot.take();
        let other = thread::spawn({
            let (queue, waker) = (queue.clone(), waker.clone());
            move || {
                first.store(true, Relaxed);
                waker.wake();
                queue.run_woken();
            }
        });
        second.store(true, Relaxed);
        waker.wake();
        queue.run_woken();
        other.join().unwrap();
        drop(result(handle).ok().unwrap());
        assert_eq!((futures.count(), outputs.count()), (1, 1));
    });
}

/// Three threads: one polls, two wake. Each wake must show what came before it, even where the other one was first.
#[test]
fn two_wakes_during_a_poll() {
    check_fewer("two wakes during a poll", 1, || {
        let queue = Queue::new();
        let (first, second) = (flag(), flag());
        let (slot, futures, outputs) = (Slot::default(), Drops::default(), Drops::default());
        let handle = queue.rest(until([&first, &second], &slot, &futures, &outputs));
        let waker = slot.take();
        let task = queue.woken(&waker);
        let runner = thread::spawn({
            let queue = queue.clone();
            move || queue.run(task)
        });
        let other = thread::spawn({
            let (queue, waker) = (queue.clone(), waker.clone());
            move || {
                first.store(true, Relaxed);
                waker.wake();
                queue.run_woken();
            }
        });
        second.store(true, Relaxed);
        waker.wake();
        queue.run_woken();
        runner.join().unwrap();
        other.join().unwrap();
        drop(result(handle).ok().unwrap());
        assert_eq!((futures.count(), outputs.count()), (1, 1));
    });
}

/// A task that wakes itself, and is woken from elsewhere meanwhile.
#[test]
fn own_wake_and_another() {
    check_both("own wake and another", |queue| {
        let (up, slot, futures, outputs) = (flag(), Slot::default(), Drops::default(), Drops::default());
        let mut inner = Box::pin(until([&up], &slot, &futures, &outputs));
        let mut own_wakes = 1;
        let (task, handle) = queue.spawn(poll_fn(move |cx| {
            let polled = inner.as_mut().poll(cx);
            if polled.is_pending() && own_wakes > 0 {
                own_wakes -= 1;
                cx.waker().wake_by_ref();
            }
            polled
        }));
        let runner = thread::spawn({
            let queue = queue.clone();
            move || queue.run(task)
        });
        let waker = slot.wait();
        up.store(true, Relaxed);
        waker.wake();
        queue.run_woken();
        runner.join().unwrap();
        drop(result(handle).ok().unwrap());
        assert_eq!((futures.count(), outputs.count()), (1, 1));
    });
}

#[test]
fn wake_and_abort() {
    check_both("wake and abort", |queue| {
        let (up, slot, futures, outputs) = (flag(), Slot::default(), Drops::default(), Drops::default());
        let handle = queue.rest(until([&up], &slot, &futures, &outputs));
        let waker = slot.take();
        let aborter = thread::spawn({
            let (queue, abort) = (queue.clone(), handle.abort_handle());
            move || {
                abort.abort();
                queue.run_woken();
            }
        });
        up.store(true, Relaxed);
        waker.wake();
        queue.run_woken();
        aborter.join().unwrap();
        // Whichever was first; but over it is.
        match result(handle) {
            Ok(output) => drop(output),
            Err(error) => assert!(error.is_cancelled()),
        }
        assert_eq!((futures.count(), outputs.count()), (1, 1));
    });
}

#[test]
fn wake_and_abort_during_a_poll() {
    check_fewer("wake and abort during a poll", 1, || {
        let queue = Queue::new();
        let (up, slot, futures, outputs) = (flag(), Slot::default(), Drops::default(), Drops::default());
        let handle = queue.rest(until([&up], &slot, &futures, &outputs));
        let waker = slot.take();
        let task = queue.woken(&waker);
        let runner = thread::spawn({
            let queue = queue.clone();
            move || queue.run(task)
        });
        let aborter = thread::spawn({
            let (queue, abort) = (queue.clone(), handle.abort_handle());
            move || {
                abort.abort();
                queue.run_woken();
            }
        });
        up.store(true, Relaxed);
        waker.wake();
        queue.run_woken();
        runner.join().unwrap();
        aborter.join().unwrap();
        match result(handle) {
            Ok(output) => drop(output),
            Err(error) => assert!(error.is_cancelled()),
        }
        assert_eq!((futures.count(), outputs.count()), (1, 1));
    });
}

/// An abort of a task that stays pending ends it, wherever its poll is.
#[test]
fn abort_and_the_end_of_a_poll() {
    check_both("abort and the end of a poll", |queue| {
        let futures = Drops::default();
        let future = futures.token();
        let (task, handle) = queue.spawn(async move {
            let _future = future;
            pending::<()>().await;
        });
        let runner = thread::spawn({
            let queue = queue.clone();
            move || queue.run(task)
        });
        handle.abort();
        queue.run_woken();
        runner.join().unwrap();
        assert!(result(handle).unwrap_err().is_cancelled());
        assert_eq!(futures.count(), 1);
    });
}

#[test]
fn abort_and_completion() {
    check_both("abort and completion", |queue| {
        let (futures, outputs) = (Drops::default(), Drops::default());
        let (future, output) = (futures.token(), outputs.token());
        let (task, handle) = queue.spawn(async move {
            let _future = future;
            output
        });
        let runner = thread::spawn({
            let queue = queue.clone();
            move || queue.run(task)
        });
        handle.abort();
        queue.run_woken();
        runner.join().unwrap();
        match result(handle) {
            Ok(output) => drop(output),
            Err(error) => assert!(error.is_cancelled()),
        }
        assert_eq!((futures.count(), outputs.count()), (1, 1));
    });
}

#[test]
fn two_aborts() {
    check_both("two aborts", |queue| {
        let futures = Drops::default();
        let future = futures.token();
        let handle = queue.rest(async move {
            let _future = future;
            pending::<()>().await;
        });
        let abort = |queue: Queue, handle: AbortHandle| {
            move || {
                handle.abort();
                queue.run_woken();
            }
        };
        let other = thread::spawn(abort(queue.clone(), handle.abort_handle()));
        abort(queue.clone(), handle.abort_handle())();
        other.join().unwrap();
        assert!(result(handle).unwrap_err().is_cancelled());
        assert_eq!(futures.count(), 1);
    });
}

#[test]
fn completion_and_join() {
    check_both("completion and join", |queue| {
        let (futures, outputs) = (Drops::default(), Drops::default());
        let (future, output) = (futures.token(), outputs.token());
        let (task, handle) = queue.spawn(async move {
            let _future = future;
            output
        });
        let runner = thread::spawn({
            let queue = queue.clone();
            move || queue.run(task)
        });
        // Blocks in the parker of `block_on`. A wake that is lost is a deadlock.
        drop(handle.join().ok().unwrap());
        assert_eq!((futures.count(), outputs.count()), (1, 1));
        runner.join().unwrap();
    });
}

/// The joiner is a task, whose waker has no box; it waits among others that do.
#[test]
fn completion_and_a_task_that_joins() {
    check("completion and a task that joins", || {
        let queue = Queue::new();
        let outputs = Drops::default();
        let output = outputs.token();
        let (joined, joins) = queue.spawn(async move { output });
        let (joiner, handle) = queue.spawn(joins);
        let runner = thread::spawn({
            let queue = queue.clone();
            move || {
                queue.run(joined);
                queue.run_woken();
            }
        });
        queue.run(joiner);
        queue.run_woken();
        runner.join().unwrap();
        drop(result(handle).unwrap().ok().unwrap());
        assert_eq!(outputs.count(), 1);
    });
}

/// As a select does that drops its waiter: the last waker is the one to be called, and each is dropped.
#[test]
fn completion_and_another_waker() {
    check("completion and another waker", || {
        let queue = Queue::new();
        let outputs = Drops::default();
        let output = outputs.token();
        let (task, mut handle) = queue.spawn(async move { output });
        let runner = thread::spawn({
            let queue = queue.clone();
            move || queue.run(task)
        });
        let ((first, waker_1), (second, waker_2)) = (Calls::new(), Calls::new());
        let mut early = poll(&mut handle, &waker_1);
        let mut waits = early.is_pending();
        if waits {
            early = poll(&mut handle, &waker_2);
            waits = early.is_pending();
        }
        runner.join().unwrap();
        match early {
            Poll::Ready(result) => drop(result.ok().unwrap()),
            Poll::Pending => drop(result(handle).ok().unwrap()),
        }
        assert!(!waits || second.count() == 1, "the newest waker wasn't called");
        assert!(first.count() + second.count() <= 1, "two wakers were called");
        drop((waker_1, waker_2));
        assert_eq!((Plain::strong_count(&first), Plain::strong_count(&second)), (1, 1), "a waker was lost");
        assert_eq!(outputs.count(), 1);
    });
}

#[test]
fn completion_and_the_drop_of_the_handle() {
    check_both("completion and the drop of the handle", |queue| {
        let (futures, outputs) = (Drops::default(), Drops::default());
        let (future, output) = (futures.token(), outputs.token());
        let (task, handle) = queue.spawn(async move {
            let _future = future;
            output
        });
        let runner = thread::spawn({
            let queue = queue.clone();
            move || queue.run(task)
        });
        drop(handle);
        runner.join().unwrap();
        assert_eq!((futures.count(), outputs.count()), (1, 1));
    });
}

#[test]
fn completion_and_the_drop_of_a_handle_that_waits() {
    check("completion and the drop of a handle that waits", || {
        let queue = Queue::new();
        let outputs = Drops::default();
        let output = outputs.token();
        let (task, mut handle) = queue.spawn(async move { output });
        let (calls, waker) = Calls::new();
        assert!(poll(&mut handle, &waker).is_pending());
        let runner = thread::spawn({
            let queue = queue.clone();
            move || queue.run(task)
        });
        drop(handle);
        runner.join().unwrap();
        drop(waker);
        assert!(calls.count() <= 1);
        assert_eq!(Plain::strong_count(&calls), 1, "a waker was lost");
        assert_eq!(outputs.count(), 1);
    });
}

#[test]
fn is_finished_and_then_the_result() {
    check("is_finished and then the result", || {
        let queue = Queue::new();
        let outputs = Drops::default();
        let output = outputs.token();
        let (task, handle) = queue.spawn(async move { output });
        let runner = thread::spawn({
            let queue = queue.clone();
            move || queue.run(task)
        });
        let early = handle.is_finished();
        let late = if early { Ok(result(handle)) } else { Err(handle) };
        runner.join().unwrap();
        drop(late.unwrap_or_else(result).ok().unwrap());
        assert_eq!(outputs.count(), 1);
    });
}

/// Without a table, the last waker and the handle keep the task between them; the last to go drops the future.
#[test]
fn the_last_waker_and_the_handle() {
    check("the last waker and the handle", || {
        let queue = Queue::new();
        let (up, slot, futures, outputs) = (flag(), Slot::default(), Drops::default(), Drops::default());
        let handle = queue.rest(until([&up], &slot, &futures, &outputs));
        let waker = slot.take();
        let other = thread::spawn(move || drop(waker));
        drop(handle);
        other.join().unwrap();
        assert_eq!((futures.count(), outputs.count()), (1, 1));
    });
}

#[test]
fn the_last_two_wakers() {
    check("the last two wakers", || {
        let queue = Queue::new();
        let (up, slot, futures, outputs) = (flag(), Slot::default(), Drops::default(), Drops::default());
        drop(queue.rest(until([&up], &slot, &futures, &outputs)));
        let waker = slot.take();
        let other = thread::spawn({
            let waker = waker.clone();
            move || drop(waker.clone())
        });
        drop(waker);
        other.join().unwrap();
        assert_eq!((futures.count(), outputs.count()), (1, 1));
    });
}

#[test]
fn the_last_abort_handle_and_the_handle() {
    check("the last abort handle and the handle", || {
        let queue = Queue::new();
        let outputs = Drops::default();
        let output = outputs.token();
        let (task, handle) = queue.spawn(async move { output });
        let abort = handle.abort_handle();
        let runner = thread::spawn({
            let queue = queue.clone();
            move || queue.run(task)
        });
        let other = thread::spawn(move || {
            let _ = abort.is_finished();
        });
        drop(handle);
        runner.join().unwrap();
        other.join().unwrap();
        assert_eq!(outputs.count(), 1);
    });
}

/// Nobody has a waker: who goes last, the poll or the handle, frees the cell.
#[test]
fn the_end_of_a_poll_and_the_drop_of_the_handle() {
    check("the end of a poll and the drop of the handle", || {
        let queue = Queue::new();
        let futures = Drops::default();
        let future = futures.token();
        let (task, handle) = queue.spawn(async move {
            let _future = future;
            pending::<()>().await;
        });
        let runner = thread::spawn({
            let queue = queue.clone();
            move || queue.run(task)
        });
        drop(handle);
        runner.join().unwrap();
        assert_eq!(futures.count(), 1);
    });
}

#[test]
fn panic_and_wake() {
    check_both("panic and wake", |queue| {
        let (slot, futures) = (Slot::default(), Drops::default());
        let (sender, future) = (slot.clone(), futures.token());
        let (task, handle) = queue.spawn(poll_fn(move |cx| -> Poll<()> {
            let _future = &future;
            sender.fill(cx);
            resume_unwind(Box::new("meant"))
        }));
        let runner = thread::spawn({
            let queue = queue.clone();
            move || queue.run(task)
        });
        slot.wait().wake();
        queue.run_woken();
        runner.join().unwrap();
        assert!(result(handle).unwrap_err().is_panic());
        assert_eq!(futures.count(), 1);
    });
}

#[test]
fn panic_and_the_drop_of_the_handle() {
    check("panic and the drop of the handle", || {
        let queue = Queue::new();
        let payloads = Drops::default();
        let payload = payloads.token();
        let (task, handle) = queue.spawn(async move {
            resume_unwind(Box::new(payload));
        });
        let runner = thread::spawn({
            let queue = queue.clone();
            move || queue.run(task)
        });
        drop(handle);
        runner.join().unwrap();
        assert_eq!(payloads.count(), 1);
    });
}

/// A task's `Task` is dropped by one thread while another wakes, or aborts, it.
#[test]
fn a_task_that_is_dropped_and_a_wake() {
    check("a task that is dropped and a wake", || {
        let queue = Queue::new();
        let (up, slot, futures, outputs) = (flag(), Slot::default(), Drops::default(), Drops::default());
        let handle = queue.rest(until([&up], &slot, &futures, &outputs));
        let waker = slot.take();
        let task = queue.woken(&waker);
        let other = thread::spawn(move || drop(task));
        waker.wake();
        assert!(queue.take().is_none(), "there were two");
        other.join().unwrap();
        assert!(result(handle).err().unwrap().is_shutdown());
        assert_eq!((futures.count(), outputs.count()), (1, 1));
    });
}

/// A future that was polled elsewhere before is dropped with its `Task`.
#[test]
fn a_poll_elsewhere_and_the_drop_of_the_task() {
    check("a poll elsewhere and the drop of the task", || {
        let queue = Queue::new();
        let (up, slot, futures, outputs) = (flag(), Slot::default(), Drops::default(), Drops::default());
        let (task, handle) = queue.spawn(until([&up], &slot, &futures, &outputs));
        let runner = thread::spawn({
            let queue = queue.clone();
            move || match queue.step(task) {
                Ran::Again(task) => drop(task),
                Ran::Waiting | Ran::Finished => {}
            }
        });
        slot.wait().wake();
        drop(queue.take());
        runner.join().unwrap();
        assert!(result(handle).err().unwrap().is_shutdown());
        assert_eq!((futures.count(), outputs.count()), (1, 1));
    });
}

#[test]
fn close_and_wake() {
    check("close and wake", || {
        let queue = Queue::with_table();
        let (up, slot, futures, outputs) = (flag(), Slot::default(), Drops::default(), Drops::default());
        let handle = queue.rest(until([&up], &slot, &futures, &outputs));
        let waker = slot.take();
        let other = thread::spawn({
            let (queue, up) = (queue.clone(), up.clone());
            move || {
                up.store(true, Relaxed);
                waker.wake();
                queue.run_woken();
            }
        });
        queue.live().close();
        // Whoever shuts down has run, or dropped, what the wakes have queued.
        assert!(other.join().is_ok());
        match result(handle) {
            Ok(output) => drop(output),
            Err(error) => assert!(error.is_shutdown()),
        }
        assert_eq!((futures.count(), outputs.count()), (1, 1));
        assert!(queue.live().is_empty());
    });
}

#[test]
fn close_and_abort() {
    check("close and abort", || {
        let queue = Queue::with_table();
        let futures = Drops::default();
        let future = futures.token();
        let handle = queue.rest(async move {
            let _future = future;
            pending::<()>().await;
        });
        let other = thread::spawn({
            let (queue, abort) = (queue.clone(), handle.abort_handle());
            move || {
                abort.abort();
                queue.run_woken();
            }
        });
        queue.live().close();
        other.join().unwrap();
        let error = result(handle).unwrap_err();
        assert!(error.is_shutdown() || error.is_cancelled());
        assert_eq!(futures.count(), 1);
    });
}

#[test]
fn close_and_a_task_that_comes_to_rest() {
    check("close and a task that comes to rest", || {
        let queue = Queue::with_table();
        let futures = Drops::default();
        let future = futures.token();
        let (task, handle) = queue.spawn(async move {
            let _future = future;
            pending::<()>().await;
        });
        let runner = thread::spawn({
            let queue = queue.clone();
            move || queue.run(task)
        });
        queue.live().close();
        runner.join().unwrap();
        assert!(result(handle).unwrap_err().is_shutdown());
        assert_eq!(futures.count(), 1);
        assert!(queue.live().is_empty());
    });
}

/// The task has rested before, so the table knows it already while it is polled again.
#[test]
fn close_and_the_end_of_a_poll() {
    check("close and the end of a poll", || {
        let queue = Queue::with_table();
        let (up, slot, futures, outputs) = (flag(), Slot::default(), Drops::default(), Drops::default());
        let handle = queue.rest(until([&up], &slot, &futures, &outputs));
        let task = queue.woken(&slot.take());
        let runner = thread::spawn({
            let queue = queue.clone();
            move || queue.run(task)
        });
        queue.live().close();
        runner.join().unwrap();
        assert!(result(handle).err().unwrap().is_shutdown());
        assert_eq!((futures.count(), outputs.count()), (1, 1));
    });
}

#[test]
fn close_and_completion() {
    check("close and completion", || {
        let queue = Queue::with_table();
        let (up, slot, futures, outputs) = (flag(), Slot::default(), Drops::default(), Drops::default());
        let handle = queue.rest(until([&up], &slot, &futures, &outputs));
        let task = queue.woken(&slot.take());
        up.store(true, Relaxed);
        let runner = thread::spawn({
            let queue = queue.clone();
            move || queue.run(task)
        });
        queue.live().close();
        runner.join().unwrap();
        match result(handle) {
            Ok(output) => drop(output),
            Err(error) => assert!(error.is_shutdown()),
        }
        assert_eq!((futures.count(), outputs.count()), (1, 1));
    });
}

#[test]
fn close_and_the_drop_of_the_handle() {
    check("close and the drop of the handle", || {
        let queue = Queue::with_table();
        let futures = Drops::default();
        let future = futures.token();
        let handle = queue.rest(async move {
            let _future = future;
            pending::<()>().await;
        });
        let other = thread::spawn(move || drop(handle));
        queue.live().close();
        other.join().unwrap();
        assert_eq!(futures.count(), 1);
    });
}

/// Three threads: the task is on its way through a queue when the shutdown finds it in the table.
#[test]
fn close_and_wake_and_another_runner() {
    check_fewer("close and wake and another runner", 1, || {
        let queue = Queue::with_table();
        let (up, slot, futures, outputs) = (flag(), Slot::default(), Drops::default(), Drops::default());
        let handle = queue.rest(until([&up], &slot, &futures, &outputs));
        let waker = slot.take();
        let task = queue.woken(&waker);
        let runner = thread::spawn({
            let queue = queue.clone();
            move || queue.run(task)
        });
        let other = thread::spawn({
            let queue = queue.clone();
            move || {
                waker.wake();
                queue.run_woken();
            }
        });
        queue.live().close();
        runner.join().unwrap();
        other.join().unwrap();
        assert!(result(handle).err().unwrap().is_shutdown());
        assert_eq!((futures.count(), outputs.count()), (1, 1));
    });
}

/// Two threads shut down; every task ends once.
#[test]
fn close_twice() {
    check("close twice", || {
        let queue = Queue::with_table();
        let futures = Drops::default();
        let future = futures.token();
        let handle = queue.rest(async move {
            let _future = future;
            pending::<()>().await;
        });
        let other = thread::spawn({
            let queue = queue.clone();
            move || queue.live().close()
        });
        queue.live().close();
        other.join().unwrap();
        assert!(result(handle).unwrap_err().is_shutdown());
        assert_eq!(futures.count(), 1);
    });
}

#[test]
fn who_sees_a_closed_table_sees_what_came_before() {
    check("who sees a closed table sees what came before", || {
        let live = Arc::new(LiveTasks::<()>::new());
        let closing = flag();
        let other = thread::spawn({
            let (live, closing) = (live.clone(), closing.clone());
            move || {
                closing.store(true, Relaxed);
                live.close();
            }
        });
        assert!(!live.is_closed() || closing.load(Relaxed));
        other.join().unwrap();
    });
}

#[test]
fn a_call_ends_the_park() {
    check("a call ends the park", || {
        let parker = Arc::new(Parker::new());
        let data = Arc::new(UnsafeCell::new(0));
        let caller = thread::spawn({
            let (parker, data) = (parker.clone(), data.clone());
            move || {
                // SAFETY: the other thread reads it after the call.
                data.with_mut(|data| unsafe { *data = 7 });
                parker.unpark();
            }
        });
        parker.park();
        // SAFETY: the call has come after it was written.
        assert_eq!(data.with(|data| unsafe { *data }), 7);
        caller.join().unwrap();
    });
}

#[test]
fn each_call_ends_a_park_and_shows_what_came_before() {
    check("each call ends a park and shows what came before", || {
        let parker = Arc::new(Parker::new());
        let flags = [flag(), flag()];
        let callers = flags.clone().map(|flag| {
            let parker = parker.clone();
            thread::spawn(move || {
                flag.store(true, Relaxed);
                parker.unpark();
            })
        });
        while !flags.iter().all(|flag| flag.load(Relaxed)) {
            parker.park();
        }
        callers.into_iter().for_each(|caller| caller.join().unwrap());
    });
}

#[test]
fn a_wait_that_ends_by_itself_loses_no_call() {
    check("a wait that ends by itself loses no call", || {
        let parker = Arc::new(Parker::new());
        let up = flag();
        let caller = thread::spawn({
            let (parker, up) = (parker.clone(), up.clone());
            move || {
                up.store(true, Relaxed);
                parker.unpark();
            }
        });
        if !parker.park_until(Some(Instant::now())) {
            parker.park();
        }
        assert!(up.load(Relaxed));
        caller.join().unwrap();
        assert!(!parker.park_until(Some(Instant::now())), "one call has ended two waits");
    });
}

#[test]
fn a_wait_awake_and_asleep() {
    check("a wait awake and asleep", || {
        let parker = Arc::new(Parker::new());
        let flags = [flag(), flag()];
        let caller = thread::spawn({
            let (parker, flags) = (parker.clone(), flags.clone());
            move || {
                for flag in flags {
                    flag.store(true, Relaxed);
                    parker.unpark();
                }
            }
        });
        // The first one of a thread begins asleep, the second one awake.
        while !flags.iter().all(|flag| flag.load(Relaxed)) {
            parker.park_soon();
        }
        caller.join().unwrap();
    });
}

/// Of the models themselves: a load of one thread must be tried on either side of a write that the other loads for.
#[test]
fn every_order_of_a_load_and_an_update_is_tried() {
    static SEEN: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];
    check("every order of a load and an update is tried", || {
        let word = Arc::new(AtomicU64::new(0));
        let other = thread::spawn({
            let word = word.clone();
            move || {
                let now = word.load(Relaxed);
                word.compare_exchange_weak(now, now + 1, AcqRel, Relaxed).unwrap();
            }
        });
        SEEN[word.load(Relaxed) as usize].fetch_add(1, SeqCst);
        other.join().unwrap();
    });
    assert!(SEEN.iter().all(|seen| seen.load(SeqCst) > 0), "an order was left out");
}

/// What loom must find. `ci/loom` runs each, and wants it to fail.
mod canaries {
    use super::*;

    /// The queue of these models orders nothing, so a task that woke itself may not go through it to another thread.
    #[test]
    #[ignore = "fails, as it must"]
    fn a_queue_that_publishes_nothing() {
        check("canary: a queue that publishes nothing", || {
            let queue = Queue::new();
            let (task, handle) = queue.spawn(poll_fn(|cx| {
                cx.waker().wake_by_ref();
                Poll::<()>::Pending
            }));
            let runner = thread::spawn({
                let queue = queue.clone();
                move || match queue.step(task) {
                    Ran::Again(task) => queue.schedule(task),
                    Ran::Waiting | Ran::Finished => unreachable!(),
                }
            });
            loop {
                if let Some(task) = queue.take() {
                    drop(task);
                    break;
                }
                thread::yield_now();
            }
            runner.join().unwrap();
            drop(handle);
        });
    }

    /// Looks first, and says only then that it is about to sleep: the caller in between sees no reason to call.
    #[test]
    #[ignore = "fails, as it must"]
    fn a_sleeper_that_does_not_look_again() {
        check("canary: a sleeper that does not look again", || {
            let (parker, ready, sleeps) = (Arc::new(Parker::new()), flag(), flag());
            let sleeper = thread::spawn({
                let (parker, ready, sleeps) = (parker.clone(), ready.clone(), sleeps.clone());
                move || {
                    if !ready.load(SeqCst) {
                        sleeps.store(true, SeqCst);
                        parker.park();
                    }
                }
            });
            ready.store(true, SeqCst);
            if sleeps.load(SeqCst) {
                parker.unpark();
            }
            sleeper.join().unwrap();
        });
    }
}
