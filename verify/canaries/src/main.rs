//! Planted faults: each run commits the fault that its argument names, and `verify/sanitize canaries` checks that the tool says so. A
//! tool that was silently off is noticed that way. What the tools find in the executors is left to the suites.
//!
//! Each fault looks like one that a task's cell could have. The last one is none, and nothing may be reported.

use std::alloc::{Layout, dealloc};
use std::cell::UnsafeCell;
use std::hint::black_box;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

const ROUNDS: usize = 1_000;

const CANARIES: &[(&str, fn())] = &[
    ("use_after_free", use_after_free),
    ("double_free", double_free),
    ("leak", leak),
    ("wrapped_count", wrapped_count),
    ("dropped_twice", dropped_twice),
    ("relaxed_publish", relaxed_publish),
    ("race_beside_a_lock", race_beside_a_lock),
    ("race_after_a_once", race_after_a_once),
    ("relaxed_count", relaxed_count),
    ("no_fault", no_fault),
];

fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    let Some((_, run)) = CANARIES.iter().find(|(canary, _)| *canary == name) else {
        let names: Vec<_> = CANARIES.iter().map(|(canary, _)| *canary).collect();
        eprintln!("no canary is called {name:?}; there are {}", names.join(", "));
        return ExitCode::from(2);
    };
    // On a thread of its own, whose stack is gone in the end: a leak isn't found while something still points to it.
    thread::spawn(run).join().unwrap();
    ExitCode::SUCCESS
}

/// A cell is read by a handle that thinks it has a reference.
fn use_after_free() {
    let cell = Box::into_raw(Box::new(7_u64));
    // SAFETY: none. The second line reads what the first one has freed.
    unsafe {
        drop(Box::from_raw(black_box(cell)));
        black_box(black_box(cell).read_volatile());
    }
}

/// Two handles each think that theirs was the last reference.
fn double_free() {
    let cell = Box::into_raw(Box::new(7_u64));
    // SAFETY: none. It is freed twice; not as a `Box`, which the compiler may see through.
    unsafe {
        dealloc(black_box(cell).cast(), Layout::new::<u64>());
        dealloc(black_box(cell).cast(), Layout::new::<u64>());
    }
}

/// No holder takes its reference for the last one.
fn leak() {
    black_box(Box::into_raw(Box::new([7_u64; 100])));
}

/// References are counted without a limit. Forgotten ones overflow the count, down to one. The next drop frees the cell.
fn wrapped_count() {
    struct Cell {
        /// Of few bits, so that it takes no time.
        references: AtomicU8,
        id: u64,
    }

    let cell = Box::into_raw(Box::new(Cell { references: AtomicU8::new(2), id: 7 }));
    // SAFETY: none. The last line reads what the one before it has freed.
    unsafe {
        let references = &(*black_box(cell)).references;
        for _forgotten in 0..u8::MAX {
            references.fetch_add(1, Ordering::Relaxed);
        }
        if references.fetch_sub(1, Ordering::AcqRel) == 1 {
            drop(Box::from_raw(black_box(cell)));
        }
        black_box((&raw const (*black_box(cell)).id).read_volatile());
    }
}

/// A destructor unwinds, and the line after it isn't reached, which says that the future is dropped.
fn dropped_twice() {
    struct Future {
        _memory: Box<u64>,
        panics: bool,
    }

    impl Drop for Future {
        fn drop(&mut self) {
            if std::mem::take(&mut self.panics) {
                // Calls no panic hook.
                resume_unwind(Box::new(()));
            }
        }
    }

    let mut stage = ManuallyDrop::new(Future { _memory: Box::new(7), panics: true });
    let mut is_empty = false;
    let run = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: none. See below.
        unsafe { ManuallyDrop::drop(black_box(&mut stage)) };
        is_empty = true;
    }));
    assert!(run.is_err());
    if !is_empty {
        // SAFETY: none. It was dropped above.
        unsafe { ManuallyDrop::drop(black_box(&mut stage)) };
    }
}

/// Memory that threads share with no more order than they make themselves.
struct Shared<T>(UnsafeCell<T>);

// SAFETY: none. That is what is to be reported.
unsafe impl<T> Sync for Shared<T> {}

impl<T: Copy> Shared<T> {
    fn get(&self) -> T {
        // SAFETY: none, see above.
        unsafe { self.0.get().read_volatile() }
    }

    fn set(&self, value: T) {
        // SAFETY: none, see above.
        unsafe { self.0.get().write_volatile(value) }
    }
}

