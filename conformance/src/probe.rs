//! Instruments of the properties: a trace of events, gates that order them, and futures that report their polls.

use std::future::poll_fn;
use std::io::Write;
use std::panic::{Location, resume_unwind, set_hook, take_hook};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::{fmt, thread};

use polyexec_core::executor::{Rejected, Task};
use polyexec_core::{Executor, JoinHandle};
use polyexec_futures::yield_now;

use crate::Fixture;

/// Events in the order in which they happened. Clones share the trace.
#[derive(Clone, Default)]
pub struct Trace(Arc<Mutex<Vec<String>>>);

impl Trace {
    /// An empty trace.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an event.
    pub fn log(&self, event: impl Into<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event.into());
    }

    /// The events so far.
    pub fn events(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes the events so far.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A value that logs `event` when it is dropped.
    pub fn on_drop(&self, event: impl Into<String>) -> OnDrop {
        let (trace, event) = (self.clone(), event.into());
        OnDrop::new(move || trace.log(event))
    }
}

impl PartialEq<&[&str]> for Trace {
    fn eq(&self, events: &&[&str]) -> bool {
        self.events() == *events
    }
}

impl<const N: usize> PartialEq<[&str; N]> for Trace {
    fn eq(&self, events: &[&str; N]) -> bool {
        self.events() == *events
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.events().fmt(f)
    }
}

/// Calls a closure when it is dropped.
pub struct OnDrop(Option<Box<dyn FnOnce() + Send>>);

impl OnDrop {
    /// Calls `run` when the value is dropped.
    pub fn new(run: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(run)))
    }
}

impl Drop for OnDrop {
    fn drop(&mut self) {
        if let Some(run) = self.0.take() {
            run();
        }
    }
}

/// Opens once and stays open. Tasks and threads wait for it. Clones share the gate.
#[derive(Clone, Default)]
pub struct Gate(Arc<Mutex<GateState>>);

#[derive(Default)]
struct GateState {
    open: bool,
    waiting: Vec<Waker>,
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets all waiters through, now and later.
    pub fn open(&self) {
        let waiting = {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            state.open = true;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Whether it was opened.
    pub fn is_open(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).open
    }

    /// Waits in a task.
    pub async fn opened(&self) {
        poll_fn(|cx| {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if state.open {
                return Poll::Ready(());
            }
            if !state.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                state.waiting.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await
    }

    /// Waits on a plain thread, or blocks a task's.
    pub fn wait(&self) {
        polyexec_core::executor::park_on(self.opened());
    }
}

/// Holds the waker of a task, so that the task can be woken from outside. Clones share the slot.
#[derive(Clone, Default)]
pub struct WakerSlot(Arc<Mutex<Option<Waker>>>);

impl WakerSlot {
    /// An empty slot.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps `waker`, and returns the one before.
    pub fn put(&self, waker: Waker) -> Option<Waker> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).replace(waker)
    }

    /// A clone of the waker in the slot.
    pub fn get(&self) -> Option<Waker> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes the waker out of the slot.
    pub fn take(&self) -> Option<Waker> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A counter. Clones share the count.
#[derive(Clone, Default)]
pub struct Tally(Arc<AtomicUsize>);

impl Tally {
    /// A count of zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one.
    pub fn add(&self) {
        self.0.fetch_add(1, AcqRel);
    }

    /// The count so far.
    pub fn get(&self) -> usize {
        self.0.load(Acquire)
    }

    /// A value that is counted when it is dropped.
    pub fn on_drop(&self) -> OnDrop {
        let tally = self.clone();
        OnDrop::new(move || tally.add())
    }
}

/// Releases a number of threads at the same moment, round after round. They spin, so each must have a thread that runs it: a task
/// may meet foreign threads, but no other task.
#[derive(Clone)]
pub struct Meeting(Arc<Attendance>);

struct Attendance {
    of: usize,
    arrivals: AtomicUsize,
}

impl Meeting {
    /// A meeting of this many threads.
    pub fn of(threads: usize) -> Self {
        Self(Arc::new(Attendance { of: threads, arrivals: AtomicUsize::new(0) }))
    }

    /// Waits for the others.
    pub fn attend(&self) {
        let Attendance { of, arrivals } = &*self.0;
        let complete = (arrivals.fetch_add(1, AcqRel) / of + 1) * of;
        let mut spins = 0;
        while arrivals.load(Acquire) < complete {
            // Spins, so that threads with a processor each leave together. Yields, in case they share one.
            if spins < 1_000 {
                spins += 1;
                std::hint::spin_loop();
            } else {
                thread::yield_now();
            }
        }
    }
}

/// Pseudo-random numbers, which a seed repeats (xorshift).
pub struct Rng(u64);

impl Rng {
    /// The numbers of `seed`.
    pub fn new(seed: u64) -> Self {
        // Zero would stay zero for ever.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number less than `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.number() % end
    }

    /// An independent generator, for another thread.
    pub fn fork(&mut self) -> Self {
        Self::new(self.number())
    }

    /// Spends a short time that differs from call to call, so that the two sides of a race meet in every order.
    pub fn linger(&mut self) {
        for _ in 0..self.below(200) {
            std::hint::spin_loop();
        }
    }

    fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// A waker that calls a closure. The closure is dropped with the last clone.
pub fn waker(call: impl Fn() + Send + Sync + 'static) -> Waker {
    struct Calls<F>(F);

    impl<F: Fn() + Send + Sync + 'static> Wake for Calls<F> {
        fn wake(self: Arc<Self>) {
            (self.0)();
        }

        fn wake_by_ref(self: &Arc<Self>) {
            (self.0)();
        }
    }

    Waker::from(Arc::new(Calls(call)))
}

/// Polls `future` once, with `waker`.
pub fn poll_with<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// `future` with a value that is dropped with it, and not at its end, as the variables of an `async` block are.
pub fn carrying<F>(cargo: impl Send + 'static, future: F) -> impl Future<Output = F::Output> + Send + 'static
where
    F: Future + Send + 'static,
{
    let mut future = Box::pin(future);
    poll_fn(move |cx| {
        let _carried = &cargo;
        future.as_mut().poll(cx)
    })
}

/// Waits until a task has ended, and leaves its result in the handle.
pub async fn finished<T>(handle: &JoinHandle<T>) {
    while !handle.is_finished() {
        yield_now().await;
    }
}

/// Lets the executor run until all tasks that were queued before have run.
pub fn settle(executor: &Fixture) {
    const ROUNDS: usize = 100;
    executor.block_on(async {
        for _ in 0..ROUNDS {
            executor.handle().spawn(yield_now()).await.expect("the task is ready");
        }
    });
}

/// Watches an idle task: counts its polls, and returns its waker. Clones watch the same task.
#[derive(Clone, Default)]
pub struct Sleeper {
    polls: Tally,
    drops: Tally,
    waker: WakerSlot,
    ending: Arc<AtomicBool>,
}

impl Sleeper {
    /// Has seen no poll yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The future that is watched.
    pub fn future(&self) -> impl Future<Output = ()> + Send + 'static {
        let this = self.clone();
        carrying(
            self.drops.on_drop(),
            poll_fn(move |cx| {
                this.waker.put(cx.waker().clone());
                this.polls.add();
                if this.ending.load(Acquire) { Poll::Ready(()) } else { Poll::Pending }
            }),
        )
    }

    /// Makes the next poll ready. Doesn't wake the task.
    pub fn end(&self) {
        self.ending.store(true, Release);
    }

    /// The waker of the latest poll.
    pub fn waker(&self) -> Waker {
        self.waker.get().expect("the task was polled")
    }

    /// The polls that have begun.
    pub fn polls(&self) -> usize {
        self.polls.get()
    }

    /// How often the future was dropped.
    pub fn drops(&self) -> usize {
        self.drops.get()
    }

    /// Waits in a task until this many polls have begun.
    pub async fn polled(&self, times: usize) {
        while self.polls() < times {
            yield_now().await;
        }
    }
}

/// Runs `work` on a foreign thread, while this one drives the executor.
pub fn on_foreign_thread<T: Send + 'static>(
    executor: &Fixture,
    work: impl FnOnce(Arc<dyn Executor>) -> T + Send + 'static,
) -> T {
    let (handle, over) = (executor.handle(), Gate::new());
    let thread = {
        let over = over.clone();
        thread::spawn(move || {
            let _over = OnDrop::new(move || over.open());
            work(handle)
        })
    };
    executor.block_on(over.opened());
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// The number of threads of this process. `None` where the system doesn't tell. For tests in a process of their own.
pub fn threads() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/task").ok()?.count())
}

/// How many files this process may have open, and how many it may request. `None` where the system doesn't tell.
pub fn file_limits() -> Option<(u64, u64)> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let mut files = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?.split_whitespace();
    let mut next = || match files.next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    };
    Some((next()?, next()?))
}

