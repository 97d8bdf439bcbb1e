//! Limits the threads of all pools of a process. Starts none.
//!
//! Linux limits the memory maps of a process. A thread takes four: its stack, the stack on which `std` handles its signals,
//! and a guard page for each. The new thread itself makes the second pair, and can't refuse: without a map for it, `std` ends
//! the process. So the limit on threads stays below the limit on maps.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

/// Memory maps that a thread takes.
const MAPS_PER_THREAD: usize = 4;

/// Linux's default. Assumed where the system doesn't say; allows 12,286 threads.
const DEFAULT_MAPS: usize = 65_530;

/// No Linux has more threads: `PID_MAX_LIMIT`.
const MOST: usize = 1 << 22;

static THREADS: AtomicUsize = AtomicUsize::new(0);

/// The most threads that all thread pools of this process may have together.
///
/// Three quarters of the threads that the system has memory maps for; the rest of the maps is the program's. With Linux's
/// default of 65,530 maps (`vm.max_map_count`) that is 12,286 threads, as it is where the number of maps is unknown.
pub fn most_threads() -> usize {
    static LIMIT: OnceLock<usize> = OnceLock::new();
    *LIMIT.get_or_init(|| {
        let maps = std::fs::read_to_string("/proc/sys/vm/max_map_count").ok();
        threads_for(maps.and_then(|maps| maps.trim().parse().ok()).unwrap_or(DEFAULT_MAPS))
    })
}

fn threads_for(maps: usize) -> usize {
    (maps / MAPS_PER_THREAD / 4 * 3 + maps / MAPS_PER_THREAD % 4 * 3 / 4).clamp(1, MOST)
}

/// Permits one thread.
///
/// # What dropping does
///
/// Permits another thread.
#[derive(Debug)]
pub(crate) struct Permit(&'static AtomicUsize);

impl Permit {
    /// # Errors
    ///
    /// `WouldBlock`, as from a system without threads: the limit is reached.
    pub(crate) fn take() -> io::Result<Self> {
        Self::take_of(&THREADS, most_threads())
    }

    fn take_of(threads: &'static AtomicUsize, most: usize) -> io::Result<Self> {
        // Relaxed, here and below: a count that orders nothing.
        let before = threads.fetch_add(1, Relaxed);
        let permit = Self(threads);
        if before < most {
            return Ok(permit);
        }
        let why = format!("this process has {before} pool threads, and its memory maps allow no more");
        Err(io::Error::new(io::ErrorKind::WouldBlock, why))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_is_refused_until_another_is_dropped() {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let take = || Permit::take_of(&COUNT, 2);
        let first = take().unwrap();
        let second = take().unwrap();
        for _ in 0..3 {
            assert_eq!(take().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        }
        drop(first);
        let third = take().unwrap();
        assert!(take().is_err());
        drop((second, third));
        assert_eq!(COUNT.load(Relaxed), 0);
    }

    #[test]
    fn a_quarter_of_the_maps_is_left() {
        assert_eq!(threads_for(DEFAULT_MAPS), 12_286);
        assert_eq!((threads_for(0), threads_for(16), threads_for(usize::MAX)), (1, 3, MOST));
        assert!((1..=MOST).contains(&most_threads()));
    }
}