/// An output is stored, and the bit that says so isn't a Release.
fn relaxed_publish() {
    let (output, completed) = (Shared(UnsafeCell::new(0)), AtomicUsize::new(0));
    thread::scope(|threads| {
        threads.spawn(|| {
            while completed.load(Ordering::Acquire) == 0 {
                thread::yield_now();
            }
            assert_eq!(output.get(), 7);
        });
        output.set(7);
        completed.store(1, Ordering::Relaxed);
    });
}

/// Waits until the number is that one, without an order.
fn until(number: &AtomicUsize, is: usize) {
    while number.load(Ordering::Relaxed) != is {
        thread::yield_now();
    }
}

/// A lock orders its holders one way: the first holder doesn't see what the second one did.
fn race_beside_a_lock() {
    let (lock, beside) = (Mutex::new(()), Shared(UnsafeCell::new(0)));
    let (waits, written) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|threads| {
        let locked = lock.lock().unwrap();
        threads.spawn(|| {
            waits.store(1, Ordering::Relaxed);
            drop(lock.lock().unwrap());
            beside.set(1);
            written.store(1, Ordering::Relaxed);
        });
        until(&waits, 1);
        drop(locked);
        until(&written, 1);
        beside.set(2);
    });
}

/// A value is published once, and changed afterwards: its readers see what came before, and no more.
fn race_after_a_once() {
    let (once, beside) = (OnceLock::new(), Shared(UnsafeCell::new(0)));
    let written = AtomicUsize::new(0);
    thread::scope(|threads| {
        threads.spawn(|| {
            once.get_or_init(|| beside.set(1));
            beside.set(2);
            written.store(1, Ordering::Relaxed);
            // The sanitizer may forget what a thread did that has ended.
            until(&written, 2);
        });
        until(&written, 1);
        assert!(once.get().is_some());
        beside.set(3);
        written.store(2, Ordering::Relaxed);
    });
}

/// The references to a cell are counted, and the last one to go doesn't see what the others did.
fn relaxed_count() {
    for _ in 0..ROUNDS {
        let cell: &'static (Shared<u64>, Shared<u64>, AtomicUsize) =
            Box::leak(Box::new((Shared(UnsafeCell::new(0)), Shared(UnsafeCell::new(0)), AtomicUsize::new(2))));
        let give_back = || {
            if cell.2.fetch_sub(1, Ordering::Relaxed) == 1 {
                // Not even a fence helps where those before have released nothing.
                fence(Ordering::Acquire);
                // SAFETY: none.
                drop(unsafe { Box::from_raw(std::ptr::from_ref(cell).cast_mut()) });
            }
        };
        thread::scope(|threads| {
            threads.spawn(|| {
                cell.0.set(1);
                give_back();
            });
            threads.spawn(|| {
                cell.1.set(1);
                give_back();
            });
        });
    }
}

/// What the standard library orders: nothing is to be reported. See `verify/sanitizers/tsan-std.c`.
fn no_fault() {
    let guarded = Arc::new(Mutex::new(Vec::new()));
    let pushes = |guarded: Arc<Mutex<Vec<usize>>>| {
        for n in 0..ROUNDS {
            let mut guarded = guarded.lock().unwrap();
            guarded.push(n);
            // The others come, and wait.
            thread::yield_now();
        }
    };
    let threads = [(); 4].map(|()| guarded.clone()).map(|guarded| thread::spawn(move || pushes(guarded)));
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(guarded.lock().unwrap().len(), 4 * ROUNDS);
    for _ in 0..ROUNDS {
        let shared = Arc::new((Shared(UnsafeCell::new(0)), Shared(UnsafeCell::new(0))));
        let other = shared.clone();
        let thread = thread::spawn(move || other.0.set(1));
        shared.1.set(1);
        drop(shared);
        thread.join().unwrap();
    }
    for _ in 0..ROUNDS {
        let shared = Arc::new((OnceLock::new(), Shared(UnsafeCell::new(0))));
        let other = shared.clone();
        let thread = thread::spawn(move || _ = other.0.get_or_init(|| other.1.set(1)));
        // Found, waited for, or made here.
        shared.0.get_or_init(|| shared.1.set(2));
        assert_ne!(shared.1.get(), 0);
        thread.join().unwrap();
    }
    // Tests print what they are called while others do.
    thread::scope(|threads| {
        for line in ["half a line, ", "a line\n"] {
            threads.spawn(move || (0..ROUNDS).for_each(|_| print!("{line}")));
        }
    });
}
