//! Children that borrow, and all that could make them outlive what they borrow: wakers, handles, panics, and executors that
//! misbehave. What holds on every executor is in the conformance suite; here the sanitizers and Miri watch the borrows.

use std::future::{pending, poll_fn, ready};
use std::mem::forget;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;

use polyexec_core::executor::{OwnedTasks, Ran, Rejected, Task, context};
use polyexec_core::task::{Scope, ScopedJoinHandle};
use polyexec_core::{Executor, Handle, block_on, yield_now};

/// An executor of one thread, which misbehaves as its fields say.
#[derive(Clone, Default)]
struct Mine {
    queue: Arc<Mutex<Option<Sender<Task>>>>,
    tasks: Arc<OwnedTasks>,
    /// From the second call on: counts the calls.
    submit_panics: Option<Arc<AtomicUsize>>,
    drive: Drive,
}

#[derive(Clone, Copy, Default)]
enum Drive {
    #[default]
    Whole,
    /// Polls once, and returns.
    ReturnsEarly,
    /// Polls once, and panics.
    PanicsLate,
    /// Panics without a poll.
    PanicsEarly,
}

impl Mine {
    fn start() -> Self {
        let this = Self::default();
        let (sender, queue) = mpsc::channel();
        *this.queue.lock().unwrap() = Some(sender);
        let runner = this.clone();
        // Ends when the queue is closed.
        thread::spawn(move || runner.run(&queue));
        this
    }

    fn run(&self, queue: &Receiver<Task>) {
        let _context = context::reside(Handle::new(self.clone()));
        for task in queue {
            if let Ran::Again(task) = self.tasks.run(task) {
                self.schedule(task);
            }
        }
    }

    fn that_drives(drive: Drive) -> Self {
        Self { drive, ..Self::start() }
    }

    fn shut_down(&self) {
        self.tasks.close();
        self.queue.lock().unwrap().take();
    }
}

impl Executor for Mine {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        if let Some(calls) = &self.submit_panics
            && calls.fetch_add(1, SeqCst) > 0
        {
            panicks();
        }
        let task = self.tasks.admit(task)?;
        self.schedule(task);
        Ok(())
    }

    fn schedule(&self, task: Task) {
        let queue = self.queue.lock().unwrap().clone();
        drop(queue.map(|queue| queue.send(task)));
    }

    fn drive(&self, mut future: Pin<&mut dyn Future<Output = ()>>) {
        let _context = context::enter(Handle::new(self.clone()));
        let mut once = || _ = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        match self.drive {
            Drive::Whole => block_on(future),
            Drive::ReturnsEarly => once(),
            Drive::PanicsLate => {
                once();
                panicks();
            }
            Drive::PanicsEarly => panicks(),
        }
    }
}

/// Panics without a call of the panic hook.
fn panicks() -> ! {
    resume_unwind(Box::new("on purpose"))
}

fn caught<T>(run: impl FnOnce() -> T) -> &'static str {
    let Err(payload) = catch_unwind(AssertUnwindSafe(run)) else { panic!("it didn't panic") };
    payload.downcast_ref::<&'static str>().expect("a panic of ours")
}

/// Counts its drops, in a place that is borrowed.
struct Counts<'a>(&'a AtomicUsize);

impl Drop for Counts<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn children_change_what_they_borrow() {
    let executor = Mine::start();
    let mut numbers = vec![1, 2, 3];
    // On the heap, so that a use after the scope is a use after free.
    let mut exclusive = Box::new(0);
    let text = String::from("text");
    let last = executor.scope(|s| {
        for number in &mut numbers {
            s.spawn(async {
                yield_now().await;
                *number *= 2;
            });
        }
        s.spawn(async { *exclusive = 7 });
        let slice = s.spawn(async { &text[1..] });
        block_on(slice).unwrap()
    });
    assert_eq!((&numbers[..], *exclusive, last), (&[2, 4, 6][..], 7, "ext"));
    executor.shut_down();
}

