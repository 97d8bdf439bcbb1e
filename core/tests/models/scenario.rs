//! Interprets a scenario: a task in some state, and threads of which each does one thing to it. `wakes`, `handles` and `table`
//! list them.
//!
//! Afterwards the task must have ended as the scenario allows, its future and output be dropped once, and its table be empty.

use std::future::{pending, poll_fn};
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Waker;

use loom::sync::Arc;
use loom::thread;
use polyexec_core::executor::Task;
use polyexec_core::modelled::{AtomicBool, Drops, Token, check_fewer};
use polyexec_core::{AbortHandle, JoinHandle};

use crate::common::{Queue, Slot, flag, result, until};

/// A row of the table of scenarios.
pub(crate) struct Scenario {
    pub(crate) runs: &'static [Runs],
    /// Preemptions fewer than usual, where there are too many ways.
    pub(crate) fewer: usize,
    pub(crate) start: Start,
    /// A thread each, of which the model's own does the last.
    pub(crate) acts: &'static [Act],
    /// How the task may end. Without a handle it isn't seen.
    pub(crate) ends: &'static [End],
}

/// How the task is run: by `Task::run`, or through a table.
#[derive(Clone, Copy)]
pub(crate) enum Runs {
    Plain,
    InTable,
}

/// The state of the task when the threads start.
#[derive(Clone, Copy)]
pub(crate) enum Start {
    New(Future),
    Idle(Future),
    /// Its `Task` is in a thread's hands.
    Woken(Future),
}

#[derive(Clone, Copy)]
pub(crate) enum Future {
    /// Ready when this many flags are up: each [`Act::Wake`] raises one.
    Until(usize),
    /// As `Until(1)`; wakes itself in its first poll.
    UntilWakingItself,
    Ready,
    Never,
    Panics,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Runs the `Task` until it waits or has ended.
    Run,
    DropTask,
    /// Raises a flag, wakes, and runs what it woke. Only a wake that orders the flag shows it.
    Wake,
    /// Wakes, and runs what it woke.
    WakeForNothing,
    /// Wakes a task that must not be queued by that.
    WakeInVain,
    DropWaker,
    /// Aborts, and runs what it woke.
    Abort,
    /// Looks through an abort handle, and drops that.
    IsFinished,
    /// Blocks. A lost wake is a deadlock.
    Join,
    DropHandle,
    /// Closes the table.
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Output,
    Cancelled,
    ShutDown,
    Panicked,
}

