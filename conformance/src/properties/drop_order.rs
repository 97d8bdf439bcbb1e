//! Properties 50 to 53: the order and place of drops, and what a `Drop` may do.

use std::cell::RefCell;
use std::future::{pending, poll_fn};
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;

use polyexec_core::executor::Task;
use polyexec_core::{AbortHandle, Executor, JoinHandle};

use crate::Subject;
use crate::probe::{Gate, Marked, OnDrop, Trace, WakerSlot, carrying, finished, poll_with, waker};

/// Puts the task's waker in `slot`, logs its polls, and is idle until it is dropped.
fn resting(trace: &Trace, slot: &WakerSlot) -> impl Future<Output = ()> + Send + use<> {
    let (trace, slot) = (trace.clone(), slot.clone());
    let dropped = trace.on_drop("drop the future");
    carrying(
        dropped,
        poll_fn(move |cx| {
            slot.put(cx.waker().clone());
            Poll::Pending
        }),
    )
}

/// Waits until the task whose waker goes to `slot` was polled. Yields through the executor, so that it makes progress.
async fn polled(slot: &WakerSlot) {
    while slot.get().is_none() {
        polyexec_futures::yield_now().await;
    }
}

pub(crate) fn p50_the_future_is_dropped_once_before_the_cell_is_freed(subject: &Subject) {
    let executor = subject.start();
    let mut traces = Vec::new();
    let mut ending = |how: &'static str| {
        let trace = Trace::new();
        traces.push((how, trace.clone()));
        let freed = trace.clone();
        (Marked::new(executor.handle(), move || freed.on_drop("free the cell")), trace)
    };

    executor.block_on(async {
        let (marked, trace) = ending("ready");
        marked.spawn(carrying(trace.on_drop("drop the future"), async {})).await.unwrap();

        let (marked, trace) = ending("ready, its waker left");
        let slot = WakerSlot::new();
        let ready = {
            let slot = slot.clone();
            poll_fn(move |cx| {
                slot.put(cx.waker().clone());
                Poll::Ready(())
            })
        };
        marked.spawn(carrying(trace.on_drop("drop the future"), ready)).await.unwrap();
        assert_eq!(trace, ["drop the future"], "a cell was freed before its last waker");
        drop(slot);

        let (marked, trace) = ending("aborted while it rested");
        let slot = WakerSlot::new();
        let handle = marked.spawn(resting(&trace, &slot));
        polled(&slot).await;
        handle.abort();
        assert!(handle.await.unwrap_err().is_cancelled());

        let (marked, trace) = ending("aborted before it was polled");
        let handle = marked.spawn(resting(&trace, &WakerSlot::new()));
        handle.abort();
        assert!(handle.await.unwrap_err().is_cancelled());

        let (marked, trace) = ending("detached and aborted");
        let handle = marked.spawn(resting(&trace, &WakerSlot::new()));
        let abort = handle.abort_handle();
        drop(handle);
        abort.abort();

        if cfg!(panic = "unwind") {
            let (marked, trace) = ending("panicked");
            let handle =
                marked.spawn(carrying(trace.on_drop("drop the future"), async { burst(Trace::new().on_drop("")) }));
            assert!(handle.await.unwrap_err().is_panic());
        }

        let (marked, trace) = ending("resting at the shutdown");
        let slot = WakerSlot::new();
        drop(marked.spawn(resting(&trace, &slot)));
        polled(&slot).await;
    });
    let (marked, trace) = ending("queued at the shutdown");
    drop(marked.spawn(resting(&trace, &WakerSlot::new())));
    let (refused, refused_trace) = ending("refused");
    drop(executor.shut_down());
    drop(refused.spawn(resting(&refused_trace, &WakerSlot::new())));

    for (how, trace) in traces {
        assert_eq!(trace, ["drop the future", "free the cell"], "a task that was {how}");
    }
}

/// Panics with `payload` without calling the panic hook.
fn burst(payload: impl Send + 'static) {
    resume_unwind(Box::new(payload));
}

/// A task whose future uses everything when it is dropped, and the targets of that.
struct Busybody {
    handle: Arc<dyn Executor>,
    sleeper: WakerSlot,
    victim: AbortHandle,
    joined: JoinHandle<u32>,
    trace: Trace,
    over: Gate,
}

