//! Runs one executor, epoch after epoch: starts it, spawns tasks with faults, drops it, and judges the records.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use polyexec_core::Executor;
use polyexec_verify_support::{Progress, thousands};

use crate::epoch::Epoch;
use crate::faults::{Counts, Fault, FaultSet};
use crate::figures::Figures;
use crate::foreign::{Foreign, Request, STORM};
use crate::hooks::Hooks;
use crate::judge::{self, Tally};
use crate::log::{Log, Phase};
use crate::memory::{self, Floor};
use crate::outcome::Planned;
use crate::plan::Planner;
use crate::role::{self, Role};
use crate::root::{LARGEST_UNIT, Left, Root, Shape};
use crate::stored_wakers::StoredWakers;
use crate::subject::{Spawner, Subject};
use crate::system;
use crate::tracked::Tracked;
use crate::watchdog::Watchdog;

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Decides everything that the program decides.
    pub seed: u64,
    /// Tasks, more or less: the last epoch isn't cut short.
    pub lifecycles: u64,
    /// Workers of an executor that has a number of them.
    pub workers: usize,
    /// Foreign threads.
    pub foreign: usize,
    /// Lifecycles of an epoch on the average; `None`: the executor's own number.
    pub epoch: Option<u32>,
    /// A longer wait counts as a hang.
    pub patience: Duration,
}

/// A subject, its type forgotten.
#[derive(Clone)]
pub struct Entry {
    /// As the command line has it.
    pub name: &'static str,
    /// Faults that don't apply, and why.
    pub left_out: &'static [(Fault, &'static str)],
    /// Runs it.
    pub run: fn(&Settings) -> io::Result<Report>,
}

impl Entry {
    /// The entry of a subject.
    pub fn of<S: Subject>() -> Self {
        Self { name: S::NAME, left_out: S::LEFT_OUT, run: run::<S> }
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    /// Must be zero.
    pub figures: Figures,
    /// What became of the tasks.
    pub tally: Tally,
    /// What was injected.
    pub faults: Counts,
    /// Executors that were started and dropped.
    pub epochs: u64,
    /// Of the whole run.
    pub time: Duration,
    /// By how many bytes a thousand tasks the memory at rest grew; see [`Floor::slope`].
    pub slope: Option<f64>,
    /// Bytes above the start, at the end.
    pub bytes: i64,
    /// The owner's longest drop.
    pub longest_shutdown: Duration,
}

/// Bytes a thousand tasks that are too much.
pub const STEEP: f64 = 1.0;

/// A shutdown that takes longer counts. It should take the longest poll, 10 ms, and 100 ms more; but a busy machine
/// takes its time.
pub const SLOW_SHUTDOWN: Duration = Duration::from_secs(2);

impl Report {
    /// Whether all that must be zero is.
    pub fn is_clean(&self) -> bool {
        self.figures.are_zero() && self.slope.is_none_or(|slope| slope < STEEP)
    }
}

/// Runs one subject.
fn run<S: Subject>(settings: &Settings) -> io::Result<Report> {
    role::set(Role::Driver);
    Planned::keep_quiet();
    let (threads, bytes) = (system::threads(), memory::allocated());
    let begin = Instant::now();
    let mut report = {
        let mut run = Run::<S>::begin(settings)?;
        while run.report.tally.lifecycles < settings.lifecycles {
            run.epoch()?;
        }
        run.end()
    };
    report.time = begin.elapsed();
    report.bytes = memory::allocated() as i64 - bytes as i64;
    report.figures.threads = report.figures.threads.max(system::above(threads, system::threads));
    Ok(report)
}

struct Run<'a, S: Subject> {
    settings: &'a Settings,
    faults: FaultSet,
    watchdog: Watchdog,
    foreign: Foreign<S::Spawner>,
    stored_wakers: Arc<StoredWakers>,
    begin: Instant,
    progress: Progress,
    floor: Floor,
    /// At the start.
    threads: Option<u64>,
    descriptors: Option<u64>,
    unplanned_panics: u64,
    report: Report,
}

