//! Breaks the pool on purpose, in one way for each figure: the soak must report the figure and exit with code 1. Otherwise its
//! zeros mean nothing.

use std::io;
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

type BoxedJob = Pin<Box<dyn Future<Output = Output> + Send>>;

/// One way to break the pool. The number is that of the task, or of the call of `schedule`.
struct Break {
    name: &'static str,
    /// The figures that must not be zero.
    figures: &'static [&'static str],
    lifecycles: &'static str,
    /// Seconds without progress that are a hang.
    patience: &'static str,
    schedule: fn(u32, &PoolHandle, Task),
    poll: fn(u32, &mut BoxedJob, &mut Context<'_>) -> Poll<Output>,
    drop_job: fn(u32, BoxedJob),
    /// Polls a handle.
    join: fn(u32, &mut Joined, &mut Context<'_>) -> Poll<Outcome>,
    detach: fn(u32, Joined),
    drop_owner: fn(Pool),
    has_stop_hook: bool,
}

/// Breaks nothing: what the others are made of must have no figure.
const SOUND: Break = Break {
    name: "sound",
    figures: &[],
    lifecycles: "3000",
    patience: "2",
    schedule: |_, pool, task| pool.schedule(task),
    poll: |_, job, cx| job.as_mut().poll(cx),
    drop_job: |_, job| drop(job),
    join: |_, handle, cx| Pin::new(handle).poll(cx),
    detach: |_, handle| handle.detach(),
    drop_owner: |pool| drop(pool),
    has_stop_hook: true,
};

const BREAKS: [Break; 16] = [
    SOUND,
    Break {
        name: "loses-wakes",
        figures: &["lost wakes", "hangs"],
        // Dropped, the task would end.
        schedule: |nth, pool, task| if is_one(nth) { forget(task) } else { pool.schedule(task) },
        ..SOUND
    },
    Break {
        name: "polls-twice",
        figures: &["double polls"],
        poll: |nth, job, cx| {
            let polled = job.as_mut().poll(cx);
            if polled.is_ready() && is_one(nth) {
                assert!(job.as_mut().poll(cx).is_pending());
            }
            polled
        },
        ..SOUND
    },
    Break {
        name: "leaks-tasks",
        figures: &["missing drops", "live cells above the start"],
        lifecycles: "300",
        drop_job: |nth, job| if is_one(nth) { forget(job) } else { drop(job) },
        ..SOUND
    },
    Break {
        name: "drops-elsewhere",
        figures: &["drops on a wrong thread"],
        drop_job: |nth, job| {
            if is_one(nth) {
                // A planned panic in the drop ends with that thread.
                let _ = thread::spawn(move || drop(job)).join();
            }
        },
        ..SOUND
    },
    Break {
        name: "never-resolves",
        figures: &["handles that never resolve"],
        lifecycles: "300",
        join: |nth, handle, cx| if is_one(nth) { Poll::Pending } else { Pin::new(handle).poll(cx) },
        ..SOUND
    },
    Break {
        name: "loses-outputs",
        figures: &["outputs not delivered"],
        join: |nth, handle, cx| {
            let polled = Pin::new(handle).poll(cx);
            if polled.is_ready() && is_one(nth) { Poll::Ready(Outcome::Cancelled) } else { polled }
        },
        ..SOUND
    },
    Break {
        name: "hides-panics",
        figures: &["handles with a wrong result"],
        join: |_, handle, cx| {
            Pin::new(handle).poll(cx).map(|outcome| match outcome {
                Outcome::Panicked(_) => Outcome::Cancelled,
                other => other,
            })
        },
        ..SOUND
    },
    Break {
        name: "panics-by-itself",
        figures: &["unplanned panics"],
        poll: |nth, job, cx| {
            assert!(!is_one(nth), "an executor's own panic");
            job.as_mut().poll(cx)
        },
        ..SOUND
    },
    Break {
        name: "lets-panics-escape",
        figures: &["panics of a task's that escaped to others"],
        detach: |nth, handle| {
            handle.detach();
            Planned::panic(nth)
        },
        ..SOUND
    },
    Break {
        name: "leaks-memory",
        figures: &["bytes a 1,000 tasks by which memory grows (under 1)"],
        // A slope needs a number of epochs.
        lifecycles: "40000",
        detach: |_, handle| {
            handle.detach();
            forget(std::hint::black_box(Box::new([0_u8; 1000])));
        },
        ..SOUND
    },
    Break {
        name: "leaks-threads",
        figures: &["threads above the start"],
        lifecycles: "100",
        drop_owner: |pool| {
            drop(pool);
            let _ = thread::spawn(|| thread::sleep(Duration::from_secs(20)));
        },
        ..SOUND
    },
    Break {
        name: "leaks-files",
        figures: &["file descriptors above the start"],
        lifecycles: "100",
        drop_owner: |pool| {
            drop(pool);
            forget(std::fs::File::open("/proc/self/stat").unwrap());
        },
        ..SOUND
    },
    Break {
        name: "takes-its-time",
        figures: &["shutdowns over 2 s"],
        lifecycles: "100",
        // A slow shutdown is no hang.
        patience: "10",
        drop_owner: |pool| {
            drop(pool);
            thread::sleep(Duration::from_millis(2100));
        },
        ..SOUND
    },
    Break { name: "unhooks-threads", figures: &["thread hooks out of balance"], has_stop_hook: false, ..SOUND },
    NEVER_SHUTS_DOWN,
];

/// Can't be judged: the soak must say where it hangs, and end the process.
const NEVER_SHUTS_DOWN: Break = Break {
    name: "never-shuts-down",
    drop_owner: |_pool| loop {
        thread::park();
    },
    ..SOUND
};

/// Whether a task is one of the few that are mistreated.
fn is_one(nth: u32) -> bool {
    nth % 40 == 39
}

/// A pool that is broken as `BREAKS[N]` says.
struct Broken<const N: usize>(Option<Pool>);

impl<const N: usize> Broken<N> {
    fn pool(&self) -> &Pool {
        self.0.as_ref().expect("not dropped")
    }
}

#[derive(Clone)]
struct Spawns<const N: usize>(PoolHandle, Arc<Counts>);

#[derive(Default)]
struct Counts {
    spawns: AtomicU32,
    schedules: AtomicU32,
}

impl<const N: usize> Executor for Spawns<N> {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        self.0.submit(task)
    }

    fn schedule(&self, task: Task) {
        (BREAKS[N].schedule)(self.1.schedules.fetch_add(1, Relaxed), &self.0, task);
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        self.0.drive(future);
    }
}

