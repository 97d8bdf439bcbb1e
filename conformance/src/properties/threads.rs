//! Properties 69 to 71: an executor's threads, the process's resources, and thread-locals.

use std::cell::RefCell;
use std::collections::HashSet;
use std::future::{pending, poll_fn};
use std::hint::black_box;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread::{self, ThreadId};
use std::time::Instant;

use polyexec_core::{Executor, JoinHandle};
use polyexec_futures::yield_now;

use crate::probe::{Gate, Tally, WakerSlot, on_foreign_thread, poll_with};
use crate::run::{PATIENCE, isolated};
use crate::{Fixture, Subject, ThreadOptions};

/// The number of threads of this process. (A list from /proc/self/task may lack some if another thread ends meanwhile.)
pub(crate) fn threads() -> usize {
    status("Threads")
}

/// Waits until the process has at most this many threads. The system counts a joined thread for another moment.
pub(crate) fn threads_settle_at(expected: usize) {
    let patience = Instant::now() + PATIENCE / 4;
    while threads() > expected && Instant::now() < patience {
        thread::yield_now();
    }
    assert_eq!(threads(), expected, "threads of this process, and what they should come back to");
}

/// The memory that this process uses, in bytes.
pub(crate) fn resident_bytes() -> usize {
    status("VmRSS") << 10
}

/// A number from /proc/self/status.
fn status(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status");
    let status = status.expect("threads and memory are counted in /proc; leave the property out where there is none");
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let number = value.and_then(|value| value.split_whitespace().next()?.parse().ok());
    number.unwrap_or_else(|| panic!("no number {name} in /proc/self/status"))
}

/// The number of open files of this process.
pub(crate) fn open_files() -> usize {
    let files = std::fs::read_dir("/proc/self/fd");
    files.expect("files are counted in /proc; leave the property out where there is none").count()
}

/// What the hooks of an executor saw.
#[derive(Clone, Default)]
struct Hooks {
    started: Arc<Mutex<Vec<ThreadId>>>,
    stopped: Arc<Mutex<Vec<ThreadId>>>,
}

impl Hooks {
    /// Threads called `name`, with stacks of `stack_size` bytes, on which the hooks take notes and then call `also`.
    fn options(&self, name: &str, stack_size: usize, also: fn()) -> ThreadOptions {
        let note = |noted: &Arc<Mutex<Vec<ThreadId>>>| {
            let (noted, name) = (noted.clone(), name.to_owned());
            Arc::new(move || {
                let thread = thread::current();
                // A wrong name is as good as no hook.
                if thread.name().is_some_and(|full| full.starts_with(&name)) {
                    noted.lock().unwrap().push(thread.id());
                }
                also();
            })
        };
        ThreadOptions { name: name.to_owned(), stack_size, on_start: note(&self.started), on_stop: note(&self.stopped) }
    }

    /// Asserts that each thread started once and stopped once, `seen` among them.
    fn assert_balanced(&self, seen: &HashSet<ThreadId>) {
        let mut started = self.started.lock().unwrap().clone();
        let mut stopped = self.stopped.lock().unwrap().clone();
        let threads: HashSet<_> = started.iter().copied().collect();
        assert_eq!(threads.len(), started.len(), "a thread started twice");
        assert!(seen.is_subset(&threads), "a task ran on a thread whose start hook wasn't called");
        started.sort_unstable_by_key(|id| format!("{id:?}"));
        stopped.sort_unstable_by_key(|id| format!("{id:?}"));
        assert_eq!(started, stopped, "threads that started, and threads that stopped");
    }
}

/// Uses this many bytes of the stack, counted from a variable at the address `from`.
fn use_stack(bytes: usize, from: usize) -> u8 {
    let mut frame = [1_u8; 4096];
    let here = black_box(&mut frame).as_ptr() as usize;
    if here.abs_diff(from) < bytes {
        frame[0] = use_stack(bytes, from);
    }
    black_box(&frame)[0]
}

pub(crate) fn p69_names_stack_sizes_and_hooks(subject: &Subject) {
    // In a process of its own, since a stack that is too small ends it.
    isolated(subject, "p69_names_stack_sizes_and_hooks", || {
        configured_threads(subject, || {});
        if cfg!(panic = "unwind") {
            configured_threads(subject, || resume_unwind(Box::new("a hook panics")));
        }
    });
}

fn configured_threads(subject: &Subject, also: fn()) {
    const NAME: &str = "p69-thread";
    /// In bytes: more than a thread has by default. A task uses most of it.
    const STACK: usize = 12 << 20;
    const USED: usize = 10 << 20;

    let hooks = Hooks::default();
    let executor = subject
        .start_with(hooks.options(NAME, STACK, also))
        .expect("its threads can't be configured: leave this property out")
        .expect("an executor with configured threads");
    let task = async || {
        yield_now().await;
        let here = 0_u8;
        use_stack(USED, &raw const here as usize);
        let thread = thread::current();
        (thread.name().map(ToOwned::to_owned), thread.id())
    };
    let tasks: Vec<_> = (0..20).map(|_| executor.handle().spawn(async move { task().await })).collect();
    let mut seen = HashSet::new();
    for task in tasks {
        // Plainly blocked, this thread runs no tasks: they run on the executor's.
        let (name, thread) = task.join().unwrap();
        assert!(name.as_deref().is_some_and(|name| name.starts_with(NAME)), "a thread is called {name:?}");
        seen.insert(thread);
    }
    executor.shut_down();
    assert!(!seen.is_empty());
    hooks.assert_balanced(&seen);
}