impl Drop for Busybody {
    fn drop(&mut self) {
        let noop = Waker::noop();
        match poll_with(&mut self.joined, noop) {
            Poll::Ready(Ok(7)) => self.trace.log("join is ready"),
            other => self.trace.log(format!("join is {other:?}")),
        }
        self.victim.abort();
        self.sleeper.take().expect("the sleeper slept").wake();
        let (trace, over) = (self.trace.clone(), self.over.clone());
        let mut spawned = self.handle.spawn(async move { over.open() });
        if let Poll::Ready(Err(error)) = poll_with(&mut spawned, noop) {
            trace.log(if error.is_shutdown() { "spawn is shut down" } else { "spawn failed" });
        }
        trace.log("dropped");
    }
}

pub(crate) fn p51_a_drop_may_spawn_wake_abort_and_join(subject: &Subject) {
    for end in ["ready", "aborted", "shut down"] {
        let executor = subject.start();
        let (trace, over, woken) = (Trace::new(), Gate::new(), Gate::new());
        let (sleeper, victim, busybody) = executor.block_on(async {
            let handle = executor.handle();
            let slot = WakerSlot::new();
            let sleeper = handle.spawn(sleeper(slot.clone(), woken.clone()));
            let victim = handle.spawn(pending::<()>());
            let joined = handle.spawn(async { 7 });
            while !joined.is_finished() || slot.get().is_none() {
                polyexec_futures::yield_now().await;
            }
            let victim_abort = victim.abort_handle();
            let busybody = Busybody {
                handle: handle.clone(),
                sleeper: slot,
                victim: victim_abort,
                joined,
                trace: trace.clone(),
                over: over.clone(),
            };
            let polled = WakerSlot::new();
            let busybody = {
                let polled = polled.clone();
                let rest = poll_fn(move |cx| {
                    polled.put(cx.waker().clone());
                    if end == "ready" { Poll::Ready(()) } else { Poll::Pending }
                });
                handle.spawn(carrying(busybody, rest))
            };
            self::polled(&polled).await;
            (sleeper, victim, busybody)
        });
        if end == "shut down" {
            drop(executor.shut_down());
            assert_eq!(trace, ["join is ready", "spawn is shut down", "dropped"], "{end}");
            assert!(busybody.join().unwrap_err().is_shutdown());
            continue;
        }
        executor.block_on(async {
            if end == "aborted" {
                busybody.abort();
            }
            assert_eq!(busybody.await.is_ok(), end == "ready");
            // The destructor's work comes to its end.
            over.opened().await;
            woken.opened().await;
            sleeper.await.unwrap();
            assert!(victim.await.unwrap_err().is_cancelled());
        });
        assert_eq!(trace, ["join is ready", "dropped"], "{end}");
    }
}

/// Ready when it is polled a second time.
async fn sleeper(slot: WakerSlot, woken: Gate) {
    let mut polls = 0;
    poll_fn(|cx| {
        polls += 1;
        if polls == 2 {
            return Poll::Ready(());
        }
        slot.put(cx.waker().clone());
        Poll::Pending
    })
    .await;
    woken.open();
}

pub(crate) fn p52_local_futures_are_dropped_on_their_home_thread(subject: &Subject) {
    let executor = subject.start();
    let home = thread::current().id();
    let ends = Rc::new(RefCell::new(Vec::new()));
    let slots: Vec<_> = ["woken afar", "aborted afar", "shut down"]
        .map(|how| {
            let slot = WakerSlot::new();
            let ends = ends.clone();
            // `Rc` makes it `!Send`; what it holds tells where it was dropped.
            let at_home = RcOnDrop(Rc::new(move || ends.borrow_mut().push((how, thread::current().id()))));
            let future = {
                let slot = slot.clone();
                async move {
                    let _at_home = at_home;
                    let mut polls = 0;
                    poll_fn(|cx| {
                        slot.put(cx.waker().clone());
                        polls += 1;
                        if how == "woken afar" && polls == 2 { Poll::Ready(()) } else { Poll::Pending }
                    })
                    .await;
                }
            };
            let (task, handle) = Task::new_local(future, executor.handle());
            executor.handle().submit(task).expect("the executor lives");
            (slot, handle)
        })
        .into();
    executor.block_on(async {
        for (slot, _) in &slots {
            polled(slot).await;
        }
    });

    let [(woken, woken_end), (aborted, aborted_end), (left, left_end)] = slots.try_into().ok().unwrap();
    let abort = aborted_end.abort_handle();
    // Wakes, aborts, and the deaths of the last wakers, all on another thread.
    let afar = move || {
        woken.take().unwrap().wake();
        abort.abort();
        drop(aborted.take());
    };
    thread::spawn(afar).join().unwrap();
    executor.block_on(async {
        woken_end.await.unwrap();
        assert!(aborted_end.await.unwrap_err().is_cancelled());
    });
    executor.shut_down();
    assert!(left_end.join().unwrap_err().is_shutdown());
    // The last reference to the cell goes elsewhere, long after the future went here.
    thread::spawn(move || drop(left.take())).join().unwrap();
    assert_eq!(*ends.borrow(), [("woken afar", home), ("aborted afar", home), ("shut down", home)]);
}