#[test]
fn a_child_spawns_others_and_waits_for_them() {
    fn tree<'scope>(s: &'scope Scope<'scope, '_>, leaves: &'scope AtomicUsize, depth: u32) {
        for _ in 0..2 {
            s.spawn(async move {
                match depth {
                    0 => _ = leaves.fetch_add(1, SeqCst),
                    _ => tree(s, leaves, depth - 1),
                }
            });
        }
    }
    let executor = Mine::start();
    let leaves = AtomicUsize::new(0);
    executor.scope(|s| tree(s, &leaves, 5));
    assert_eq!(leaves.into_inner(), 64);

    let number = Box::new(0);
    let sum = executor.scope(|s| {
        let inner = s.spawn(async { &*number });
        let outer = s.spawn(async move { *inner.await.unwrap() + 1 });
        outer.join().unwrap()
    });
    assert_eq!(sum, 1);
    executor.shut_down();
}

#[test]
fn large_and_small_futures_and_outputs_borrow() {
    let executor = Mine::start();
    let seven = Box::new(7_u8);
    let sum = executor.scope(|s| {
        let large = s.spawn(async {
            let state = [*seven; 100 << 10];
            yield_now().await;
            state
        });
        let empty = s.spawn(async {});
        empty.join().unwrap();
        large.join().unwrap().iter().map(|byte| usize::from(*byte)).sum::<usize>()
    });
    assert_eq!(sum, 7 * (100 << 10));
    executor.shut_down();
}

#[test]
fn wakers_and_abort_handles_may_outlive_the_scope() {
    let executor = Mine::start();
    let (mut wakers, mut aborts) = (Vec::new(), Vec::new());
    {
        let drops = Box::new(AtomicUsize::new(0));
        let wakes = Mutex::new(&mut wakers);
        executor.scope(|s| {
            for _ in 0..20 {
                let counts = Counts(&drops);
                let wakes = &wakes;
                let child = s.spawn(async move {
                    let _counts = counts;
                    poll_fn(|cx| {
                        wakes.lock().unwrap().push(cx.waker().clone());
                        Poll::Ready(())
                    })
                    .await;
                    yield_now().await;
                });
                aborts.push(child.abort_handle());
            }
        });
        assert_eq!(drops.load(SeqCst), 20);
    }
    wakers.iter().for_each(Waker::wake_by_ref);
    for abort in aborts {
        abort.abort();
        // The child's future is gone when the scope ends, and its task a moment later.
        while !abort.is_finished() {
            thread::yield_now();
        }
    }
    drop(wakers);
    executor.shut_down();
}

#[test]
fn forgotten_handles_make_no_child_outlive_the_scope() {
    let executor = Mine::start();
    for _ in 0..100 {
        let (number, drops) = (Box::new(7), AtomicUsize::new(0));
        executor.scope(|s| {
            let counts = Counts(&drops);
            forget(s.spawn(async {
                let _counts = counts;
                yield_now().await;
                &number
            }));
        });
        assert_eq!(drops.load(SeqCst), 1);
    }
    executor.shut_down();
}

#[test]
fn handles_in_a_cycle_leak_at_most() {
    let executor = Mine::start();
    let ended = AtomicUsize::new(0);
    executor.scope(|s| {
        // Each child's handle is in what both children share.
        let handles = Arc::new(Mutex::new(Vec::<ScopedJoinHandle<'_, &AtomicUsize>>::new()));
        for _ in 0..2 {
            let (cycle, ended) = (handles.clone(), &ended);
            let child = s.spawn(async move {
                let _cycle = cycle;
                yield_now().await;
                ended.fetch_add(1, SeqCst);
                ended
            });
            handles.lock().unwrap().push(child);
        }
    });
    assert_eq!(ended.load(SeqCst), 2);
    executor.shut_down();
}

/// For each misbehaving `drive`: the child ends before the scope does.
#[test]
fn an_executor_that_stops_driving_ends_no_scope_early() {
    for drive in [Drive::ReturnsEarly, Drive::PanicsLate] {
        for _ in 0..50 {
            let executor = Mine::that_drives(drive);
            let drops = Box::new(AtomicUsize::new(0));
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                executor.scope(|s| {
                    for _ in 0..3 {
                        let counts = Counts(&drops);
                        s.spawn(async move {
                            for _ in 0..10 {
                                yield_now().await;
                            }
                            drop(counts);
                        });
                    }
                    7
                })
            }));
            assert_eq!(drops.load(SeqCst), 3);
            assert_eq!(outcome.ok(), matches!(drive, Drive::ReturnsEarly).then_some(7));
            executor.shut_down();
        }
    }
}