/// Parts of an executor that a thread-local holds, and uses when its thread ends.
struct AtExit {
    executor: Arc<dyn Executor>,
    /// The waker of a task that opens `woken`.
    waker: Waker,
    woken: Gate,
    /// Opened by the spawned task.
    spawned: Gate,
    /// The handle of an idle task.
    joined: JoinHandle<()>,
    exits: Tally,
}

impl Drop for AtExit {
    fn drop(&mut self) {
        self.waker.wake_by_ref();
        let spawned = self.spawned.clone();
        drop(self.executor.spawn(async move { spawned.open() }));
        // On whatever executor this thread still knows, if any.
        drop(polyexec_core::spawn(async {}));
        let rests = match poll_with(&mut self.joined, Waker::noop()) {
            Poll::Pending => true,
            Poll::Ready(result) => result.is_err_and(|error| error.is_shutdown()),
        };
        self.joined.abort();
        if rests {
            self.exits.add();
        }
    }
}

thread_local! {
    static AT_EXIT: RefCell<Vec<AtExit>> = const { RefCell::new(Vec::new()) };
}

pub(crate) fn p70_wakers_and_executors_survive_in_thread_local_destructors(subject: &Subject) {
    in_the_executors_threads(subject);
    in_a_foreign_thread(subject);
}

/// Each task stores a value in its thread's locals. The executor's end drops them all at the latest.
fn in_the_executors_threads(subject: &Subject) {
    const TASKS: usize = 8;
    let exits = Tally::new();
    let life = || {
        let executor = subject.start();
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let at_exit = executor.block_on(at_exit(&executor.handle(), &exits));
                executor.handle().spawn(async move {
                    AT_EXIT.with_borrow_mut(|held| held.push(at_exit));
                    yield_now().await;
                })
            })
            .collect();
        executor.block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
        });
        executor.shut_down();
    };
    // This thread may run the tasks itself: so it ends, too.
    thread::scope(|scope| scope.spawn(life).join()).unwrap_or_else(|panic| resume_unwind(panic));
    assert_eq!(exits.get(), TASKS, "thread-locals that were destroyed");
}

/// A foreign thread ends while the executor lives.
fn in_a_foreign_thread(subject: &Subject) {
    let executor = subject.start();
    let exits = Tally::new();
    for first in ["the executor", "the thread-local"] {
        let left = executor.block_on(at_exit(&executor.handle(), &exits));
        let (spawned, woken) = (left.spawned.clone(), left.woken.clone());
        on_foreign_thread(&executor, move |handle| {
            // What the thread uses first is destroyed last, or the other way round, as the system has it.
            if first == "the executor" {
                handle.block_on(async {});
            }
            AT_EXIT.with_borrow_mut(|held| held.push(left));
            handle.block_on(async {});
        });
        executor.block_on(async {
            spawned.opened().await;
            woken.opened().await;
        });
    }
    assert_eq!(exits.get(), 2, "thread-locals that were destroyed");
}

/// Parts of an executor for a thread to use at its end. The executor drives its tasks meanwhile.
async fn at_exit(executor: &Arc<dyn Executor>, exits: &Tally) -> AtExit {
    let (slot, woken) = (WakerSlot::new(), Gate::new());
    let woken_later = {
        let (slot, woken) = (slot.clone(), woken.clone());
        let mut polled = false;
        poll_fn(move |cx| {
            if polled {
                woken.open();
                return Poll::Ready(());
            }
            polled = true;
            slot.put(cx.waker().clone());
            Poll::Pending
        })
    };
    drop(executor.spawn(woken_later));
    while slot.get().is_none() {
        yield_now().await;
    }
    AtExit {
        executor: executor.clone(),
        waker: slot.take().expect("it was put there"),
        woken,
        spawned: Gate::new(),
        joined: executor.spawn(pending()),
        exits: exits.clone(),
    }
}

pub(crate) fn p71_the_thread_count_returns_to_where_it_was(subject: &Subject) {
    isolated(subject, "p71_the_thread_count_returns_to_where_it_was", || {
        let before = threads();
        for round in 0..20 {
            let executor = subject.start();
            some_tasks(&executor);
            if round % 2 == 0 {
                executor.shut_down();
            } else {
                // In a task: the threads are not joined, but they end.
                let (handle, shut_down) = executor.into_shut_down();
                let task = handle.spawn(async move { shut_down() });
                handle.block_on(task).unwrap();
            }
            threads_settle_at(before);
        }
    });
}

/// Tasks that end, that block, and that are idle.
fn some_tasks(executor: &Fixture) {
    let handle = executor.handle();
    let blocking: Vec<_> = (0..4)
        .map(|_| {
            let inner = handle.clone();
            handle.spawn(async move { inner.spawn(yield_now()).join().unwrap() })
        })
        .collect();
    executor.block_on(async {
        for task in blocking {
            task.await.unwrap();
        }
        for _ in 0..4 {
            drop(handle.spawn(pending::<()>()));
        }
        yield_now().await;
    });
}
