//! Orders of events that are rare, and executors that do what they shouldn't.

use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;

use futures_task::{ArcWake, waker};
use polyexec_core::executor::{Clock, OwnedTasks, Ran, Rejected, Task, context, park_on};
use polyexec_core::{AbortHandle, Executor, Handle, JoinHandle, block_in_place};

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

/// Keeps the tasks that were woken.
#[derive(Clone, Default)]
struct Woken(Arc<Mutex<Vec<Task>>>);

impl Woken {
    fn take(&self) -> Task {
        self.0.lock().unwrap().pop().expect("it was woken")
    }
}

impl Executor for Woken {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        self.schedule(task);
        Ok(())
    }

    fn schedule(&self, task: Task) {
        self.0.lock().unwrap().push(task);
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        park_on(future);
    }
}

/// A task that rests in `live`, and its waker.
fn rest<X>(live: &OwnedTasks<X>, woken: &Woken, about: impl Fn() -> X) -> (Waker, JoinHandle<()>) {
    let (send, wakers) = mpsc::channel();
    let future = poll_fn(move |cx| -> Poll<()> {
        send.send(cx.waker().clone()).unwrap();
        Poll::Pending
    });
    let (task, handle) = Task::new(future, woken.clone());
    assert!(matches!(live.run_with(task, about), Ran::Waiting));
    (wakers.recv().unwrap(), handle)
}

fn unwinds(act: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(act)).is_err()
}

/// Panics without a word.
fn panics() {
    resume_unwind(Box::new("on purpose"));
}

/// Counts its drop, and panics.
struct PanicsInDrop(Arc<AtomicUsize>);

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
        panics();
    }
}

/// Each way to make them; and what the task itself needs finds room beyond the limit.
#[test]
fn references_are_limited() {
    /// The cell is never freed, but it isn't lost, either.
    static KEPT: Mutex<Option<AbortHandle>> = Mutex::new(None);

    let (live, woken) = (OwnedTasks::<()>::new(), Woken::default());
    let (waker, handle) = rest(&live, &woken, || ());
    waker.wake_by_ref();
    let task = woken.take();
    let kept = KEPT.lock().unwrap().insert(task.abort_handle()).clone();
    // Some of them are there already.
    let made = (0..1 << 26).take_while(|_| task.try_abort_handle().map(std::mem::forget).is_some()).count();
    assert!(((1 << 26) - 10..1 << 26).contains(&made), "{made} handles");
    assert!(unwinds(|| drop(task.abort_handle())));
    assert!(unwinds(|| drop(handle.abort_handle())));
    assert!(unwinds(|| drop(kept.clone())));
    assert!(unwinds(|| drop(waker.clone())));

    // It is the future that clones its waker, and panics.
    assert!(matches!(live.run(task), Ran::Finished));
    waker.wake();
    assert!(handle.join().unwrap_err().is_panic());
    assert!(kept.is_finished() && kept.task().location().file().ends_with("edges.rs"));

    // Another one, which rests and is ended while it is full.
    let (waker, handle) = rest(&live, &woken, || ());
    let kept = handle.abort_handle();
    while !unwinds(|| std::mem::forget(handle.abort_handle())) {}
    waker.wake_by_ref();
    live.close();
    drop(woken.take());
    assert!(handle.join().unwrap_err().is_shutdown());
    KEPT.lock().unwrap().replace(kept);
}

#[test]
fn what_an_executor_says_of_a_task_may_panic() {
    let live = OwnedTasks::<()>::new();
    let (task, handle) = Task::new(pending::<()>(), Nobody);
    assert!(matches!(live.run_with(task, panics), Ran::Finished));
    assert_eq!(handle.join().unwrap_err().into_panic().downcast_ref(), Some(&"on purpose"));
    assert!(live.is_empty());
}

