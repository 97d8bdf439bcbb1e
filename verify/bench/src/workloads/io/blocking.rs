//! From a task to a thread for blocking work, and back.

use crate::contestants::Pool;
use crate::contestants::io::Blocking;
use crate::row::{Contestant, WORKERS};
use crate::workloads::{nanoseconds_each, sum_below, warm_up};

/// One after the other.
#[derive(Clone, Copy)]
pub struct RoundTrips {
    pub number: u64,
}

impl RoundTrips {
    /// In microseconds. The warm-up is a twentieth of them.
    pub fn on<B: Blocking>(self) -> Contestant {
        Contestant::named::<B>(move || {
            let pool = B::Pool::start(WORKERS);
            warm_up(&pool);
            pool.run(one_by_one::<B>(self.number / 20));
            let (time, sum) = nanoseconds_each(self.number, || pool.run(one_by_one::<B>(self.number)));
            assert_eq!(sum, sum_below(self.number));
            time / 1_000.0
        })
    }
}

async fn one_by_one<B: Blocking>(number: u64) -> u64 {
    let mut sum = 0;
    for i in 0..number {
        sum += B::unblock(move || i).await;
    }
    sum
}
