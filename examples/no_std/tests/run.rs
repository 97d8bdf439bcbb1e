//! The executor on a desktop. Its interrupts are function calls while it is idle, or come from another thread.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use polyexec_core::{Executor, JoinHandle, yield_now};
use polyexec_futures::count;
use polyexec_no_std::clock::Clock;
use polyexec_no_std::executor::RunQueue;
use polyexec_no_std::signal::Signal;

type Handler = Box<dyn FnOnce()>;

thread_local! {
    /// What happens while the executor sleeps.
    static INTERRUPTS: RefCell<VecDeque<Handler>> = const { RefCell::new(VecDeque::new()) };
}

fn interrupt_with(handler: impl FnOnce() + 'static) {
    INTERRUPTS.with_borrow_mut(|interrupts| interrupts.push_back(Box::new(handler)));
}

/// Takes the next interrupt.
fn idle() {
    let handler = INTERRUPTS.with_borrow_mut(VecDeque::pop_front);
    handler.expect("the executor sleeps, and nothing will wake it")();
}

/// A clock for a static, as firmware has one.
fn clock() -> &'static Clock {
    Box::leak(Box::new(Clock::new()))
}

fn signal() -> &'static Signal {
    Box::leak(Box::new(Signal::new()))
}

#[derive(Clone, Default)]
struct Trace(Arc<Mutex<Vec<String>>>);

