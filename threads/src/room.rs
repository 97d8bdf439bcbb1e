//! How many threads the crews of a process may have, all together. Starts none.
//!
//! Linux limits how many memory maps a process has. A thread takes four: its stack, the stack on which `std` handles its
//! signals, and the guard page of each. The second pair is made on the new thread, which has no way to refuse: without a map
//! for it, `std` ends the process. So crews have fewer threads than there are maps for.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

/// Maps that a thread takes.
const MAPS_A_THREAD: usize = 4;

/// Linux's default, and what is assumed where the system doesn't say: 12,286 threads.
const MAPS: usize = 65_530;

/// No Linux has more threads: `PID_MAX_LIMIT`.
const MOST: usize = 1 << 22;

static THREADS: AtomicUsize = AtomicUsize::new(0);

/// The most threads that the crews of this process have at a time: three quarters of those that the system has memory maps
/// for, so that the program has a quarter of the maps at least. By Linux's default of 65,530 maps (`vm.max_map_count`) these
/// are 12,286 threads, and so they are where no such number can be read.
pub fn most_threads() -> usize {
    static ROOM: OnceLock<usize> = OnceLock::new();
    *ROOM.get_or_init(|| {
        let maps = std::fs::read_to_string("/proc/sys/vm/max_map_count").ok();
        threads_for(maps.and_then(|maps| maps.trim().parse().ok()).unwrap_or(MAPS))
    })
}

fn threads_for(maps: usize) -> usize {
    (maps / MAPS_A_THREAD / 4 * 3 + maps / MAPS_A_THREAD % 4 * 3 / 4).clamp(1, MOST)
}

/// A thread's place.
///
/// # What dropping does
///
/// Makes room for another thread.
#[derive(Debug)]
pub(crate) struct Place(&'static AtomicUsize);

impl Place {
    /// # Errors
    ///
    /// `WouldBlock`, which the system says, too, if it has no thread: there is no room for another one.
    pub(crate) fn take() -> io::Result<Self> {
        Self::of(&THREADS, most_threads())
    }

    fn of(threads: &'static AtomicUsize, most: usize) -> io::Result<Self> {
        // Relaxed, here and below: a count, with which nothing is ordered.
        let before = threads.fetch_add(1, Relaxed);
        let place = Self(threads);
        if before < most {
            return Ok(place);
        }
        let why = format!("there are {before} threads, and this process has room for no more");
        Err(io::Error::new(io::ErrorKind::WouldBlock, why))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_so_many_until_one_leaves() {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let take = || Place::of(&COUNT, 2);
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
        assert_eq!(threads_for(MAPS), 12_286);
        assert_eq!((threads_for(0), threads_for(16), threads_for(usize::MAX)), (1, 3, MOST));
        assert!((1..=MOST).contains(&most_threads()));
    }
}