impl<const N: usize> Subject for Broken<N> {
    const NAME: &'static str = BREAKS[N].name;
    const WINDOW: usize = 64;
    const EPOCH: u32 = 100;
    const LEFT_OUT: &'static [(Fault, &'static str)] = &[(Fault::LocalFuture, "its tasks go from thread to thread")];
    type Spawner = Spawns<N>;

    fn start(threads: Threads) -> io::Result<Self> {
        let Threads { workers, on_start, on_stop } = threads;
        let mut builder = Pool::builder().worker_threads(workers).on_thread_start(move || on_start());
        if BREAKS[N].has_stop_hook {
            builder = builder.on_thread_stop(move || on_stop());
        }
        Ok(Self(Some(builder.build()?)))
    }

    fn spawner(&self) -> Spawns<N> {
        Spawns(self.pool().handle(), Arc::default())
    }
}

impl<const N: usize> Drop for Broken<N> {
    fn drop(&mut self) {
        (BREAKS[N].drop_owner)(self.0.take().expect("dropped once"));
    }
}

impl<const N: usize> Spawner for Spawns<N> {
    type Handle = BrokenHandle<N>;

    fn spawn_job(&self, job: Job<Self>) -> BrokenHandle<N> {
        let nth = self.1.spawns.fetch_add(1, Relaxed);
        let handle = self.spawn(BrokenJob::<N> { nth, job: Some(Box::pin(job)) });
        BrokenHandle { nth, handle: handle.into() }
    }
}

