//! Loom's atomics, locks and cells in place of the standard library's, and a runner of models. Knows no model.
//!
//! Not part of the crate's API, though the executors' models use it, too.
#![allow(missing_docs)]

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::Once;
use std::sync::atomic::Ordering::{self, Relaxed};
use std::time::Instant;

/// Swapped only, so it needs none of what [`AtomicU64`] has.
pub(crate) use loom::sync::atomic::AtomicPtr;
pub(crate) use loom::sync::atomic::fence;
pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard};
use loom::thread::AccessError;

pub(crate) use crate::modelled_thread_local as thread_local;

/// As loom's, but every order of loads and writes is tried.
///
/// Loom (0.7.3) remembers only an atomic's last access, to decide what a later write might precede. If a thread loads and
/// then writes, that is its own load. So its write is never tried before an earlier load of another thread
/// (tokio-rs/loom#392). A write to another atomic before each load fixes that.
macro_rules! atomics {
    ($($name:ident of $value:ty),*) => {$(
        #[derive(Debug, Default)]
        pub struct $name {
            atomic: loom::sync::atomic::$name,
            loads: loom::sync::atomic::AtomicUsize,
        }

        impl $name {
            #[track_caller]
            pub fn new(value: $value) -> Self {
                Self { atomic: loom::sync::atomic::$name::new(value), loads: Default::default() }
            }

            #[track_caller]
            pub fn load(&self, ordering: Ordering) -> $value {
                self.loads.fetch_add(0, Relaxed);
                self.atomic.load(ordering)
            }
        }

        impl Deref for $name {
            type Target = loom::sync::atomic::$name;

            fn deref(&self) -> &Self::Target {
                &self.atomic
            }
        }

        impl DerefMut for $name {
            fn deref_mut(&mut self) -> &mut Self::Target {
                &mut self.atomic
            }
        }
    )*};
}

atomics!(AtomicBool of bool, AtomicU8 of u8, AtomicU32 of u32, AtomicU64 of u64, AtomicUsize of usize);

/// A store is a swap: loom lets a store happen between the read and the write of another thread's read-modify-write
/// (tokio-rs/loom#254). Only an alarm's flag and the pool's next slot have both.
macro_rules! stores_by_swap {
    ($($name:ident of $value:ty),*) => {$(
        impl $name {
            #[track_caller]
            pub fn store(&self, value: $value, ordering: Ordering) {
                self.atomic.swap(value, ordering);
            }
        }
    )*};
}

stores_by_swap!(AtomicBool of bool, AtomicU32 of u32);

/// As loom's, but the drop is an access, too: all others must have happened before.
pub struct UnsafeCell<T>(loom::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    #[track_caller]
    pub fn new(value: T) -> Self {
        Self(loom::cell::UnsafeCell::new(value))
    }

    #[track_caller]
    pub fn with_mut<R>(&self, access: impl FnOnce(*mut T) -> R) -> R {
        self.0.with_mut(access)
    }
}

impl<T> Drop for UnsafeCell<T> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.0.with_mut(|_| ());
        }
    }
}

/// The number of the calling thread of the model, from one on: the same in each run.
pub(crate) fn thread_number() -> u64 {
    let id = format!("{:?}", loom::thread::current().id());
    let digits = id.trim_start_matches("ThreadId(").trim_end_matches(')');
    digits.parse::<u64>().expect("loom shows a thread's number") + 1
}

/// A thread-local of a model's thread, since these share one thread of the system. Has the methods of `std`'s that are used.
pub struct LocalKey<T: 'static>(loom::thread::LocalKey<T>);

impl<T> LocalKey<T> {
    pub const fn new(init: fn() -> T) -> Self {
        Self(loom::thread::LocalKey { init, _p: PhantomData })
    }

    /// # Errors
    ///
    /// The thread's locals are being destroyed.
    pub fn try_with<R>(&'static self, access: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        self.0.try_with(access)
    }
}

/// While the thread's locals are destroyed, these have their first value. Those of `std` are never destroyed.
impl<T: Copy> LocalKey<Cell<T>> {
    pub fn get(&'static self) -> T {
        self.try_with(Cell::get).unwrap_or_else(|_| (self.0.init)().get())
    }

    pub fn set(&'static self, value: T) {
        self.replace(value);
    }

    pub fn replace(&'static self, value: T) -> T {
        self.try_with(|cell| cell.replace(value)).unwrap_or_else(|_| (self.0.init)().get())
    }
}

impl<T> LocalKey<RefCell<T>> {
    pub fn set(&'static self, value: T) {
        drop(self.0.with(|cell| cell.replace(value)));
    }
}

/// As `std`'s.
#[doc(hidden)]
#[macro_export]
macro_rules! modelled_thread_local {
    ($($(#[$attribute:meta])* static $name:ident: $type:ty = const $value:block;)*) => {$(
        $(#[$attribute])*
        static $name: $crate::modelled::LocalKey<$type> = $crate::modelled::LocalKey::new(|| $value);
    )*};
}

/// How often a thread may be interrupted between two of its steps; `LOOM_MAX_PREEMPTIONS` overrides it. Few bugs need more
/// (Musuvathi and Qadeer, 2007: two found all of theirs).
const PREEMPTIONS: usize = 3;

/// The most steps in a run of a model, so that an endless loop fails it.
const MAX_STEPS: usize = 20_000;

std::thread_local! {
    /// Whether anything has panicked in this model, even if that was caught.
    static PANICKED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `model` in every order of its threads and of their writes, and prints the number of runs.
///
/// A panic fails the model even if it is caught, as a task's are: it may be loom's. Raise intended ones with
/// `resume_unwind`, which calls no panic hook.
///
/// # Panics
///
/// If `model` does, or a thread in it, or loom finds an access without order, a deadlock or a leak.
pub fn check(name: &str, model: impl Fn() + Send + Sync + 'static) {
    check_fewer(name, 0, model);
}

/// As [`check`], with fewer preemptions, for a model that has too many runs.
///
/// # Panics
///
/// As [`check`].
pub fn check_fewer(name: &str, fewer: usize, model: impl Fn() + Send + Sync + 'static) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let default = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICKED.set(true);
            default(info);
        }));
    });
    PANICKED.set(false);

    let runs = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = runs.clone();
    let mut builder = loom::model::Builder::new();
    let bound = builder.preemption_bound.unwrap_or(PREEMPTIONS).saturating_sub(fewer);
    builder.preemption_bound = Some(bound);
    builder.max_branches = MAX_STEPS;
    builder.location = true;
    let begin = Instant::now();
    builder.check(move || {
        count.fetch_add(1, Relaxed);
        model();
        assert!(!PANICKED.get(), "a panic was caught");
    });
    println!(
        "model {name}: {} runs, at most {bound} preemptions, {:.1} s",
        runs.load(Relaxed),
        begin.elapsed().as_secs_f64()
    );
}

/// Gives a field without `Debug` one, in a type that derives it.
pub struct Shown<T>(pub T);

impl<T> std::fmt::Debug for Shown<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// Counts the drops of its tokens. Orders nothing.
#[derive(Clone, Default)]
pub struct Drops(std::sync::Arc<std::sync::atomic::AtomicUsize>);

/// Put one into a value to count its drop.
pub struct Token(Drops);

impl Drops {
    pub fn token(&self) -> Token {
        Token(self.clone())
    }

    pub fn count(&self) -> usize {
        self.0.load(Relaxed)
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Relaxed);
    }
}
