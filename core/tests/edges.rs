//! Rare orders of events, and executors that misbehave.

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

/// An executor without a queue: the test runs the task.
struct Detached {
    clock: fn() -> Option<Arc<dyn Clock>>,
}

const DETACHED: Detached = Detached { clock: || None };

impl Executor for Detached {
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
        (self.clock)()
    }
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl ArcWake for Wakes {
    fn wake_by_ref(wakes: &Arc<Self>) {
        wakes.0.fetch_add(1, SeqCst);
    }
}

/// The completing thread owns the join waker, even if the handle reclaims the slot at the same time.
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
            let (task, mut handle) = Task::new(async { 7 }, DETACHED);
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

/// Keeps the first task. Refuses the second one, but lets another thread run it, and returns the first in its place.
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

/// A `block_on` reuses the parker of an earlier one, but not its wakes.
#[test]
fn a_late_wake_does_not_wake_the_next_block_on() {
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
    // Called before the next one begins, or during it.
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

/// A nested call has its own parker: a wake of one doesn't end the other's sleep.
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

/// An idle task in `live`, and its waker.
fn idle<X>(live: &OwnedTasks<X>, woken: &Woken, data: impl Fn() -> X) -> (Waker, JoinHandle<()>) {
    let (send, wakers) = mpsc::channel();
    let future = poll_fn(move |cx| -> Poll<()> {
        send.send(cx.waker().clone()).unwrap();
        Poll::Pending
    });
    let (task, handle) = Task::new(future, woken.clone());
    assert!(matches!(live.run_with(task, data), Ran::Waiting));
    (wakers.recv().unwrap(), handle)
}

fn unwinds(act: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(act)).is_err()
}

/// Panics without a message.
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

/// Each way to make them is limited; what the task itself needs finds room beyond the limit.
#[test]
fn references_are_limited() {
    /// Keeps the cell, which is never freed, from being a leak.
    static KEPT: Mutex<Option<AbortHandle>> = Mutex::new(None);

    let (live, woken) = (OwnedTasks::<()>::new(), Woken::default());
    let (waker, handle) = idle(&live, &woken, || ());
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

    // Another one, which is idle at the limit, and is shut down.
    let (waker, handle) = idle(&live, &woken, || ());
    let kept = handle.abort_handle();
    while !unwinds(|| std::mem::forget(handle.abort_handle())) {}
    waker.wake_by_ref();
    live.close();
    drop(woken.take());
    assert!(handle.join().unwrap_err().is_shutdown());
    KEPT.lock().unwrap().replace(kept);
}

#[test]
fn the_source_of_a_tasks_data_may_panic() {
    let live = OwnedTasks::<()>::new();
    let (task, handle) = Task::new(pending::<()>(), DETACHED);
    assert!(matches!(live.run_with(task, panics), Ran::Finished));
    assert_eq!(handle.join().unwrap_err().into_panic().downcast_ref(), Some(&"on purpose"));
    assert!(live.is_empty());
}

#[test]
fn a_tasks_data_may_panic_when_it_is_dropped() {
    let (live, woken, drops) = (OwnedTasks::new(), Woken::default(), Arc::new(AtomicUsize::new(0)));
    let (waker, handle) = idle(&live, &woken, || PanicsInDrop(drops.clone()));
    handle.abort();
    assert!(matches!(live.run_with(woken.take(), || PanicsInDrop(drops.clone())), Ran::Finished));
    assert!(handle.join().unwrap_err().is_cancelled());
    assert_eq!(drops.load(SeqCst), 1);
    drop(waker);

    // The closing goes on after a panic, and reports it.
    let idle_tasks: Vec<_> = (0..3).map(|_| idle(&live, &woken, || PanicsInDrop(drops.clone()))).collect();
    assert!(unwinds(|| live.close()));
    assert_eq!((drops.load(SeqCst), live.len()), (4, 0));
    for (_waker, handle) in idle_tasks {
        assert!(handle.join().unwrap_err().is_shutdown());
    }

    // It is dropped, too, if the task isn't inserted.
    let live = Arc::new(OwnedTasks::new());
    let (closes, source) = (live.clone(), drops.clone());
    let (task, handle) = Task::new(
        poll_fn(move |_| -> Poll<()> {
            closes.close();
            Poll::Pending
        }),
        DETACHED,
    );
    assert!(matches!(live.run_with(task, move || PanicsInDrop(source.clone())), Ran::Finished));
    assert!(handle.join().unwrap_err().is_shutdown());
    assert_eq!(drops.load(SeqCst), 5);
}

#[test]
fn the_callback_of_a_close_may_panic() {
    let (live, woken) = (OwnedTasks::new(), Woken::default());
    let idle_tasks: Vec<_> = (0..3).map(|number| idle(&live, &woken, || number)).collect();
    let mut ended = Vec::new();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        live.close_with(|number| {
            ended.push(number);
            resume_unwind(Box::new(number));
        });
    }));
    assert_eq!(ended, [0, 1, 2]);
    assert_eq!(panicked.unwrap_err().downcast_ref(), Some(&0), "the first one");
    for (_waker, handle) in idle_tasks {
        assert!(handle.join().unwrap_err().is_shutdown());
    }
}

#[test]
fn a_table_knows_only_its_own_tasks() {
    let (tables, woken) = ([(); 2].map(|()| OwnedTasks::new()), Woken::default());
    // In the same place, each in its own.
    let [(waker, own), (_waker, others)] = [0, 1].map(|number| idle(&tables[number], &woken, || Arc::new(number)));
    waker.wake_by_ref();
    let task = woken.take();
    assert_eq!(tables[0].data(&task).as_deref(), Some(&0));
    assert_eq!(tables[1].data(&task), None);
    own.abort();
    assert!(matches!(tables[1].run_with(task, || Arc::new(2)), Ran::Finished));
    assert!(own.join().unwrap_err().is_cancelled());
    assert_eq!(tables[1].len(), 1);
    tables[1].close();
    assert!(others.join().unwrap_err().is_shutdown());
    tables[0].close();
}

/// The executor is asked for its clock when it drops a task.
#[test]
fn a_clock_that_panics_keeps_no_task_from_its_end() {
    let no_clock = || {
        panics();
        None
    };
    let token = Arc::new(());
    let carried = token.clone();
    let future = async move {
        let _carried = carried;
        pending::<()>().await;
    };
    let (task, handle) = Task::new(future, Detached { clock: no_clock });
    assert!(!unwinds(|| drop(task)));
    assert!(handle.join().unwrap_err().is_shutdown());
    assert_eq!(Arc::strong_count(&token), 1);
}

/// Calls its work twice.
#[derive(Clone)]
struct Twice;

impl Executor for Twice {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        DETACHED.submit(task)
    }

    fn schedule(&self, task: Task) {
        DETACHED.schedule(task);
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
