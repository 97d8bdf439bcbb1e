//! Keeps every worker busy at the same time for a while, before the clock starts. Where the system puts a thread that it
//! wakes depends on where that one ran last: two workers may share one processor for milliseconds, and the other be idle,
//! until the system evens that out. After this they don't, whosever they are.

use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::batch::Tasks;
use crate::row::WORKERS;

/// The system looks at the load of the processors every few milliseconds.
const AT_LEAST: Duration = Duration::from_millis(6);
/// A single worker runs one task after the other, and never all of them at the same time.
const AT_MOST: Duration = Duration::from_millis(20);

/// For one thread a worker, all at the same time.
pub fn stay_busy(begun: &AtomicUsize) {
    begun.fetch_add(1, Relaxed);
    let begin = Instant::now();
    while begin.elapsed() < AT_LEAST || begun.load(Relaxed) < WORKERS && begin.elapsed() < AT_MOST {
        spin_loop();
    }
}

/// A task for each worker.
#[derive(Clone, Copy)]
pub struct Spread;

impl Tasks for Spread {
    fn operations(self) -> u64 {
        WORKERS as u64
    }

    fn futures(self) -> impl Iterator<Item = impl Future<Output = u64> + Send + 'static> + Send + 'static {
        let begun = Arc::new(AtomicUsize::new(0));
        (0..WORKERS).map(move |_| {
            let begun = begun.clone();
            async move {
                stay_busy(&begun);
                1
            }
        })
    }

    fn expected(self) -> u64 {
        WORKERS as u64
    }
}
