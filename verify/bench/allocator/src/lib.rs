//! The system's allocator, which counts live bytes while it is told to. The one place with `unsafe`: the program forbids it.

#![deny(unsafe_op_in_unsafe_fn)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering::Relaxed};

/// Whether to count. Off while anything is timed: then an allocation costs one load and one branch more.
static COUNTING: AtomicBool = AtomicBool::new(false);

/// Bytes allocated less bytes freed since counting began.
static LIVE: AtomicIsize = AtomicIsize::new(0);

/// To be the program's `#[global_allocator]`.
pub struct Counting;

/// What `work` returns, and the bytes on all threads that came to live during it.
pub fn live_bytes_of<T>(work: impl FnOnce() -> T) -> (T, isize) {
    LIVE.store(0, Relaxed);
    COUNTING.store(true, Relaxed);
    let result = work();
    COUNTING.store(false, Relaxed);
    (result, LIVE.load(Relaxed))
}

fn count(bytes: impl FnOnce() -> isize) {
    if COUNTING.load(Relaxed) {
        LIVE.fetch_add(bytes(), Relaxed);
    }
}

fn size(layout: Layout) -> isize {
    layout.size() as isize // a layout's size never exceeds isize::MAX
}

// SAFETY: every call goes to the system's allocator as it came; counting touches two static numbers only.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(|| size(layout));
        // SAFETY: the caller's promise, handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(|| size(layout));
        // SAFETY: the caller's promise, handed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(|| -size(layout));
        // SAFETY: the caller's promise, handed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(|| new_size as isize - size(layout));
        // SAFETY: the caller's promise, handed on.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}