#[test]
fn an_executor_that_drives_nothing_calls_no_body() {
    let executor = Mine::that_drives(Drive::PanicsEarly);
    assert_eq!(caught(|| executor.scope(|_| panic!("it was called"))), "on purpose");
    executor.shut_down();
}

#[test]
fn a_refused_child_has_ended_and_its_handle_says_why() {
    let executor = Mine::start();
    executor.shut_down();
    let drops = AtomicUsize::new(0);
    let counts = Counts(&drops);
    let error = executor.scope(|s| s.spawn(async move { drop(counts) }).join()).unwrap_err();
    assert!(error.is_shutdown(), "{error}");
    assert_eq!(drops.load(SeqCst), 1);
}

/// What a child was to do isn't done then, and without a handle its scope alone can tell.
#[test]
fn a_child_that_is_refused_or_dropped_without_a_handle_is_a_panic_of_its_scope() {
    let lost = |run: &dyn Fn()| {
        let payload = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
        let message = payload.downcast_ref::<String>().unwrap().clone();
        assert!(message.contains("refused or dropped it") && message.contains(file!()), "{message}");
    };
    fn ends_early<'scope>(s: &'scope Scope<'scope, '_>) {
        s.spawn(pending::<()>());
    }

    // It shuts down while a child waits, and then refuses the next.
    let executor = Mine::start();
    lost(&|| {
        executor.scope(|s| {
            ends_early(s);
            executor.shut_down();
        });
    });
    lost(&|| executor.scope(ends_early));
    // The body's panic is the first.
    let panic = caught(|| {
        executor.scope(|s| {
            ends_early(s);
            panicks();
        })
    });
    assert_eq!(panic, "on purpose");
    // A handle that tells of it is enough.
    let told = executor.scope(|s| executor.block_on(s.spawn(pending::<()>())));
    assert!(told.unwrap_err().is_shutdown());
}

#[test]
fn a_child_that_is_aborted_without_a_look_at_its_end_is_no_panic() {
    let executor = Mine::start();
    executor.scope(|s| {
        s.spawn(pending::<()>()).abort();
        let aborter = s.spawn(pending::<()>()).abort_handle();
        aborter.abort();
    });
    executor.shut_down();
}

#[test]
fn an_executor_that_panics_while_it_takes_a_child_loses_none() {
    let executor = Mine { submit_panics: Some(Arc::default()), ..Mine::start() };
    let drops = AtomicUsize::new(0);
    let panic = caught(|| {
        executor.scope(|s| {
            for _ in 0..2 {
                let counts = Counts(&drops);
                s.spawn(async move {
                    yield_now().await;
                    drop(counts);
                });
            }
        })
    });
    assert_eq!((panic, drops.load(SeqCst)), ("on purpose", 2));
    executor.shut_down();
}

#[test]
fn aborted_children_and_those_of_a_shutdown_are_dropped_before_the_scope_ends() {
    for aborts in [true, false] {
        let executor = Mine::start();
        let drops = AtomicUsize::new(0);
        executor.scope(|s| {
            let children: Vec<_> = (0..5)
                .map(|_| {
                    let counts = Counts(&drops);
                    s.spawn(async move {
                        let _counts = counts;
                        pending::<()>().await;
                    })
                })
                .collect();
            let foreign = executor.clone();
            match aborts {
                true => children.iter().for_each(ScopedJoinHandle::abort),
                // By another thread, which may find the children anywhere.
                false => _ = thread::spawn(move || foreign.shut_down()),
            }
            for child in children {
                let error = child.join().unwrap_err();
                assert!(error.is_cancelled() && error.is_shutdown() != aborts, "{error}");
            }
        });
        assert_eq!(drops.load(SeqCst), 5);
        executor.shut_down();
    }
}