#[test]
fn what_was_said_of_a_task_may_panic_when_it_is_dropped() {
    let (live, woken, said) = (OwnedTasks::new(), Woken::default(), Arc::new(AtomicUsize::new(0)));
    let (waker, handle) = rest(&live, &woken, || PanicsInDrop(said.clone()));
    handle.abort();
    assert!(matches!(live.run_with(woken.take(), || PanicsInDrop(said.clone())), Ran::Finished));
    assert!(handle.join().unwrap_err().is_cancelled());
    assert_eq!(said.load(SeqCst), 1);
    drop(waker);

    // The closing goes on after one, and tells of it.
    let resting: Vec<_> = (0..3).map(|_| rest(&live, &woken, || PanicsInDrop(said.clone()))).collect();
    assert!(unwinds(|| live.close()));
    assert_eq!((said.load(SeqCst), live.len()), (4, 0));
    for (_waker, handle) in resting {
        assert!(handle.join().unwrap_err().is_shutdown());
    }

    // It is dropped where the task isn't entered, too.
    let live = Arc::new(OwnedTasks::new());
    let (closes, says) = (live.clone(), said.clone());
    let (task, handle) = Task::new(
        poll_fn(move |_| -> Poll<()> {
            closes.close();
            Poll::Pending
        }),
        Nobody,
    );
    assert!(matches!(live.run_with(task, move || PanicsInDrop(says.clone())), Ran::Finished));
    assert!(handle.join().unwrap_err().is_shutdown());
    assert_eq!(said.load(SeqCst), 5);
}

#[test]
fn who_is_told_of_the_tasks_that_end_may_panic() {
    let (live, woken) = (OwnedTasks::new(), Woken::default());
    let resting: Vec<_> = (0..3).map(|number| rest(&live, &woken, || number)).collect();
    let mut ended = Vec::new();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        live.close_with(|number| {
            ended.push(number);
            resume_unwind(Box::new(number));
        });
    }));
    assert_eq!(ended, [0, 1, 2]);
    assert_eq!(panicked.unwrap_err().downcast_ref(), Some(&0), "the first one");
    for (_waker, handle) in resting {
        assert!(handle.join().unwrap_err().is_shutdown());
    }
}

#[test]
fn a_task_is_a_stranger_in_another_table() {
    let (tables, woken) = ([(); 2].map(|()| OwnedTasks::new()), Woken::default());
    // In the same place, each in its own.
    let [(waker, own), (_waker, strangers)] = [0, 1].map(|number| rest(&tables[number], &woken, || Arc::new(number)));
    waker.wake_by_ref();
    let task = woken.take();
    assert_eq!(tables[0].data(&task).as_deref(), Some(&0));
    assert_eq!(tables[1].data(&task), None);
    own.abort();
    assert!(matches!(tables[1].run_with(task, || Arc::new(2)), Ran::Finished));
    assert!(own.join().unwrap_err().is_cancelled());
    assert_eq!(tables[1].len(), 1);
    tables[1].close();
    assert!(strangers.join().unwrap_err().is_shutdown());
    tables[0].close();
}

/// An executor that is asked for its clock when one of its tasks ends with it.
#[test]
fn a_clock_that_panics_keeps_no_task_from_its_end() {
    struct NoClock;

    impl Executor for NoClock {
        fn submit(&self, task: Task) -> Result<(), Rejected> {
            Err(Rejected::shut_down(task))
        }

        fn schedule(&self, task: Task) {
            drop(task);
        }

        fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
            park_on(future);
        }

        fn clock(&self) -> Option<Arc<dyn Clock>> {
            panics();
            None
        }
    }

    let token = Arc::new(());
    let carried = token.clone();
    let future = async move {
        let _carried = carried;
        pending::<()>().await;
    };
    let (task, handle) = Task::new(future, NoClock);
    assert!(!unwinds(|| drop(task)));
    assert!(handle.join().unwrap_err().is_shutdown());
    assert_eq!(Arc::strong_count(&token), 1);
}

/// Calls the work that it is given once more than it should.
#[derive(Clone)]
struct Twice;

impl Executor for Twice {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        Nobody.submit(task)
    }

    fn schedule(&self, task: Task) {
        Nobody.schedule(task);
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        let _context = context::reside(Handle::new(Twice));
        park_on(future);
    }

    fn block_in_place(&self, work: &mut dyn FnMut()) {
        work();
        work();
    }
}

#[test]
fn what_blocks_in_place_runs_once() {
    let mut runs = 0;
    let seven = Twice.block_on(async {
        block_in_place(|| {
            runs += 1;
            7
        })
    });
    assert_eq!((seven, runs), (7, 1));
}