/// Makes a test of each scenario: how the task is run, its start, what each thread does, and how the task may end.
macro_rules! scenarios {
    ($(
        $(#[$doc:meta])*
        $name:ident $(, $fewer:literal fewer)?: $($runs:ident)*, $start:expr, [$($act:ident),*] => [$($end:ident),*];
    )*) => {$(
        $(#[$doc])*
        #[test]
        fn $name() {
            #[allow(unused_imports)]
            use $crate::scenario::{Act, End, Future::*, Runs, Scenario, Start::*};
            let scenario = Scenario {
                runs: &[$(Runs::$runs),*],
                fewer: 0 $(+ $fewer)?,
                start: $start,
                acts: &[$(Act::$act),*],
                ends: &[$(End::$end),*],
            };
            scenario.check(stringify!($name));
        }
    )*};
}
pub(crate) use scenarios;

type Output = Option<Token>;
type Boxed = Pin<Box<dyn std::future::Future<Output = Output> + Send>>;

/// What one thread has in hand.
struct Hands {
    queue: Queue,
    task: Option<Task>,
    flag: Option<Arc<AtomicBool>>,
    waker: Option<Waker>,
    /// Where the first poll of a new task leaves its waker.
    slot: Slot,
    abort_handle: Option<AbortHandle>,
    handle: Option<JoinHandle<Output>>,
}

impl Scenario {
    pub(crate) fn check(self, name: &str) {
        let Self { runs, fewer, start, acts, ends } = self;
        let name = name.replace('_', " ");
        for runs in runs {
            match runs {
                Runs::Plain => check_fewer(&name, fewer, move || run(&Queue::new(), start, acts, ends)),
                Runs::InTable => check_fewer(&format!("{name}, in a table"), fewer, move || {
                    run(&Queue::with_table(), start, acts, ends);
                }),
            }
        }
    }
}

fn run(queue: &Queue, start: Start, acts: &[Act], ends: &[End]) {
    let (flags, slot) = ([flag(), flag()], Slot::default());
    let (futures, outputs) = (Drops::default(), Drops::default());
    let (Start::New(kind) | Start::Idle(kind) | Start::Woken(kind)) = start;
    let future = kind.boxed(&flags, &slot, &futures, &outputs);
    let (mut task, handle) = match start {
        Start::New(_) => {
            let (task, handle) = queue.spawn(future);
            (Some(task), handle)
        }
        Start::Idle(_) | Start::Woken(_) => (None, queue.idle(future)),
    };
    let mut waker = slot.try_take();
    if let Start::Woken(_) = start {
        task = Some(queue.woken(waker.as_ref().expect("it was polled")));
    }

    let (mut flags, mut handle) = (flags.iter(), Some(handle));
    let last_with_waker = acts.iter().rposition(|act| act.needs_waker());
    // What a thread needs is made when the ones before it run already: that races with them, too.
    let mut hands = acts.iter().enumerate().map(|(place, act)| Hands {
        queue: queue.clone(),
        task: task.take_if(|_| matches!(act, Act::Run | Act::DropTask)),
        flag: if *act == Act::Wake { flags.next().cloned() } else { None },
        waker: match act.needs_waker() {
            true if last_with_waker == Some(place) => waker.take(),
            true => waker.clone(),
            false => None,
        },
        slot: slot.clone(),
        abort_handle: if act.needs_abort_handle() { handle.as_ref().map(JoinHandle::abort_handle) } else { None },
        handle: handle.take_if(|_| matches!(act, Act::Join | Act::DropHandle)),
    });
    let (own, others) = acts.split_last().expect("a scenario has acts");
    let others: Vec<_> =
        others.iter().zip(&mut hands).map(|(&act, hands)| thread::spawn(move || hands.perform(act))).collect();
    hands.next().expect("one for each act").perform(*own);
    others.into_iter().for_each(|other| other.join().unwrap());
    drop(waker);

    if let Some(handle) = handle {
        let end = match result(handle) {
            Ok(_) => End::Output,
            Err(error) if error.is_panic() => End::Panicked,
            Err(error) if error.is_shutdown() => End::ShutDown,
            Err(error) if error.is_cancelled() => End::Cancelled,
            Err(error) => panic!("{error}"),
        };
        assert!(ends.contains(&end), "{end:?}");
    }
    let has_output = !matches!(kind, Future::Never | Future::Panics);
    assert_eq!((futures.count(), outputs.count()), (1, usize::from(has_output)));
    assert!(!queue.has_table() || queue.table().is_empty());
}

impl Future {
    fn boxed(self, flags: &[Arc<AtomicBool>; 2], slot: &Slot, futures: &Drops, outputs: &Drops) -> Boxed {
        match self {
            Self::Until(count) => {
                let future = until(&flags[..count], slot, futures, outputs);
                Box::pin(async move { Some(future.await) })
            }
            Self::UntilWakingItself => {
                let mut future = Box::pin(until(&flags[..1], slot, futures, outputs));
                let mut own_wakes = 1;
                Box::pin(poll_fn(move |cx| {
                    let polled = future.as_mut().poll(cx).map(Some);
                    if polled.is_pending() && own_wakes > 0 {
                        own_wakes -= 1;
                        cx.waker().wake_by_ref();
                    }
                    polled
                }))
            }
            Self::Ready => {
                let (future, output) = (futures.token(), outputs.token());
                Box::pin(async move {
                    let _future = future;
                    Some(output)
                })
            }
            Self::Never => {
                let future = futures.token();
                Box::pin(async move {
                    let _future = future;
                    pending().await
                })
            }
            Self::Panics => {
                let (future, slot) = (futures.token(), slot.clone());
                Box::pin(poll_fn(move |cx| {
                    let _future = &future;
                    slot.fill(cx);
                    resume_unwind(Box::new("meant"))
                }))
            }
        }
    }
}

impl Act {
    fn needs_waker(self) -> bool {
        matches!(self, Self::Wake | Self::WakeForNothing | Self::WakeInVain | Self::DropWaker)
    }

    fn needs_abort_handle(self) -> bool {
        matches!(self, Self::Abort | Self::IsFinished)
    }
}

impl Hands {
    fn perform(mut self, act: Act) {
        match act {
            Act::Run => self.queue.run(self.task.take().expect("one thread runs the task")),
            Act::DropTask => drop(self.task.take()),
            Act::Wake => {
                let waker = self.waker();
                self.flag.take().into_iter().for_each(|flag| flag.store(true, Relaxed));
                waker.wake();
                self.queue.run_woken();
            }
            Act::WakeForNothing => {
                self.waker().wake();
                self.queue.run_woken();
            }
            Act::WakeInVain => {
                self.waker().wake();
                assert!(self.queue.take().is_none(), "it has two `Task`s");
            }
            Act::DropWaker => drop(self.waker()),
            Act::Abort => {
                self.abort_handle.take().expect("it was made").abort();
                self.queue.run_woken();
            }
            Act::IsFinished => {
                let _ = self.abort_handle.take().expect("it was made").is_finished();
            }
            Act::Join => drop(self.handle.take().expect("one thread joins").join().ok().expect("an output")),
            Act::DropHandle => drop(self.handle.take()),
            Act::Close => self.queue.table().close(),
        }
    }

    fn waker(&mut self) -> Waker {
        self.waker.take().unwrap_or_else(|| self.slot.wait())
    }
}
