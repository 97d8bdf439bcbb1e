//! Executors that are broken on purpose, one figure each: the soak must tell, and end with exit code 1. Otherwise its
//! zeros mean nothing.

use std::io;
use std::marker::PhantomData;
use std::mem::forget;
use std::pin::Pin;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use polyexec_core::executor::{Rejected, Task};
use polyexec_core::{AbortHandle, Executor};
use polyexec_pool::{Pool, PoolHandle};
use polyexec_soak::faults::Fault;
use polyexec_soak::job::Job;
use polyexec_soak::outcome::{Outcome, Output, Planned};
use polyexec_soak::run::Entry;
use polyexec_soak::subject::{Handle, Joined, Spawner, Subject, Threads};

/// Which tasks, threads or wakes are mistreated: each of this many.
const EACH: u32 = 40;

/// What is broken. What isn't said is as it should be.
trait Break: Sized + Send + Sync + 'static {
    const NAME: &'static str;

    fn schedule(_nth: u32, executor: &PoolHandle, task: Task) {
        executor.schedule(task);
    }

    /// Polls a job.
    fn poll(_nth: u32, job: &mut Job<Spawns<Self>>, cx: &mut Context<'_>) -> Poll<Output> {
        Pin::new(job).poll(cx)
    }

    /// Drops a job.
    fn drop(_nth: u32, job: Job<Spawns<Self>>) {
        drop(job);
    }

    /// What a handle says.
    fn resolve(_nth: u32, polled: Poll<Outcome>) -> Poll<Outcome> {
        polled
    }

    /// Whether a handle never says anything.
    fn is_deaf(_nth: u32) -> bool {
        false
    }

    fn detach(_nth: u32, handle: Joined) {
        handle.detach();
    }

    /// Drops the owner.
    fn shut_down(pool: Pool) {
        drop(pool);
    }
}

struct Broken<B: Break> {
    pool: Option<Pool>,
    how: PhantomData<B>,
}

struct Spawns<B>(PoolHandle, Arc<Counts>, PhantomData<fn() -> B>);

#[derive(Default)]
struct Counts {
    spawns: AtomicU32,
    schedules: AtomicU32,
}

impl<B> Clone for Spawns<B> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), self.1.clone(), PhantomData)
    }
}

impl<B: Break> Executor for Spawns<B> {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        self.0.submit(task)
    }

    fn schedule(&self, task: Task) {
        B::schedule(self.1.schedules.fetch_add(1, Relaxed), &self.0, task);
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        self.0.drive(future);
    }
}

impl<B: Break> Subject for Broken<B> {
    const NAME: &'static str = B::NAME;
    const WINDOW: usize = 64;
    const EPOCH: u32 = 100;
    const LEFT_OUT: &'static [(Fault, &'static str)] = &[(Fault::LocalFuture, "its tasks go from thread to thread")];
    type Spawner = Spawns<B>;

    fn start(threads: Threads) -> io::Result<Self> {
        let Threads { workers, on_start, on_stop } = threads;
        let pool = Pool::builder()
            .worker_threads(workers)
            .on_thread_start(move || on_start())
            .on_thread_stop(move || on_stop())
            .build()?;
        Ok(Self { pool: Some(pool), how: PhantomData })
    }

    fn spawner(&self) -> Spawns<B> {
        Spawns(self.pool.as_ref().expect("not dropped").handle(), Arc::default(), PhantomData)
    }
}

impl<B: Break> Drop for Broken<B> {
    fn drop(&mut self) {
        B::shut_down(self.pool.take().expect("dropped once"));
    }
}

impl<B: Break> Spawner for Spawns<B> {
    type Handle = BrokenHandle<B>;

    fn spawn_job(&self, job: Job<Self>) -> BrokenHandle<B> {
        let nth = self.1.spawns.fetch_add(1, Relaxed);
        let handle = Executor::spawn(self, BrokenJob { nth, job: Some(job) });
        BrokenHandle { nth, handle: handle.into(), how: PhantomData }
    }
}

struct BrokenJob<B: Break> {
    nth: u32,
    job: Option<Job<Spawns<B>>>,
}

impl<B: Break> Future for BrokenJob<B> {
    type Output = Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Output> {
        let nth = self.nth;
        B::poll(nth, self.job.as_mut().expect("not dropped"), cx)
    }
}

impl<B: Break> Drop for BrokenJob<B> {
    fn drop(&mut self) {
        B::drop(self.nth, self.job.take().expect("dropped once"));
    }
}

struct BrokenHandle<B> {
    nth: u32,
    handle: Joined,
    how: PhantomData<fn() -> B>,
}

impl<B: Break> Handle for BrokenHandle<B> {
    fn aborter(&self) -> AbortHandle {
        self.handle.aborter()
    }

    fn detach(self) {
        B::detach(self.nth, self.handle);
    }

    fn join(self) -> Outcome {
        self.handle.join()
    }
}

