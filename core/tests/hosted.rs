//! Tasks inside another runtime, which is the test itself: it polls and drops their futures as it likes.
#![cfg(not(polyexec_loom))]

use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use futures_task::{ArcWake, waker};
use polyexec_core::executor::{HostedTask, HostedTasks, Rejected, Task, context};
use polyexec_core::{Executor, Handle, JoinHandle, block_on, yield_now};

/// Keeps the futures for the test. A runtime that has shut down drops them.
#[derive(Clone, Default)]
struct Host {
    tasks: HostedTasks,
    futures: Arc<Mutex<Vec<HostedTask>>>,
    is_down: Arc<AtomicBool>,
}

impl Executor for Host {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        self.tasks.submit(task, Handle::new(self.clone()), |future| {
            if !self.is_down.load(SeqCst) {
                self.futures.lock().unwrap().push(future);
            }
        })
    }

    fn schedule(&self, task: Task) {
        self.tasks.schedule(task);
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        let _context = context::enter(Handle::new(self.clone()));
        block_on(future);
    }
}

impl Host {
    fn spawn_here<F>(&self, future: F) -> (HostedTask, JoinHandle<F::Output>)
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let handle = self.spawn(future);
        (self.futures.lock().unwrap().pop().expect("it was accepted"), handle)
    }
}

/// Counts the wakes of a hosted future.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl ArcWake for Wakes {
    fn wake_by_ref(this: &Arc<Self>) {
        this.0.fetch_add(1, SeqCst);
    }
}

impl Wakes {
    fn poll(self: &Arc<Self>, hosted: &mut HostedTask) -> Poll<()> {
        Pin::new(hosted).poll(&mut Context::from_waker(&waker(self.clone())))
    }

    fn count(&self) -> usize {
        self.0.load(SeqCst)
    }
}

/// A future that counts its polls, and gives out its waker.
fn counts_polls(polls: Arc<AtomicUsize>, kept: Arc<Mutex<Option<Waker>>>) -> impl Future<Output = ()> + Send {
    poll_fn(move |cx| {
        polls.fetch_add(1, SeqCst);
        *kept.lock().unwrap() = Some(cx.waker().clone());
        Poll::Pending
    })
}

#[test]
fn a_wake_of_the_task_wakes_the_newest_waker_of_its_future() {
    let (host, polls, kept) = (Host::default(), Arc::default(), Arc::default());
    let (mut hosted, _handle) = host.spawn_here(counts_polls(Arc::clone(&polls), Arc::clone(&kept)));
    let [first, second] = [(); 2].map(|()| Arc::<Wakes>::default());
    assert!(first.poll(&mut hosted).is_pending());
    // A poll without a wake leaves the task alone, and changes the waker.
    assert!(second.poll(&mut hosted).is_pending());
    assert_eq!(polls.load(SeqCst), 1);
    let task = kept.lock().unwrap().clone().expect("it was polled");
    task.wake_by_ref();
    task.wake_by_ref();
    assert_eq!((first.count(), second.count()), (0, 1));
    assert!(second.poll(&mut hosted).is_pending());
    assert_eq!((polls.load(SeqCst), second.count()), (2, 1));
}

#[test]
fn a_task_that_wakes_itself_wakes_its_future_once_a_poll() {
    let host = Host::default();
    let (mut hosted, handle) = host.spawn_here(async {
        yield_now().await;
        yield_now().await;
        7
    });
    let wakes = Arc::<Wakes>::default();
    assert!(wakes.poll(&mut hosted).is_pending());
    assert_eq!(wakes.count(), 1);
    assert!(wakes.poll(&mut hosted).is_pending());
    assert_eq!(wakes.count(), 2);
    assert!(wakes.poll(&mut hosted).is_ready());
    drop(hosted);
    assert_eq!((wakes.count(), handle.join().unwrap()), (2, 7));
    assert!(!host.tasks.is_closed(), "its future had ended");
}

#[test]
fn each_poll_is_in_the_executors_context() {
    let host = Host::default();
    let (mut hosted, handle) = host.spawn_here(async { polyexec_core::try_spawn(async {}).is_ok() });
    assert!(Arc::<Wakes>::default().poll(&mut hosted).is_ready());
    assert!(handle.join().unwrap());
    assert!(Handle::current().is_none());
    // Out of the executor, which it owns.
    let inner = host.futures.lock().unwrap().pop();
    assert!(inner.is_some(), "the inner task is the executor's");
}

#[test]
fn a_runtime_that_drops_its_futures_closes_the_tasks() {
    let host = Host::default();
    let (mut idle, idles) = host.spawn_here(pending::<()>());
    let wakes = Arc::<Wakes>::default();
    assert!(wakes.poll(&mut idle).is_pending());
    let (queued, queues) = host.spawn_here(pending::<()>());
    drop(queued);
    assert!(idles.is_finished() && queues.is_finished());
    assert!(idles.join().unwrap_err().is_shutdown() && queues.join().unwrap_err().is_shutdown());
    assert!(host.tasks.is_closed());
    assert!(host.try_spawn(async {}).unwrap_err().is_shutdown());
    // The future of an ended task ends, too.
    assert_eq!(wakes.count(), 1);
    assert!(wakes.poll(&mut idle).is_ready());
}

#[test]
fn a_runtime_that_has_shut_down_returns_the_future() {
    let host = Host::default();
    host.is_down.store(true, SeqCst);
    let marked = Arc::new(());
    let mark = marked.clone();
    let error = host.try_spawn(async move { drop(mark) }).unwrap_err();
    assert!(error.is_shutdown());
    assert_eq!(Arc::strong_count(&marked), 2, "the future is in the error");
    assert!(host.tasks.is_closed());
}

#[test]
fn closed_tasks_end_wherever_they_are() {
    let (host, polls, kept) = (Host::default(), Arc::default(), Arc::default());
    let (mut woken, wokens) = host.spawn_here(counts_polls(Arc::clone(&polls), Arc::clone(&kept)));
    let (mut fresh, freshes) = host.spawn_here(counts_polls(Arc::clone(&polls), Arc::default()));
    let wakes = Arc::<Wakes>::default();
    assert!(wakes.poll(&mut woken).is_pending());
    kept.lock().unwrap().take().expect("it was polled").wake();
    host.tasks.close();
    assert!(wokens.is_finished());
    assert!(wokens.join().unwrap_err().is_shutdown());
    assert!(wakes.poll(&mut woken).is_ready() && wakes.poll(&mut fresh).is_ready());
    assert!(freshes.join().unwrap_err().is_shutdown());
    assert_eq!(polls.load(SeqCst), 1);
}