impl Trace {
    fn note(&self, event: impl Into<String>) {
        self.0.lock().unwrap().push(event.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn blink(led: &'static str, period: u32, clock: &'static Clock, trace: &Trace) -> impl Future<Output = ()> + use<> {
    let trace = trace.clone();
    async move {
        loop {
            trace.note(format!("{}: {led}", clock.now()));
            clock.sleep(period).await;
        }
    }
}

#[test]
fn two_lights_and_a_button() {
    let (clock, button, trace) = (clock(), signal(), Trace::default());
    let queue = RunQueue::new(clock, idle);
    let red = queue.spawn(blink("red", 2, clock, &trace));
    let _green = queue.spawn(blink("green", 3, clock, &trace));
    let pressed = queue.spawn({
        let trace = trace.clone();
        async move {
            button.raised().await;
            trace.note(format!("{}: button", clock.now()));
            red.abort();
            red.await.unwrap_err().is_cancelled()
        }
    });
    for tick in 1..=8 {
        interrupt_with(|| clock.tick());
        if tick == 5 {
            interrupt_with(|| button.raise());
        }
    }
    queue.block_on(clock.sleep(8));
    let expected = ["0: red", "0: green", "2: red", "3: green", "4: red", "5: button", "6: green"];
    assert_eq!(trace.take(), expected);
    assert!(queue.block_on(pressed).unwrap());
}

#[test]
fn a_handle_is_awaited_in_a_task_and_by_the_loop() {
    let queue = RunQueue::new(clock(), idle);
    let hundred = queue.spawn(count(100));
    let sum = queue.spawn(async move { hundred.await.unwrap() + count(23).await });
    assert_eq!(queue.block_on(sum).unwrap(), 123);
}

#[test]
fn tasks_that_are_ready_take_turns() {
    let (queue, trace) = (RunQueue::new(clock(), idle), Trace::default());
    let turns = |name: &'static str| {
        let trace = trace.clone();
        async move {
            for turn in 0..3 {
                trace.note(format!("{name}{turn}"));
                yield_now().await;
            }
        }
    };
    let (a, b) = (queue.spawn(turns("a")), queue.spawn(turns("b")));
    queue.block_on(async {
        turns("main").await;
        a.await.unwrap();
        b.await.unwrap();
    });
    assert_eq!(trace.take(), ["a0", "main0", "b0", "main1", "a1", "main2", "b1", "a2", "b2"]);
}

#[test]
fn a_signal_that_was_raised_before_is_remembered_once() {
    let (queue, button) = (RunQueue::new(clock(), idle), signal());
    button.raise();
    queue.block_on(button.raised());
    interrupt_with(|| button.raise());
    queue.block_on(button.raised());
}

#[test]
fn a_sleep_that_moves_to_a_task_wakes_that() {
    let clock = clock();
    let queue = RunQueue::new(clock, idle);
    let mut sleep = Box::pin(clock.sleep(1));
    assert!(sleep.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let task = queue.spawn(sleep);
    interrupt_with(|| clock.tick());
    queue.block_on(task).unwrap();
}

/// Notes its drop.
struct Noted(Trace);

impl Drop for Noted {
    fn drop(&mut self) {
        self.0.note("dropped");
    }
}

fn waits_forever(queue: &RunQueue, trace: &Trace) -> JoinHandle<()> {
    let noted = Noted(trace.clone());
    queue.spawn(async move {
        let _noted = noted;
        pending().await
    })
}

#[test]
fn an_aborted_task_drops_its_future() {
    let (queue, trace) = (RunQueue::new(clock(), idle), Trace::default());
    let task = waits_forever(&queue, &trace);
    assert!(queue.run_next());
    task.abort();
    assert!(queue.run_next() && !queue.run_next());
    assert_eq!(trace.take(), ["dropped"]);
    assert!(queue.block_on(task).unwrap_err().is_cancelled());
}

#[test]
fn a_closed_queue_refuses_tasks_and_ends_those_that_are_ready() {
    let (queue, trace) = (RunQueue::new(clock(), idle), Trace::default());
    let ready = waits_forever(&queue, &trace);
    let waiting = queue.spawn(pending::<()>());
    waiting.abort();
    queue.close();
    assert_eq!(trace.take(), ["dropped"]);
    for task in [ready, waiting, queue.spawn(async {})] {
        assert!(queue.block_on(task).unwrap_err().is_shutdown());
    }
}

#[test]
fn interrupt_handlers_neither_allocate_nor_free() {
    let (clock, queue) = (clock(), RunQueue::new(clock(), idle));
    let signals: Vec<_> = (0..100).map(|_| signal()).collect();
    let spawn = |signal: &&'static Signal| {
        let task = queue.spawn(signal.raised());
        while queue.run_next() {}
        task
    };
    let mut tasks: Vec<_> = signals.iter().map(spawn).collect();
    // The signal's waker is the last that knows of this task.
    drop(tasks.pop().inspect(|task| task.abort()));
    while queue.run_next() {}
    let handlers = allocation_counter::measure(|| {
        for signal in &signals {
            signal.raise();
            signal.raise();
            clock.tick();
        }
    });
    assert_eq!(handlers, Default::default());
    for task in tasks {
        queue.block_on(task).unwrap();
    }
}

/// Core's `std` would catch it.
#[test]
fn core_has_no_std() {
    let queue = RunQueue::new(clock(), idle);
    drop(queue.spawn(async { resume_unwind(Box::new(())) }));
    assert!(catch_unwind(AssertUnwindSafe(|| queue.run_next())).is_err());
}

/// As `wfe`: doesn't sleep if an interrupt came since the last time.
fn park() {
    let begin = Instant::now();
    thread::park_timeout(Duration::from_secs(10));
    assert!(begin.elapsed() < Duration::from_secs(10), "no interrupt came: a wake was lost");
}

/// Polls `future`, and calls `act` after the first poll.
async fn and_then_first<F: Future>(future: F, act: impl FnOnce()) -> F::Output {
    let (mut future, mut act) = (pin!(future), Some(act));
    poll_fn(|cx| {
        let answer = future.as_mut().poll(cx);
        if let Some(act) = act.take() {
            act();
        }
        answer
    })
    .await
}

/// Interrupts at any moment, from another thread.
#[test]
fn no_wake_is_lost() {
    const ROUNDS: u32 = 10_000;
    let (clock, ping, pong) = (clock(), signal(), signal());
    let queue = RunQueue::new(clock, park);
    let main = thread::current();
    let (asks, asked) = mpsc::channel::<fn(&Signal, &Clock)>();
    let interrupts = thread::spawn(move || {
        for handler in asked {
            handler(ping, clock);
            main.unpark();
        }
    });
    let echo = queue.spawn(async move {
        for _ in 0..ROUNDS {
            ping.raised().await;
            pong.raise();
        }
    });
    queue.block_on(async {
        for _ in 0..ROUNDS {
            asks.send(|ping, _| ping.raise()).unwrap();
            pong.raised().await;
            and_then_first(clock.sleep(1), || asks.send(|_, clock| clock.tick()).unwrap()).await;
        }
        echo.await.unwrap();
    });
    drop(asks);
    interrupts.join().unwrap();
}