impl<B: Break> Future for BrokenHandle<B> {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        if B::is_deaf(self.nth) {
            return Poll::Pending;
        }
        let polled = Pin::new(&mut self.handle).poll(cx);
        B::resolve(self.nth, polled)
    }
}

fn is_one(nth: u32) -> bool {
    nth % EACH == EACH - 1
}

struct Sound;

impl Break for Sound {
    const NAME: &'static str = "sound";
}

struct LosesWakes;

impl Break for LosesWakes {
    const NAME: &'static str = "loses-wakes";

    fn schedule(nth: u32, executor: &PoolHandle, task: Task) {
        if is_one(nth) {
            // Dropped, it would end.
            forget(task);
        } else {
            executor.schedule(task);
        }
    }
}

struct PollsTwice;

impl Break for PollsTwice {
    const NAME: &'static str = "polls-twice";

    fn poll(nth: u32, job: &mut Job<Spawns<Self>>, cx: &mut Context<'_>) -> Poll<Output> {
        let polled = Pin::new(&mut *job).poll(cx);
        if polled.is_ready() && is_one(nth) {
            assert!(Pin::new(job).poll(cx).is_pending());
        }
        polled
    }
}

struct LeaksTasks;

impl Break for LeaksTasks {
    const NAME: &'static str = "leaks-tasks";

    fn drop(nth: u32, job: Job<Spawns<Self>>) {
        if is_one(nth) {
            forget(job);
        }
    }
}

struct DropsElsewhere;

impl Break for DropsElsewhere {
    const NAME: &'static str = "drops-elsewhere";

    fn drop(nth: u32, job: Job<Spawns<Self>>) {
        if is_one(nth) {
            // A planned panic in the drop goes with the thread.
            let _ = thread::spawn(move || drop(job)).join();
        }
    }
}

struct NeverResolves;

impl Break for NeverResolves {
    const NAME: &'static str = "never-resolves";

    fn is_deaf(nth: u32) -> bool {
        is_one(nth)
    }
}

struct LosesOutputs;

impl Break for LosesOutputs {
    const NAME: &'static str = "loses-outputs";

    fn resolve(nth: u32, polled: Poll<Outcome>) -> Poll<Outcome> {
        if polled.is_ready() && is_one(nth) { Poll::Ready(Outcome::Cancelled) } else { polled }
    }
}

struct HidesPanics;

impl Break for HidesPanics {
    const NAME: &'static str = "hides-panics";

    fn resolve(_: u32, polled: Poll<Outcome>) -> Poll<Outcome> {
        polled.map(|outcome| match outcome {
            Outcome::Panicked(_) => Outcome::Cancelled,
            other => other,
        })
    }
}

struct PanicsByItself;

impl Break for PanicsByItself {
    const NAME: &'static str = "panics-by-itself";

    fn poll(nth: u32, job: &mut Job<Spawns<Self>>, cx: &mut Context<'_>) -> Poll<Output> {
        assert!(!is_one(nth), "an executor's own panic");
        Pin::new(job).poll(cx)
    }
}

struct LetsPanicsEscape;

impl Break for LetsPanicsEscape {
    const NAME: &'static str = "lets-panics-escape";

    fn detach(nth: u32, handle: Joined) {
        handle.detach();
        Planned::panic(nth);
    }
}

struct LeaksMemory;

impl Break for LeaksMemory {
    const NAME: &'static str = "leaks-memory";

    fn detach(_: u32, handle: Joined) {
        handle.detach();
        forget(std::hint::black_box(Box::new([0_u8; 1000])));
    }
}

struct LeaksThreads;

impl Break for LeaksThreads {
    const NAME: &'static str = "leaks-threads";

    fn shut_down(pool: Pool) {
        drop(pool);
        let _ = thread::spawn(|| thread::sleep(Duration::from_secs(20)));
    }
}

struct LeaksFiles;

impl Break for LeaksFiles {
    const NAME: &'static str = "leaks-files";

    fn shut_down(pool: Pool) {
        drop(pool);
        forget(std::fs::File::open("/proc/self/stat").unwrap());
    }
}

struct TakesItsTime;

impl Break for TakesItsTime {
    const NAME: &'static str = "takes-its-time";

    fn shut_down(pool: Pool) {
        drop(pool);
        thread::sleep(Duration::from_millis(2100));
    }
}

struct NeverShutsDown;

impl Break for NeverShutsDown {
    const NAME: &'static str = "never-shuts-down";

    fn shut_down(_pool: Pool) {
        loop {
            thread::park();
        }
    }
}