/// Prints that the calling test is left out, and why. Not with `eprintln`, which the test harness captures.
#[track_caller]
pub fn leave_out(why: impl fmt::Display) {
    let here = Location::caller();
    let _ = writeln!(std::io::stderr(), "{}:{}: LEFT OUT, {why}", here.file(), here.line());
}

/// The least of several measurements, up to the first that is within `bound`. A program's own cost shows each time, the load of
/// the machine doesn't.
pub fn least_until<T: Ord + Copy>(bound: T, mut measured: impl Iterator<Item = T>) -> T {
    let mut least = measured.next().expect("something is measured");
    while least > bound {
        let Some(next) = measured.next() else { break };
        least = least.min(next);
    }
    least
}

/// The payload of a panic that a check provokes.
pub struct Planned;

/// Hides [`Planned`] panics from the panic hook, which is the whole process's. For tests in a process of their own.
pub fn hush() {
    let hook = take_hook();
    set_hook(Box::new(move |panic| {
        if !panic.payload().is::<Planned>() {
            hook(panic);
        }
    }));
}

/// Runs tasks on another executor. Each clone has a mark, and a task's cell holds a clone of its executor. So dropping the mark
/// reports that the cell was freed.
pub struct Marked {
    executor: Arc<dyn Executor>,
    mark: Arc<dyn Fn() -> OnDrop + Send + Sync>,
    /// The lock makes this `Sync`.
    _mark: Option<Mutex<OnDrop>>,
}

impl Marked {
    /// Tasks on `executor`, whose cells hold what `mark` returns.
    pub fn new(executor: Arc<dyn Executor>, mark: impl Fn() -> OnDrop + Send + Sync + 'static) -> Self {
        Self { executor, mark: Arc::new(mark), _mark: None }
    }
}

impl Clone for Marked {
    fn clone(&self) -> Self {
        Self { executor: self.executor.clone(), mark: self.mark.clone(), _mark: Some(Mutex::new((self.mark)())) }
    }
}

impl Executor for Marked {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        self.executor.submit(task)
    }

    fn schedule(&self, task: Task) {
        self.executor.schedule(task);
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        self.executor.drive(future);
    }
}
