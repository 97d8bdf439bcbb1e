//! Orders of events that are rare, and executors that do what they shouldn't.

use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;

use futures_task::{ArcWake, waker};
use polyexec_core::{Executor, Rejected, Task, park_on};

/// Never asked for anything: the test runs the task.
struct Nobody;

impl Executor for Nobody {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        Err(Rejected::shut_down(task))
    }

    fn schedule(&self, task: Task) {
        drop(task);
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        park_on(future);
    }
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl ArcWake for Wakes {
    fn wake_by_ref(wakes: &Arc<Self>) {
        wakes.0.fetch_add(1, SeqCst);
    }
}

/// Whoever completes owns the join waker from then on, even where the handle asks for its place back.
#[test]
fn a_handle_that_is_polled_again_and_dropped_leaves_its_waker_to_the_completion() {
    let (send, tasks) = mpsc::sync_channel::<Task>(0);
    let runner = thread::spawn(move || {
        for task in tasks {
            drop(task.run());
        }
    });
    let mut all_wakes = Vec::new();
    for _ in 0..20_000 {
        let wakes = Arc::new(Wakes::default());
        {
            let waker = waker(wakes.clone());
            let mut cx = Context::from_waker(&waker);
            let (task, mut handle) = Task::new(async { 7 }, Nobody);
            assert!(Pin::new(&mut handle).poll(&mut cx).is_pending());
            send.send(task).unwrap();
            while Pin::new(&mut handle).poll(&mut cx).is_pending() {}
        }
        all_wakes.push(wakes);
    }
    drop(send);
    runner.join().unwrap();
    for wakes in all_wakes {
        assert!(wakes.0.load(SeqCst) <= 1, "woken twice");
        assert_eq!(Arc::strong_count(&wakes), 1, "a waker was lost, or dropped twice");
    }
}

/// Keeps the first task that it is given. Has another thread run the second one, and gives the first back for it.
#[derive(Clone)]
struct Confused(Arc<Mutex<Option<Task>>>, mpsc::Sender<Task>, Arc<Mutex<mpsc::Receiver<()>>>);

impl Executor for Confused {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        let first = self.0.lock().unwrap().take();
        match first {
            None => *self.0.lock().unwrap() = Some(task),
            Some(first) => {
                self.1.send(task).unwrap();
                // The second one is being polled.
                self.2.lock().unwrap().recv().unwrap();
                return Err(Rejected::shut_down(first));
            }
        }
        Ok(())
    }

    fn schedule(&self, task: Task) {
        drop(task);
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        park_on(future);
    }
}

#[test]
fn a_future_comes_back_only_with_its_own_task() {
    let (run, tasks) = mpsc::channel::<Task>();
    let ((begun, begins), (end, ends)) = (mpsc::channel(), mpsc::channel());
    let executor = Confused(Arc::default(), run, Arc::new(Mutex::new(begins)));
    let runner = thread::spawn(move || drop(tasks.recv().unwrap().run()));
    let first = executor.spawn(pending::<()>());
    let mut text = String::from("on the heap");
    let second = executor.try_spawn(poll_fn(move |_| {
        begun.send(()).unwrap();
        ends.recv().unwrap();
        text.push_str(", and still there");
        Poll::Ready(text.len())
    }));
    let second = second.expect("its future is being polled, and can't come back");
    end.send(()).unwrap();
    assert_eq!(second.join().unwrap(), 28);
    runner.join().unwrap();
    assert!(first.join().unwrap_err().is_shutdown());
}

/// A `block_on` sleeps where an earlier one of its thread has slept; but that one's wakers are none of its own.
#[test]
fn a_late_wake_is_none_of_the_next_block_on() {
    let late = |calls: fn(Waker)| {
        let mut first = None;
        park_on(async { first = Some(poll_fn(|cx| Poll::Ready(cx.waker().clone())).await) });
        calls(first.expect("polled"));
    };
    let kept = Arc::new(Mutex::new(None));
    let keep = kept.clone();
    park_on(poll_fn(move |cx| {
        *keep.lock().unwrap() = Some(cx.waker().clone());
        Poll::Ready(())
    }));
    // Called and gone before the next one begins, or called in its midst.
    let calls: [fn(Waker); 3] = [Waker::wake, |waker: Waker| waker.wake_by_ref(), drop];
    for calls in calls {
        late(calls);
        let mut polls = 0;
        park_on(poll_fn(|cx| {
            polls += 1;
            if polls == 2 {
                return Poll::Ready(());
            }
            kept.lock().unwrap().iter().for_each(Waker::wake_by_ref);
            let waker = cx.waker().clone();
            thread::spawn(move || waker.wake());
            Poll::Pending
        }));
        assert_eq!(polls, 2);
    }
}

/// A call inside of another one has a place of its own: what wakes the inner one doesn't end the outer one's sleep, nor
/// the other way round.
#[test]
fn nested_block_ons_lose_no_wake() {
    for _ in 0..200 {
        let mut polls = 0;
        park_on(poll_fn(|cx| {
            polls += 1;
            if polls == 3 {
                return Poll::Ready(());
            }
            let outer = cx.waker().clone();
            let waker = outer.clone();
            let woken = thread::spawn(move || waker.wake());
            let mut inner_polls = 0;
            park_on(poll_fn(|cx| {
                inner_polls += 1;
                if inner_polls == 3 {
                    return Poll::Ready(());
                }
                let waker = cx.waker().clone();
                assert!(!waker.will_wake(&outer));
                thread::spawn(move || waker.wake());
                Poll::Pending
            }));
            woken.join().unwrap();
            Poll::Pending
        }));
        assert_eq!(polls, 3);
    }
}