/// A figure, and an executor that is broken so that it must tell.
type Canary = (&'static str, fn() -> Entry);

const CANARIES: &[Canary] = &[
    ("lost wakes", entry::<LosesWakes>),
    ("double polls", entry::<PollsTwice>),
    ("missing drops", entry::<LeaksTasks>),
    ("live cells above the start", entry::<LeaksTasks>),
    ("drops on a wrong thread", entry::<DropsElsewhere>),
    ("handles that never resolve", entry::<NeverResolves>),
    ("hangs", entry::<LosesWakes>),
    ("outputs not delivered", entry::<LosesOutputs>),
    ("handles with a wrong result", entry::<HidesPanics>),
    ("panics that nobody planned", entry::<PanicsByItself>),
    ("panics of a task's that escaped to others", entry::<LetsPanicsEscape>),
    ("threads above the start", entry::<LeaksThreads>),
    ("file descriptors above the start", entry::<LeaksFiles>),
    ("bytes a 1,000 tasks by which memory grows (under 1)", entry::<LeaksMemory>),
    ("shutdowns over 2 s", entry::<TakesItsTime>),
];

fn entry<B: Break>() -> Entry {
    Entry::of::<Broken<B>>()
}

/// Tells a process that it was started to be the soak of this executor.
const CHILD: &str = "POLYEXEC_SOAK_CANARY";

fn main() -> ExitCode {
    let mut entries: Vec<_> = CANARIES.iter().map(|(_, entry)| entry()).collect();
    entries.extend([entry::<Sound>(), entry::<NeverShutsDown>()]);
    if let Some(name) = std::env::var_os(CHILD) {
        let entry = entries.iter().find(|entry| name == entry.name).expect("one of these");
        return polyexec_soak::program("", std::env::args_os().skip(1), std::slice::from_ref(entry)).into();
    }
    // As with any other test: what isn't an option is a part of a name.
    let wanted: Vec<_> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| name.contains(wanted));
    let names = [Sound::NAME, NeverShutsDown::NAME];
    // Each in a process of its own, and most of them wait: all at once.
    let told = thread::scope(|threads| {
        let canaries = CANARIES.iter().filter(|(_, entry)| is_wanted(entry().name));
        let canaries: Vec<_> = canaries.map(|(figure, entry)| threads.spawn(|| tells(entry().name, figure))).collect();
        let others = names.into_iter().filter(|name| is_wanted(name));
        let others: Vec<_> = others
            .map(|name| threads.spawn(move || if name == Sound::NAME { sound() } else { never_shuts_down() }))
            .collect();
        canaries.into_iter().chain(others).map(|canary| canary.join()).collect::<Vec<_>>()
    });
    let mut are_well = true;
    for canary in told {
        match canary {
            Ok(line) => println!("canary {line} ... ok"),
            // The panic has been reported.
            Err(_) => are_well = false,
        }
    }
    if are_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The executor's figure isn't zero, and the exit code says so.
fn tells(name: &str, figure: &str) -> String {
    let lifecycles = match name {
        // Each of their executors takes a second or two.
        TakesItsTime::NAME | LeaksThreads::NAME | LeaksFiles::NAME => "100",
        LeaksTasks::NAME | NeverResolves::NAME => "300",
        // A slope is seen in a number of epochs.
        LeaksMemory::NAME => "40000",
        _ => "3000",
    };
    let (code, table, told) = soak(name, lifecycles);
    assert_eq!(code, Some(1), "{name}: {table}{told}");
    let cells = |line: &'_ str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let row = table.lines().map(cells).find(|row| row.get(1).is_some_and(|what| what == figure));
    let value = row.map(|row| row[2].clone()).unwrap_or_else(|| panic!("{name}: {table}{told}"));
    assert!(!["0", "0.00", "too short a run"].contains(&value.as_str()), "{name}: {figure} is {value}\n{table}");
    format!("{name}: {figure}: {value}")
}

/// The executor that all the others are made of has no figure of its own.
fn sound() -> String {
    let (code, table, told) = soak(Sound::NAME, "3000");
    assert_eq!(code, Some(0), "{table}{told}");
    format!("{}: no figure", Sound::NAME)
}

/// What can't be ended is told at once, and ends the process.
fn never_shuts_down() -> String {
    let (code, table, told) = soak(NeverShutsDown::NAME, "3000");
    assert_eq!(code, Some(1), "{table}{told}");
    assert!(told.contains("hang: never-shuts-down, seed 7, epoch 0"), "{told}");
    assert!(told.contains("DroppingTheOwner"), "{told}");
    format!("{}: a hang, with its seed and epoch", NeverShutsDown::NAME)
}

/// The soak of one of these executors, in a process of its own: its exit code, and what it printed.
fn soak(name: &str, lifecycles: &str) -> (Option<i32>, String, String) {
    let output = Command::new(std::env::current_exe().expect("the path of this program"))
        .args(["--executor", name, "--seed", "7", "--lifecycles", lifecycles])
        // A slow shutdown is no hang.
        .args(["--patience", if name == TakesItsTime::NAME { "10" } else { "2" }])
        .env(CHILD, name)
        .output()
        .expect("this program starts again");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}