impl<'a, S: Subject> Run<'a, S> {
    fn begin(settings: &'a Settings) -> io::Result<Self> {
        let mut left_out: Vec<_> = S::LEFT_OUT.iter().map(|(fault, _)| *fault).collect();
        if settings.workers < 2 {
            left_out.push(Fault::BlockedWorker);
        }
        let epochs = settings.lifecycles / u64::from(Self::mean(settings) / 2).max(1) + 2;
        let watchdog = Watchdog::start(settings.seed, settings.patience)?;
        let foreign = Foreign::start(settings.foreign)?;
        Ok(Self {
            settings,
            faults: FaultSet::without(left_out),
            watchdog,
            foreign,
            stored_wakers: Arc::new(StoredWakers::new(settings.lifecycles)),
            begin: Instant::now(),
            progress: Progress::new(),
            floor: Floor::with_room(epochs.min(1_000_000) as usize),
            threads: system::threads(),
            descriptors: system::descriptors(),
            unplanned_panics: Planned::unplanned(),
            report: Report {
                figures: Figures::default(),
                tally: Tally::default(),
                faults: Counts::new(),
                epochs: 0,
                time: Duration::ZERO,
                slope: None,
                bytes: 0,
                longest_shutdown: Duration::ZERO,
            },
        })
    }

    /// Lifecycles of an epoch.
    fn mean(settings: &Settings) -> u32 {
        settings.epoch.unwrap_or(S::EPOCH)
    }

    /// One executor, from its start to its drop.
    fn epoch(&mut self) -> io::Result<()> {
        let Settings { seed, lifecycles, workers, foreign, .. } = *self.settings;
        let number = self.report.epochs;
        let planner = Planner::new(seed, number, self.faults, foreign > 0, lifecycles);
        let shape = self.shape(planner);
        let room = shape.tasks + LARGEST_UNIT + 1 + STORM * foreign as u32;
        let log = Arc::new(Log::new(S::NAME, number, S::IS_LOCAL, room));
        self.watchdog.watch(&log);

        let hooks = Arc::new(Hooks::default());
        let subject = S::start(hooks.threads(workers, planner, seed ^ number))?;
        let epoch = Arc::new(Epoch::new(log.clone(), planner, subject.spawner(), foreign, self.stored_wakers.clone()));
        self.foreign.begin(&epoch);
        let worked = log.guard(|| subject.spawner().block_on(Root::new(epoch.clone()).run(shape)));
        let mut left =
            worked.unwrap_or_else(|| Left { handles: Vec::new(), blocked: None, next: shape.tasks + LARGEST_UNIT + 1 });
        let mut figures = Figures::default();
        if log.is_stalled() {
            figures.hangs += 1;
            figures.lost_wakes += judge::lost_wakes(&log) + forgotten_joiners(&mut left.handles, &epoch);
        }
        self.drop_owner(subject, &epoch, &mut left, shape);

        log.enter(Phase::ClosingTheForeignThreads);
        self.foreign.end(&epoch);
        log.enter(Phase::Settling);
        self.settle(left.handles.into_iter().chain(epoch.take_aside()).collect());
        epoch.clear();

        // Only tasks and outputs that still live hold the epoch now.
        self.watchdog.leave();
        log.enter(Phase::Over);
        figures.live_cells = (Arc::strong_count(&epoch) + Arc::strong_count(&log) - 3) as u64;
        figures.hooks = hooks.imbalance();
        hooks.count(&log.faults);
        drop(epoch);
        self.judge(&log, figures);
        drop((log, hooks));
        S::tidy();
        if self.stored_wakers.is_full() || !self.faults.has(Fault::StoredWaker) {
            self.floor.note(self.report.tally.lifecycles, memory::allocated());
        }
        let (done, begin) = (self.report.tally.lifecycles, self.begin);
        self.progress.show(|| {
            let a_second = thousands((done as f64 / begin.elapsed().as_secs_f64()) as u64);
            format!("{}: {} of {} lifecycles, {a_second} a second", S::NAME, thousands(done), thousands(lifecycles))
        });
        Ok(())
    }