#[test]
fn the_first_panic_that_no_handle_reported_goes_on_when_all_have_ended() {
    let executor = Mine::start();
    let drops = AtomicUsize::new(0);
    let panic = caught(|| {
        executor.scope(|s| {
            s.spawn(async { panicks() });
            let counts = Counts(&drops);
            s.spawn(async move {
                yield_now().await;
                drop(counts);
            });
        })
    });
    assert_eq!((panic, drops.load(SeqCst)), ("on purpose", 1));

    // A handle has reported it.
    let error = executor.scope(|s| s.spawn(async { panicks() }).join()).unwrap_err();
    assert_eq!(error.into_panic().downcast_ref(), Some(&"on purpose"));
    // Not every handle that there was has been asked.
    let kept = || {
        executor.scope(|s| {
            let _kept = s.spawn(async { panicks() });
        })
    };
    assert_eq!(caught(kept), "on purpose");
    // The body's is first.
    let both = || {
        executor.scope(|s| {
            s.spawn(async { panicks() });
            resume_unwind(Box::new("the body"))
        })
    };
    assert_eq!(caught::<()>(both), "the body");
    executor.shut_down();
}

#[test]
fn a_panic_in_a_destructor_is_the_childs() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            panicks();
        }
    }
    let executor = Mine::start();
    let of_the_future = executor.scope(|s| {
        let panics = Panics;
        let child = s.spawn(async move {
            let _panics = &panics;
            pending::<()>().await;
        });
        child.abort();
        child.join()
    });
    assert!(of_the_future.unwrap_err().is_panic());
    let of_an_output = || executor.scope(|s| drop(s.spawn(ready(Panics)).abort_handle()));
    assert_eq!(caught(of_an_output), "on purpose");
    // Two at once: the poll's panic unwinds, and meets the destructor's.
    let of_both = executor.scope(|s| {
        let panics = Panics;
        s.spawn(poll_fn(move |_| -> Poll<()> {
            let _panics = &panics;
            resume_unwind(Box::new("the poll"))
        }))
        .join()
    });
    let payload = of_both.unwrap_err().into_panic();
    assert_eq!(payload.downcast_ref(), Some(&"the poll"));
    executor.shut_down();
}

#[test]
fn a_child_that_panicked_is_dropped_while_its_thread_is_panicking() {
    struct Notes<'a>(&'a AtomicUsize);
    impl Drop for Notes<'_> {
        fn drop(&mut self) {
            self.0.store(1 + usize::from(thread::panicking()), SeqCst);
        }
    }
    let executor = Mine::start();
    let noted = AtomicUsize::new(0);
    let notes = Notes(&noted);
    let child = executor.scope(|s| {
        s.spawn(poll_fn(move |_| -> Poll<()> {
            let _notes = &notes;
            panicks()
        }))
        .join()
    });
    assert!(child.unwrap_err().is_panic());
    assert_eq!(noted.into_inner(), 2);
    executor.shut_down();
}

#[test]
fn scopes_nest_in_bodies_and_in_children() {
    let executor = Mine::start();
    let other = Mine::start();
    let number = Box::new(7);
    let sum = executor.scope(|s| {
        let child = s.spawn(async {
            let twice = Box::new(2 * *number);
            other.scope(|inner| {
                let (first, second) = (inner.spawn(async { *twice }), inner.spawn(async { *number }));
                first.join().unwrap() + second.join().unwrap()
            })
        });
        let here = other.scope(|inner| inner.spawn(async { *number }).join().unwrap());
        child.join().unwrap() + here
    });
    assert_eq!(sum, 28);
    executor.shut_down();
    other.shut_down();
}
