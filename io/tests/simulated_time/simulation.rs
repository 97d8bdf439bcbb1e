//! An executor on simulated time: it stands still while tasks are ready, and then jumps to the next deadline.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::{Duration, Instant};

use polyexec_core::executor::{Clock, OwnedTasks, OwnerThread, Ran, Rejected, RunLoop, Task, context};
use polyexec_core::{Executor, Handle, block_on};

/// The handle.
#[derive(Clone)]
pub(crate) struct Simulation(Arc<Shared>);

struct Shared {
    home: OwnerThread,
    ready: Mutex<Option<VecDeque<Task>>>,
    live: OwnedTasks,
    run_loop: RunLoop,
    clock: Arc<Clockwork>,
    begin: Instant,
    /// The task has ended, and time with it.
    is_over: AtomicBool,
}

/// The clock.
pub(crate) struct Clockwork {
    hands: Mutex<Hands>,
    /// How often a timer was set, and its waker replaced.
    pub(crate) set: AtomicUsize,
    pub(crate) renewed: AtomicUsize,
}

struct Hands {
    now: Instant,
    timers: BTreeMap<(Instant, u64), Waker>,
    so_far: u64,
}

impl Clockwork {
    fn new(now: Instant) -> Self {
        let hands = Mutex::new(Hands { now, timers: BTreeMap::new(), so_far: 0 });
        Self { hands, set: AtomicUsize::new(0), renewed: AtomicUsize::new(0) }
    }

    /// How many timers are set.
    pub(crate) fn timers(&self) -> usize {
        self.hands.lock().unwrap().timers.len()
    }

    /// Spends `time` as if a task worked without yielding.
    pub(crate) fn spend(&self, time: Duration) {
        self.hands.lock().unwrap().now += time;
    }

    /// Jumps to the next deadline. `false` if there is none.
    fn jump(&self) -> bool {
        let (now, first) = {
            let mut hands = self.hands.lock().unwrap();
            let Some(((deadline, _), waker)) = hands.timers.pop_first() else { return false };
            hands.now = hands.now.max(deadline);
            (hands.now, waker)
        };
        let mut waker = Some(first);
        while let Some(due) = waker {
            due.wake();
            let mut hands = self.hands.lock().unwrap();
            let is_due = hands.timers.first_key_value().is_some_and(|((deadline, _), _)| *deadline <= now);
            waker = is_due.then(|| hands.timers.pop_first().unwrap().1);
        }
        true
    }
}

impl Clock for Clockwork {
    fn now(&self) -> Instant {
        self.hands.lock().unwrap().now
    }

    fn set(&self, deadline: Instant, waker: &Waker) -> u64 {
        self.set.fetch_add(1, Relaxed);
        let waker = waker.clone();
        let mut hands = self.hands.lock().unwrap();
        hands.so_far += 1;
        let number = hands.so_far;
        hands.timers.insert((deadline, number), waker);
        number
    }

    fn renew(&self, deadline: Instant, timer: u64, waker: &Waker) -> bool {
        self.renewed.fetch_add(1, Relaxed);
        let mut waker = waker.clone();
        let mut hands = self.hands.lock().unwrap();
        let place = hands.timers.get_mut(&(deadline, timer));
        let is_set = place.is_some();
        place.into_iter().for_each(|place| std::mem::swap(place, &mut waker));
        drop(hands);
        is_set
    }

    fn cancel(&self, deadline: Instant, timer: u64) -> Option<Waker> {
        self.hands.lock().unwrap().timers.remove(&(deadline, timer))
    }
}

impl Simulation {
    pub(crate) fn clockwork(&self) -> &Clockwork {
        &self.0.clock
    }

    /// Milliseconds since the simulation began.
    pub(crate) fn at(&self, instant: Instant) -> f64 {
        (instant - self.0.begin).as_secs_f64() * 1e3
    }

    /// Milliseconds from the beginning to now.
    pub(crate) fn millis(&self) -> f64 {
        self.at(self.0.clock.now())
    }

    fn run_one(&self) -> bool {
        let ready = self.0.ready.lock().unwrap().as_mut().and_then(VecDeque::pop_front);
        let Some(task) = ready else { return false };
        if let Ran::Again(task) = self.0.live.run(task) {
            self.schedule(task);
        }
        true
    }

    fn push(&self, task: Task) -> Result<(), Task> {
        match &mut *self.0.ready.lock().unwrap() {
            Some(ready) => ready.push_back(task),
            None => return Err(task),
        }
        self.0.run_loop.notify();
        Ok(())
    }
}

impl Executor for Simulation {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        self.push(self.0.live.admit(task)?).map_err(Rejected::shut_down)
    }

    fn schedule(&self, task: Task) {
        drop(self.push(task));
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        if self.0.home.is_current() {
            let _context = context::reside(Handle::new(self.clone()));
            self.wait(future);
        } else {
            let _context = context::enter(Handle::new(self.clone()));
            block_on(future);
        }
    }

    fn wait(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        self.0.run_loop.drive(future, || self.run_one() || (!self.0.is_over.load(Relaxed) && self.0.clock.jump()));
    }

    fn clock(&self) -> Option<Arc<dyn Clock>> {
        Some(self.0.clock.clone())
    }
}

/// The executor itself. Dropping it ends every task.
struct Owner(Simulation);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.0.live.close();
        let left = self.0.0.ready.lock().unwrap().take();
        drop(left);
    }
}

/// Runs a task to its end, in a new simulation.
///
/// # Panics
///
/// If the task panics.
pub(crate) fn simulate<F>(main: impl FnOnce(Simulation) -> F) -> F::Output
where
    F: Future<Output: Send> + Send + 'static,
{
    let begin = Instant::now();
    let owner = Owner(Simulation(Arc::new(Shared {
        home: OwnerThread::current(),
        ready: Mutex::new(Some(VecDeque::new())),
        live: OwnedTasks::new(),
        run_loop: RunLoop::new(),
        clock: Arc::new(Clockwork::new(begin)),
        begin,
        is_over: AtomicBool::new(false),
    })));
    let simulation = owner.0.clone();
    let main = main(simulation.clone());
    let task = simulation.spawn({
        let simulation = simulation.clone();
        async move {
            let output = main.await;
            simulation.0.is_over.store(true, Relaxed);
            output
        }
    });
    simulation.block_on(task).unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}