    fn shape(&self, planner: Planner) -> Shape {
        let mut rng = planner.rng(u64::MAX);
        let mean = Self::mean(self.settings);
        let tasks = rng.u32(mean.div_ceil(2)..=mean + mean / 2);
        let blocks = planner.has(Fault::BlockedWorker) && rng.u32(0..4) == 0;
        let at = rng.u32(0..tasks);
        let drains = rng.bool() || !planner.has(Fault::DroppedBusy);
        Shape { tasks, blocked_at: blocks.then_some(at), drains, window: S::WINDOW }
    }

    /// Drops the owner, while foreign threads spawn, wake and abort.
    fn drop_owner(&mut self, subject: S, epoch: &Epoch<S::Spawner>, left: &mut Left<S::Spawner>, shape: Shape) {
        let log = &epoch.log;
        log.faults.add(if shape.drains { Fault::DroppedAtRest } else { Fault::DroppedBusy });
        if let Some(blocked) = left.blocked.take() {
            match epoch.queues.first() {
                Some(queue) => queue.send(Request::Open(blocked)),
                None => blocked.open(),
            }
        }
        if epoch.planner.has(Fault::Storm) {
            epoch.send_all(|number| Request::Storm(left.next + STORM * number as u32));
        }
        // So that the drop meets the foreign threads at any point of what they do.
        const LONGEST_WAIT: u32 = 100_000;
        for _ in 0..epoch.planner.rng(u64::MAX - 1).u32(0..LONGEST_WAIT) {
            std::hint::spin_loop();
        }
        log.enter(Phase::DroppingTheOwner);
        let begin = Instant::now();
        role::shutting_down(|| log.guard(|| drop(subject)));
        let time = begin.elapsed();
        self.report.longest_shutdown = self.report.longest_shutdown.max(time);
        self.report.figures.slow_shutdowns += u64::from(time > SLOW_SHUTDOWN);
    }

    /// Every handle resolves now that the executor is gone.
    fn settle(&self, handles: Vec<Tracked<S::Spawner>>) {
        let mut cx = Context::from_waker(Waker::noop());
        let begin = Instant::now();
        for mut tracked in handles {
            while tracked.settle_at_last(&mut cx).is_pending() {
                if begin.elapsed() > self.settings.patience / 2 {
                    tracked.give_up();
                    break;
                }
                thread::sleep(Duration::from_millis(1));
            }
        }
    }

    fn judge(&mut self, log: &Log, mut figures: Figures) {
        let (judged, tally) = judge::judge(log);
        figures.add(&judged);
        let report = &mut self.report;
        report.epochs += 1;
        report.figures.add(&figures);
        report.tally.add(&tally);
        report.faults.add_all(&log.faults);
        report.figures.threads += new(&mut self.threads, system::threads);
        report.figures.descriptors += new(&mut self.descriptors, system::descriptors);
    }

    fn end(mut self) -> Report {
        self.report.slope = self.floor.slope();
        self.report.figures.unplanned_panics = Planned::unplanned() - self.unplanned_panics;
        self.report
    }
}

/// What is above `before`, which is what it is compared with from now on: counted once.
fn new(before: &mut Option<u64>, count: impl Fn() -> Option<u64>) -> u64 {
    let above = system::above(*before, count);
    *before = before.map(|before| before + above);
    above
}

/// Counts a joiner that wasn't woken though the first of these tasks is over.
fn forgotten_joiners<S: Spawner>(handles: &mut [Tracked<S>], epoch: &Epoch<S>) -> u64 {
    let Some(first) = handles.first_mut() else { return 0 };
    let mut cx = Context::from_waker(Waker::noop());
    let settled = catch_unwind(AssertUnwindSafe(|| first.settle(epoch, &mut cx)));
    u64::from(matches!(settled, Ok(Poll::Ready(()))))
}