struct BrokenJob<const N: usize> {
    nth: u32,
    job: Option<BoxedJob>,
}

impl<const N: usize> Future for BrokenJob<N> {
    type Output = Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Output> {
        (BREAKS[N].poll)(self.nth, self.job.as_mut().expect("not dropped"), cx)
    }
}

impl<const N: usize> Drop for BrokenJob<N> {
    fn drop(&mut self) {
        (BREAKS[N].drop_job)(self.nth, self.job.take().expect("dropped once"));
    }
}

struct BrokenHandle<const N: usize> {
    nth: u32,
    handle: Joined,
}

impl<const N: usize> Handle for BrokenHandle<N> {
    fn aborter(&self) -> AbortHandle {
        self.handle.aborter()
    }

    fn detach(self) {
        (BREAKS[N].detach)(self.nth, self.handle);
    }

    fn join(self) -> Outcome {
        self.handle.join()
    }
}

impl<const N: usize> Future for BrokenHandle<N> {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        (BREAKS[N].join)(self.nth, &mut self.handle, cx)
    }
}

macro_rules! entries {
    ($($number:literal)*) => { [$(Entry::of::<Broken<$number>>()),*] };
}

/// Tells a process that it is the soak of this executor.
const CHILD: &str = "POLYEXEC_SOAK_CANARY";

fn main() -> ExitCode {
    let entries: [Entry; BREAKS.len()] = entries!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    if let Some(name) = std::env::var_os(CHILD) {
        let entry = entries.iter().find(|entry| name == entry.name).expect("one of these");
        return polyexec_soak::program("", std::env::args_os().skip(1), std::slice::from_ref(entry)).into();
    }
    // As with any other test, an argument that isn't an option is a part of a name.
    let wanted: Vec<_> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| name.contains(wanted));
    // Each in a process of its own, which mostly waits: all at once.
    let results = thread::scope(|scope| {
        let wanted = BREAKS.into_iter().filter(|canary| is_wanted(canary.name));
        let canaries: Vec<_> = wanted.map(|canary| scope.spawn(move || check(&canary))).collect();
        canaries.into_iter().map(|canary| canary.join()).collect::<Vec<_>>()
    });
    let are_well = results.iter().all(Result::is_ok);
    results.into_iter().flatten().for_each(|line| println!("canary {line} ... ok"));
    if are_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Checks that the soak reports the canary's figures and fails, or that it has none. Panics otherwise.
fn check(canary: &Break) -> String {
    let (code, table, errors) = soak(canary);
    let name = canary.name;
    if name == NEVER_SHUTS_DOWN.name {
        assert_eq!(code, Some(1), "{table}{errors}");
        assert!(errors.contains("hang: never-shuts-down, seed 7, epoch 0"), "{errors}");
        assert!(errors.contains("DroppingTheOwner"), "{errors}");
        return format!("{name}: a hang, with its seed and epoch");
    }
    assert_eq!(code, Some(i32::from(!canary.figures.is_empty())), "{name}: {table}{errors}");
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let value = |figure: &str| {
        let row = table.lines().map(cells).find(|row| row.get(1).is_some_and(|what| what == figure));
        let value = row.map(|row| row[2].clone()).unwrap_or_else(|| panic!("{name}: {table}{errors}"));
        assert!(!["0", "0.00", "too short a run"].contains(&value.as_str()), "{name}: {figure} is {value}\n{table}");
        format!("{figure}: {value}")
    };
    let figures: Vec<_> = canary.figures.iter().map(|figure| value(figure)).collect();
    format!("{name}: {}", if figures.is_empty() { "no figure".into() } else { figures.join(", ") })
}

/// The soak of a canary in a process of its own: its exit code, and what it printed.
fn soak(canary: &Break) -> (Option<i32>, String, String) {
    let output = Command::new(std::env::current_exe().expect("the path of this program"))
        .args(["--executor", canary.name, "--seed", "7", "--lifecycles", canary.lifecycles])
        .args(["--patience", canary.patience])
        .env(CHILD, canary.name)
        .output()
        .expect("this program starts again");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}