/// Calls a closure that belongs to its thread when it is dropped.
struct RcOnDrop(Rc<dyn Fn()>);

impl Drop for RcOnDrop {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Uses an executor on this thread and on another one while user code runs on this one. Hangs if that code runs under a lock of
/// the executor.
#[derive(Clone)]
struct Poke {
    executor: Arc<dyn Executor>,
    /// Idle tasks to wake and to abort.
    resting: Arc<Mutex<Vec<(Waker, AbortHandle)>>>,
    trace: Trace,
}

impl Poke {
    fn poke(&self, place: &str) {
        drop(self.executor.spawn(async {}));
        let executor = self.executor.clone();
        let target = self.resting.lock().unwrap().pop();
        let elsewhere = thread::spawn(move || {
            if let Some((waker, abort)) = target {
                waker.wake();
                abort.abort();
            }
            drop(executor.spawn(async {}));
        });
        elsewhere.join().unwrap();
        self.trace.log(place);
    }

    fn on_drop(&self, place: &'static str) -> OnDrop {
        let poke = self.clone();
        OnDrop::new(move || poke.poke(place))
    }

    /// A waker that pokes when it is woken and when it is dropped.
    fn waker(&self) -> Waker {
        let poke = self.clone();
        let dropped = Mutex::new(self.on_drop("drop of a join waker"));
        waker(move || {
            let _held = &dropped;
            poke.poke("wake of a join waker");
        })
    }
}

pub(crate) fn p53_no_user_code_runs_under_an_internal_lock(subject: &Subject) {
    let executor = subject.start();
    let poke = Poke { executor: executor.handle(), resting: Arc::default(), trace: Trace::new() };
    let handle = executor.handle();
    executor.block_on(async {
        for _ in 0..8 {
            let slot = WakerSlot::new();
            let target = handle.spawn(resting(&Trace::new(), &slot));
            polled(&slot).await;
            poke.resting.lock().unwrap().push((slot.take().unwrap(), target.abort_handle()));
        }

        let in_poll = poke.clone();
        let task = async move {
            in_poll.poke("poll");
            in_poll.on_drop("drop of an output")
        };
        drop(handle.spawn(carrying(poke.on_drop("drop of a future"), task)).await.unwrap());

        let mut waited = handle.spawn(carrying(poke.on_drop("drop of an aborted future"), pending::<()>()));
        assert!(poll_with(&mut waited, &poke.waker()).is_pending());
        // The second waker takes the place of the first.
        assert!(poll_with(&mut waited, &poke.waker()).is_pending());
        waited.abort();
        // Without a poll, which would put another waker in its place.
        finished(&waited).await;
        assert!(waited.await.unwrap_err().is_cancelled());

        let gate = Gate::new();
        let output = poke.on_drop("drop of a detached output");
        let (through, done) = (gate.clone(), Gate::new());
        let over = done.clone();
        drop(handle.spawn(async move {
            through.opened().await;
            (output, OnDrop::new(move || over.open()))
        }));
        gate.open();
        done.opened().await;

        if cfg!(panic = "unwind") {
            let payload = poke.on_drop("drop of a payload");
            drop(handle.spawn(async move { burst(payload) }).await.unwrap_err());
        }
        let slot = WakerSlot::new();
        let rest = resting(&Trace::new(), &slot);
        drop(handle.spawn(carrying(poke.on_drop("drop at the shutdown"), rest)));
        polled(&slot).await;
    });
    let queued = carrying(poke.on_drop("drop of a queued future at the shutdown"), pending::<()>());
    drop(executor.handle().spawn(queued));
    let after = executor.shut_down();
    drop(after.spawn(carrying(poke.on_drop("drop of a refused future"), pending::<()>())));

    let mut expected = vec![
        "poll",
        "drop of a future",
        "drop of an output",
        "wake of a join waker",
        "drop of a join waker",
        "drop of a join waker",
        "drop of an aborted future",
        "drop of a detached output",
        "drop at the shutdown",
        "drop of a queued future at the shutdown",
        "drop of a refused future",
    ];
    if cfg!(panic = "unwind") {
        expected.push("drop of a payload");
    }
    expected.sort_unstable();
    let mut seen = poke.trace.events();
    seen.sort_unstable();
    assert_eq!(seen, expected);
}
